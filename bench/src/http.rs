//! Load over HTTP: one request after the other on each connection, written and read by hand, since a library would cost more than
//! the service.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Builder,
    task::JoinSet,
};

use crate::round::Round;

/// One request: its text, and the status that is expected of its answer.
pub(crate) type Request = (String, u16);

/// Connections to a service.
pub(crate) struct Clients {
    /// Where the service listens.
    pub(crate) address: String,
    /// How many ask at the same time.
    pub(crate) connections: u32,
}

impl Clients {
    /// Asks for so long, each request made anew: from one thread, which costs the service that is measured least.
    pub(crate) async fn run(&self, request: fn(&mut Numbers) -> Request, duration: Duration) -> Result<Round> {
        let (address, connections) = (self.address.clone(), self.connections);
        let load = move || {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(run(&address, connections, request, duration))
        };
        tokio::task::spawn_blocking(load).await.context("the clients' thread died")?
    }
}

async fn run(
    address: &str,
    connections: u32,
    request: fn(&mut Numbers) -> Request,
    duration: Duration,
) -> Result<Round> {
    let mut clients = JoinSet::new();
    let start = Instant::now();
    for number in 0..connections {
        let address = address.to_owned();
        clients.spawn(async move { ask(&address, number, request, start + duration).await });
    }
    let mut latencies = Vec::new();
    while let Some(ended) = clients.join_next().await {
        latencies.extend(ended.context("a client died")??);
    }
    let rate = latencies.len() as f64 / start.elapsed().as_secs_f64();
    Ok(Round { rate, latencies })
}

/// Numbers as good as random ones, without a crate for them (Marsaglia's xorshift).
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(client: u32) -> Self {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        Self((u64::try_from(now).unwrap_or_default() ^ (u64::from(client) << 48)) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 1 to this.
    pub(crate) fn up_to(&mut self, most: u32) -> u64 {
        self.next() % u64::from(most) + 1
    }
}

async fn ask(address: &str, client: u32, request: fn(&mut Numbers) -> Request, until: Instant) -> Result<Vec<f64>> {
    let mut connection = Connection::open(address).await?;
    let (mut numbers, mut latencies) = (Numbers::new(client), Vec::new());
    while Instant::now() < until {
        let (text, expected) = request(&mut numbers);
        let begun = Instant::now();
        let status = connection.ask(&text).await?;
        latencies.push(begun.elapsed().as_secs_f64() * 1000.0);
        ensure!(status == expected, "expected {expected}: {}", connection.answer());
    }
    Ok(latencies)
}

/// A connection that stays.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("cannot connect to the service")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(8192) })
    }

    /// Sends a request, and waits for the whole answer: its status.
    pub(crate) async fn ask(&mut self, request: &str) -> Result<u16> {
        self.stream.write_all(request.as_bytes()).await?;
        answer(&mut self.stream, &mut self.buffer).await
    }

    /// The last answer.
    pub(crate) fn answer(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.buffer)
    }
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

/// The whole answer to one request.
pub(crate) async fn send(address: &str, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut buffer = Vec::new();
    answer(&mut stream, &mut buffer).await?;
    Ok(String::from_utf8_lossy(&buffer).into_owned())
}

/// The status of a `GET`.
pub(crate) async fn get(address: &str, path: &str) -> Result<u16> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n").as_bytes()).await?;
    answer(&mut stream, &mut Vec::new()).await
}
