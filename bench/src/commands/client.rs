//! The load: one request after the other on each connection, written and read by hand, since a library would cost more than
//! the service.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use super::{
    Round,
    stage::{ACCOUNTS, BOOKINGS, ROOM_TYPES, Stage},
};

/// What is asked for over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// `POST /direct-booking/bookings`, each under a key of its own.
    MakeBooking,
    /// `GET` of a booking that the client has.
    NotModified,
}

/// Connections to the service.
pub(super) struct Clients {
    address: String,
    connections: u32,
}

impl Clients {
    pub(super) fn of(stage: &Stage, connections: u32) -> Self {
        Self { address: stage.address.clone(), connections }
    }

    /// Asks for so long.
    pub(super) async fn run(&self, request: Request, duration: Duration) -> Result<Round> {
        let mut clients = JoinSet::new();
        let start = Instant::now();
        for number in 0..self.connections {
            let address = self.address.clone();
            clients.spawn(async move { ask(&address, number, request, start + duration).await });
        }
        let mut latencies = Vec::new();
        while let Some(ended) = clients.join_next().await {
            latencies.extend(ended.context("a client died")??);
        }
        let rate = latencies.len() as f64 / start.elapsed().as_secs_f64();
        Ok(Round { rate, latencies })
    }
}

/// Numbers as good as random ones, without a crate for them (Marsaglia's xorshift).
struct Numbers(u64);

impl Numbers {
    fn new(client: u32) -> Self {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        Self((u64::try_from(now).unwrap_or_default() ^ (u64::from(client) << 48)) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn up_to(&mut self, most: u32) -> u64 {
        self.next() % u64::from(most) + 1
    }
}

async fn ask(address: &str, client: u32, request: Request, until: Instant) -> Result<Vec<f64>> {
    let mut stream = TcpStream::connect(address).await.context("cannot connect to the service")?;
    stream.set_nodelay(true)?;
    let (mut numbers, mut latencies, mut buffer) = (Numbers::new(client), Vec::new(), Vec::with_capacity(8192));
    while Instant::now() < until {
        let (text, expected) = match request {
            Request::MakeBooking => (booking(&mut numbers), 202),
            Request::NotModified => (unchanged(&mut numbers), 304),
        };
        let begun = Instant::now();
        stream.write_all(text.as_bytes()).await?;
        let status = answer(&mut stream, &mut buffer).await?;
        latencies.push(begun.elapsed().as_secs_f64() * 1000.0);
        ensure!(status == expected, "expected {expected}: {}", String::from_utf8_lossy(&buffer));
    }
    Ok(latencies)
}

fn booking(numbers: &mut Numbers) -> String {
    // Within the days that can be booked, wherever today is.
    let today = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs() / 86_400;
    let first = today + numbers.up_to(360);
    let (check_in, check_out) = (date(first), date(first + numbers.up_to(3)));
    let (account, room_type) = (numbers.up_to(ACCOUNTS), numbers.up_to(ROOM_TYPES));
    let body = format!(
        r#"{{"accountId":"{account}","roomTypeId":"{room_type}","checkIn":"{check_in}","checkOut":"{check_out}","guests":{{"adults":2}},"nightlyRate":{{"amountMinor":7500,"currency":"EUR"}}}}"#
    );
    let (key, length) = (numbers.next(), body.len());
    format!(
        "POST /direct-booking/bookings HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\nidempotency-key: {key:016x}\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

fn unchanged(numbers: &mut Numbers) -> String {
    let id = numbers.up_to(BOOKINGS);
    format!("GET /direct-booking/bookings/{id} HTTP/1.1\r\nhost: bench\r\nif-none-match: \"1-1\"\r\n\r\n")
}

/// The date of a day counted from 1970-01-01 (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn date(day: u64) -> String {
    let days = day + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Reads one answer to its end; the buffer has it then.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<u16> {
    buffer.clear();
    let head = loop {
        if stream.read_buf(buffer).await? == 0 {
            bail!("the service has closed the connection: {}", String::from_utf8_lossy(buffer));
        }
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = std::str::from_utf8(&buffer[..head]).context("a head that is no text")?;
    let status = text.get(9..12).and_then(|code| code.parse().ok()).context("no status")?;
    let length = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    };
    let length = text.lines().find_map(length).unwrap_or(0);
    while buffer.len() < head + length {
        ensure!(stream.read_buf(buffer).await? > 0, "the service has closed the connection in an answer");
    }
    Ok(status)
}

/// The status of a `GET`.
pub(super) async fn get(address: &str, path: &str) -> Result<u16> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n").as_bytes()).await?;
    answer(&mut stream, &mut Vec::new()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_its_date() {
        for (day, expected) in [(0, "1970-01-01"), (59, "1970-03-01"), (20_513, "2026-03-01"), (18_321, "2020-02-29")] {
            assert_eq!(date(day), expected);
        }
    }
}
