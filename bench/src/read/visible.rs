//! How long after a command's answer what it has made is returned by a query: through the write service, the outbox, the relay, Kafka
//! and the read service, each a process of its own.
//!
//! Bookings are made at an even rate. Each is asked for as soon as its command is answered, with the `Read-After` token of that answer:
//! the query waits in the read service until the booking is in its view. Time runs from the command's answer to the query's, so the
//! query's own way is in it, and so is what the token's wait adds; the answer's way back after the commit is not. The bookings cost
//! nothing, so they are confirmed at once and no third party is asked for anything; Housekeeping takes them up.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use chrono::{Days, Utc};
use contracts::{ReadAfter, direct_booking::BOOKING};
use servers::Process;
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_postgres::Client;

use super::{
    Scale,
    house::{EMPTY, House, Views},
    outbox::Outbox,
};
use crate::{
    effort::progress,
    http::Connection,
    pace,
    report::Report,
    services::{connect, end, execute, free_address, until_ready},
    stats::percentile,
};

/// Commands a second.
const RATE: u32 = 50;
/// The first seconds of a run, in which connections are made, are not counted.
const LEAD_IN: u64 = 2;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What bookings need. Word of an account comes from another context, which is not measured here.
const FILL: &str = "
    insert into direct_booking.account_copy select n::text, 1, true from generate_series(1, 1000) as n;
    insert into direct_booking.room_type (room_type_id, version, name, rooms)
        select n::text, 1, 'Double', array(select room::text from generate_series(1, 10000) as room)
        from generate_series(1, 50) as n;
    vacuum analyze direct_booking.account_copy, direct_booking.room_type";

/// Measures.
pub(super) async fn measure(house: &House, outbox: &Outbox, scale: Scale, report: &mut Report) -> Result<()> {
    let (prefix, database) = (house.topics().await?, house.copy(EMPTY).await?);
    execute(&connect(&outbox.url).await?, FILL).await?;
    let (write_address, bootstrap) = (free_address()?, house.kafka.bootstrap_servers());
    let args = ["serve", "--listen", &write_address, "--database-url", &outbox.url, "--topic-prefix", &prefix];
    let args = args.into_iter().chain(["--kafka-bootstrap-servers", &bootstrap]);
    let writing = Process::spawn("write-service", args, &[("RUST_LOG", "warn")])?;
    let relay = outbox.relay(house, outbox.name, &prefix)?;
    let reading = house.read_service(&database, &prefix, Views::All)?;
    until_ready(&write_address, &writing).await;
    until_ready(&reading.address, &reading.process).await;

    let clients = Arc::new(Clients { write: write_address, read: reading.address.clone(), idle: Mutex::default() });
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    // A request of a few records is another way through the broker than those of the rounds before.
    let warm_up = scale.warm_up * 3;
    for run in 0..warm_up + scale.runs {
        let mut millis = run_once(&clients, run, scale.seconds).await?;
        millis.drain(..usize::try_from(LEAD_IN * u64::from(RATE))?);
        let [half, most] = [50, 99].map(|percent| percentile(&millis, percent).unwrap_or_default());
        progress(format_args!("from commit to visible at {RATE}/s: p50 {half:.2} ms, p99 {most:.2} ms"));
        if run == 0 {
            // As autovacuum does in a hotel's first minutes; until then, statements have the plans that were good for no rows.
            for url in [&outbox.url, &database.url] {
                execute(&connect(url).await?, "vacuum analyze").await?;
            }
        }
        if run >= warm_up {
            p50.push(half);
            p99.push(most);
        }
    }
    report.add("commit_to_visible_p50_ms", "ms", &p50, &[]);
    report.add("commit_to_visible_p99_ms", "ms", &p99, &[]);
    progress(stages(&connect(&database.url).await?).await?);
    end(writing, "write-service").await?;
    end(relay, "cdc-capture").await?;
    house.end(reading).await?;
    house.remove(database).await
}

