//! What breaks, breaks under load, again and again: afterwards the topic has, per key, exactly the committed rows in their
//! order, and of them no more twice than was on its way. Small in `make test`, at length in `make soak`.

use std::time::{Duration, Instant};

use servers::{Kafka, Mode, Postgres, PostgresOptions, Process, Release, TempDatabase, eventually, shared, topics};
use telemetry::CancellationToken;
use tokio::{sync::Semaphore, time::interval};
use tokio_postgres::NoTls;

use crate::{
    outbox::{Outbox, connect},
    process::Program,
};

/// How long a machine that is busy with something else may take for anything here.
const LONG: Duration = Duration::from_secs(600);
/// The relay's producer holds no more.
const IN_FLIGHT: usize = 200;
const KAFKA_CONFIG: (&str, &str) = ("KAFKA_CONFIG", "queue.buffering.max.messages=200\nbatch.size=50000");

/// How often a process dies: a few times, or as often as `SOAK` says.
fn deaths() -> usize {
    std::env::var("SOAK").map_or(5, |deaths| deaths.parse().expect("SOAK is a number of deaths"))
}

#[tokio::test]
async fn a_process_that_is_killed_repeats_no_more_than_was_in_flight() {
    is_killed_again_and_again(&Outbox::create("inflight").await).await;
}

#[tokio::test]
async fn a_process_on_postgres_18_that_is_killed_repeats_no_more_than_was_in_flight() {
    let server = Postgres::start(PostgresOptions { release: Release::Eighteen, ..PostgresOptions::default() });
    let server = server.await.unwrap();
    is_killed_again_and_again(&outbox_on(&server, "inflight18", &shared::kafka().bootstrap_servers).await).await;
}

async fn outbox_on(server: &Postgres, purpose: &str, bootstrap: &str) -> Outbox {
    let database = TempDatabase::create_on(&server.url("postgres"), purpose).await.unwrap();
    let outbox = Outbox::bare_in(database, purpose, bootstrap).await;
    outbox.create_topic("order", 4).await;
    outbox.set_up().await.unwrap();
    outbox
}

/// Kills the program while rows are written, each time when it has relayed a random part of them.
async fn is_killed_again_and_again(outbox: &Outbox) {
    /// Between two deaths; 20 rows each.
    const BATCHES: usize = 120;
    /// In bytes of log, of which those batches make far more.
    const FARTHEST: u64 = 400_000;
    let (deaths, began) = (deaths(), Instant::now());
    let rows = (20 * BATCHES * (deaths + 1)) as i64;
    let mut environment = outbox.environment();
    environment.push(KAFKA_CONFIG);
    let batches = Semaphore::new(BATCHES);
    let writing = async {
        for n in (0..rows).step_by(20) {
            batches.acquire().await.unwrap().forget();
            outbox.insert("k", n..n + 20).await;
        }
    };
    let killing = async {
        for _ in 0..deaths {
            batches.add_permits(BATCHES);
            let (before, distance) = (outbox.confirmed().await, rand::random_range(1..FARTHEST));
            let process = Process::spawn("cdc-capture", ["run"], &environment).unwrap();
            eventually("it has relayed so much", LONG, async || {
                outbox.confirmed().await.bytes_since(before) >= distance
            })
            .await;
            process.kill().await.unwrap();
        }
    };
    tokio::join!(writing, killing);
    let relay = outbox.start_ready().await;
    outbox.drained_within(LONG).await;
    relay.stop().await;
    let repeated = outbox.assert_all_there("k", rows).await;
    println!("{repeated} of {rows} were repeated in {deaths} deaths, in {:?}", began.elapsed());
    assert!(repeated <= deaths * IN_FLIGHT, "{repeated}");
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    RelayDies,
    BrokerDies,
    BrokerRestarts,
    ServerCrashes,
    ServerRestarts,
    WalsenderEnds,
    /// A transaction that holds everything up for a while, with a death in its middle.
    LargeTransaction,
    /// An event over the topic's limit, which is raised then.
    TooLarge,
}