/// In words: where the time went, by the times that are kept of each event. It was recorded in the command's transaction, before the
/// commit, and published when the relay gave it to its producer.
async fn stages(views: &Client) -> Result<String> {
    let ask = "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM published_at - recorded_at)::float8 * 1e3),
                      percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM held.applied_at - published_at)::float8 * 1e3)
               FROM view.event JOIN view.booking AS held ON held.id = subject AND held.version = event.version WHERE topic = $1";
    let row = views.query_one(ask, &[&BOOKING.name]).await.context("cannot ask the journal")?;
    let (published, applied): (f64, f64) = (row.get(0), row.get(1));
    Ok(format!(
        "p50 from recorded to published {published:.1} ms, from there to applied {applied:.1} ms, then its commit"
    ))
}

/// How long each took, in milliseconds, in their order.
async fn run_once(clients: &Arc<Clients>, run: u32, seconds: u64) -> Result<Vec<f64>> {
    let mut commands = JoinSet::new();
    pace::evenly(RATE, LEAD_IN + seconds, |number| {
        let clients = clients.clone();
        commands.spawn(async move {
            let taken = timeout(PATIENCE, clients.book_and_see(&format!("{run}-{number}"), number)).await;
            anyhow::Ok((number, taken.context("a booking was not visible in time")??))
        });
        Ok(())
    })
    .await?;
    let mut taken = commands.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    taken.sort_by_key(|(number, _)| *number);
    Ok(taken.into_iter().map(|(_, millis)| millis).collect())
}

struct Clients {
    write: String,
    read: String,
    /// Taken in turn, so that none is idle for so long that a service closes it.
    idle: Mutex<VecDeque<(Connection, Connection)>>,
}

impl Clients {
    /// Makes a booking and asks for it: how long that took from answer to answer, in milliseconds.
    async fn book_and_see(&self, key: &str, number: u64) -> Result<f64> {
        let idle = self.idle.lock().await.pop_front();
        let (mut write, mut read) = match idle {
            Some(connections) => connections,
            None => (Connection::open(&self.write).await?, Connection::open(&self.read).await?),
        };
        let status = write.ask(&command(key, number)).await?;
        let answered = Instant::now();
        let answer = write.answer();
        ensure!((200..300).contains(&status), "a booking was not taken: {answer}");
        let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
        let token = head.lines().find_map(|line| line.strip_prefix(ReadAfter::HEADER)?.strip_prefix(": "));
        let document: serde_json::Value = serde_json::from_str(body)?;
        let id = document["bookingId"].as_str().context("a booking without an id")?;
        ensure!(read.ask(&query(id, token.context("an answer without a token")?)).await? == 200, "{}", read.answer());
        let taken = answered.elapsed().as_secs_f64() * 1e3;
        ensure!(read.answer().contains("\"status\":\"CONFIRMED\""), "not the booking: {}", read.answer());
        self.idle.lock().await.push_back((write, read));
        Ok(taken)
    }
}

fn command(key: &str, number: u64) -> String {
    let check_in = Utc::now().date_naive() + Days::new(1 + number * 7 % 360);
    let (check_out, account, room_type) = (check_in + Days::new(1 + number % 3), 1 + number % 1_000, 1 + number % 50);
    let body = format!(
        r#"{{"accountId":"{account}","roomTypeId":"{room_type}","checkIn":"{check_in}","checkOut":"{check_out}","guests":{{"adults":2}},"nightlyRate":{{"amountMinor":0,"currency":"EUR"}}}}"#
    );
    let length = body.len();
    format!(
        "POST /direct-booking/bookings HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\nidempotency-key: {key}\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

fn query(id: &str, token: &str) -> String {
    const QUERY: &str = "query Booking($id: ID!) { booking(id: $id) { bookingId version status } }";
    let body = format!("{{\"query\":\"{QUERY}\",\"variables\":{{\"id\":\"{id}\"}}}}");
    let length = body.len();
    format!(
        "POST /graphql HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\nread-after: {token}\r\n\
         accept: application/graphql-response+json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}