#[tokio::test]
async fn whatever_breaks_under_load_the_topic_has_the_committed_rows_in_order() {
    let (deaths, began) = (deaths(), Instant::now());
    let rounds = (deaths / 10).max(1);
    let (mut server, mut broker) =
        (Postgres::start(PostgresOptions::default()).await.unwrap(), Kafka::start().await.unwrap());
    let mut outbox = outbox_on(&server, "soak", &broker.bootstrap_servers()).await;
    let topic = outbox.kafka.topic("order");
    let (url, stop) = (outbox.database.url(), CancellationToken::new());
    let ends_writing = stop.clone().drop_guard();
    let writing = tokio::spawn(async move { write_until(&stop, &url).await });
    let (mut large, mut too_large, mut faults) = (0, 0, 0);
    let mut program = Program::run(&outbox, &[KAFKA_CONFIG]);
    for round in 0..rounds {
        for fault in [
            Fault::RelayDies,
            Fault::BrokerDies,
            Fault::ServerCrashes,
            Fault::WalsenderEnds,
            Fault::LargeTransaction,
            Fault::BrokerRestarts,
            Fault::TooLarge,
            Fault::ServerRestarts,
        ] {
            match fault {
                Fault::RelayDies => {
                    program.process.kill().await.unwrap();
                    program = Program::run(&outbox, &[KAFKA_CONFIG]);
                }
                Fault::BrokerDies => {
                    broker.kill().await.unwrap();
                    broker.start_again().await.unwrap();
                }
                Fault::BrokerRestarts => {
                    broker.stop().await.unwrap();
                    broker.start_again().await.unwrap();
                }
                Fault::ServerCrashes | Fault::ServerRestarts => {
                    let mode = if matches!(fault, Fault::ServerCrashes) { Mode::Immediate } else { Mode::Fast };
                    server.stop(mode).await.unwrap();
                    server.start_again().await.unwrap();
                    outbox.client = connect(&outbox.database.url()).await;
                }
                Fault::WalsenderEnds => {
                    let terminate =
                        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1";
                    outbox.client.query(terminate, &[&outbox.slot]).await.unwrap();
                }
                Fault::LargeTransaction => {
                    let rows = if round == 0 { 10_000 * deaths as i64 } else { 10_000 };
                    outbox.insert("large", large..large + rows).await;
                    large += rows;
                    eventually("a part of it is there", LONG, async || {
                        let metrics = program.get("/metrics").await?;
                        let held_up = metrics.lines().find_map(|line| line.strip_prefix("capture_in_flight_events "));
                        Ok::<_, String>(held_up.filter(|events| *events != "0").map(drop))
                    })
                    .await;
                    program.process.kill().await.unwrap();
                    program = Program::run(&outbox, &[KAFKA_CONFIG]);
                }
                Fault::TooLarge => {
                    let bootstrap = &outbox.kafka.bootstrap_servers;
                    topics::configure(bootstrap, &topic, &[("max.message.bytes", "100000")]).await.unwrap();
                    outbox
                        .execute(&format!(
                            "INSERT INTO sales.outbox (aggregatetype, aggregateid, type, payload) VALUES ('order',
                             'too-large', 'Changed', json_build_object('n', {too_large}, 'text', repeat('x', 200000)))"
                        ))
                        .await;
                    too_large += 1;
                    program.until_readyz_says("halted: ").await;
                    topics::configure(bootstrap, &topic, &[("max.message.bytes", "4000000")]).await.unwrap();
                }
            }
            faults += 1;
            outbox.drained_within(LONG).await;
        }
    }
    drop(ends_writing);
    let small = writing.await.unwrap();
    outbox.drained_within(LONG).await;
    program.end().await;
    let mut repeated = 0;
    for (key, rows) in [("small", small), ("large", large), ("too-large", too_large)] {
        repeated += outbox.assert_all_there(key, rows).await;
    }
    let rows = small + large + too_large;
    println!("{repeated} of {rows} were repeated by {faults} faults, in {:?}", began.elapsed());
    assert!(repeated <= faults * IN_FLIGHT, "{repeated}");
}

/// Writes on, whatever becomes of the server, and gives how many rows have committed.
async fn write_until(stop: &CancellationToken, url: &str) -> i64 {
    let mut ticks = interval(Duration::from_millis(10));
    let mut next = 0;
    loop {
        ticks.tick().await;
        let Ok((client, connection)) = tokio_postgres::connect(url, NoTls).await else { continue };
        // Ends with the client.
        tokio::spawn(connection);
        // The last one may have committed without a word.
        let count = "SELECT count(*) FROM sales.outbox WHERE aggregateid = 'small'";
        let Ok(row) = client.query_one(count, &[]).await else { continue };
        next = row.get::<_, i64>(0).max(next);
        while !stop.is_cancelled() {
            let statement = "INSERT INTO sales.outbox (aggregatetype, aggregateid, type, payload)
                SELECT 'order', 'small', 'Changed', json_build_object('n', n)
                FROM generate_series($1::bigint, $1::bigint + 9) n";
            if client.execute(statement, &[&next]).await.is_err() {
                break;
            }
            next += 10;
            ticks.tick().await;
        }
        if stop.is_cancelled() {
            return next;
        }
    }
}
