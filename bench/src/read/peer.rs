//! Debezium's way from an outbox to a table, for the same figure on the same machine: its outbox event router and its JDBC sink on one
//! worker.
//!
//! The sink makes its table by what it reads, so it has documents that are flat and all of the same members, in an outbox of their own,
//! and a table with a primary key and no other index. The worker has taken in a tenth of as many events before, since a JVM has to get
//! warm, and is stopped (SIGSTOP) while the backlog is inserted. Time runs from the first row to the last, by a column whose default is
//! the time.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use servers::topics;
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;

use super::house::House;
use crate::{
    effort::progress,
    peer::{Extent, Peer, Worker},
    process::peak_mib,
    services::{connect, execute},
};

const SLOT: &str = "peer";
const TABLE: &str = "booking_view";
const PARTITIONS: i32 = contracts::direct_booking::BOOKING.partitions;
/// Rows of a transaction.
const TRANSACTION: u64 = 10_000;
const LOOK: Duration = Duration::from_millis(200);
/// How long nothing may arrive.
const STALL: Duration = Duration::from_secs(90);

const OUTBOX: &str = "
    CREATE TABLE outbox (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregatetype varchar(255) NOT NULL, aggregateid varchar(255) NOT NULL,
        type varchar(255) NOT NULL, payload jsonb NOT NULL);
    CREATE PUBLICATION peer FOR TABLE outbox WITH (publish = 'insert');
    SELECT pg_create_logical_replication_slot('peer', 'pgoutput')";

const INSERT: &str = "
    INSERT INTO outbox (aggregatetype, aggregateid, type, payload)
    SELECT 'booking', key, 'hotel.direct-booking.BookingMadeOnAccount.v1', jsonb_build_object(
        'bookingId', key, 'version', 1, 'status', 'PENDING', 'accountId', 'account-' || n * 7919 % 5000,
        'roomTypeId', 'type-' || n % 50, 'checkIn', date '2027-01-01' + (n * 31 % 360)::int,
        'checkOut', date '2027-01-03' + (n * 31 % 360)::int, 'adults', 2, 'children', n % 3, 'babies', n % 2,
        'nightlyRateMinor', 5000 + n % 200 * 100, 'nightlyRateCurrency', 'EUR', 'totalMinor', 10000 + n % 200 * 200,
        'totalCurrency', 'EUR', 'madeAt', now() + n * interval '1 ms')
    FROM (SELECT gen_random_uuid()::text AS key, n FROM generate_series(1, $1::bigint) AS n) AS made";

/// Events a second. It has been fetched.
pub(super) async fn through(peer: Peer, house: &House, run: u32, events: u64) -> Result<f64> {
    let (outbox, view) =
        (house.database(&format!("peer_outbox_{run}")).await?, house.database(&format!("peer_view_{run}")).await?);
    let (writing, reading) = (connect(&outbox.url).await?, connect(&view.url).await?);
    execute(&writing, OUTBOX).await?;
    let prefix = format!("peer-{run}.");
    let bootstrap = house.kafka.bootstrap_servers();
    topics::create(&bootstrap, &format!("{prefix}booking"), PARTITIONS, &[]).await?;
    let settings = [
        ("PUBLICATION", SLOT),
        ("KAFKA_BOOTSTRAP_SERVERS", bootstrap.as_str()),
        ("TOPIC_PREFIX", &prefix),
        ("SINK_DATABASE_NAME", &view.name),
        ("SINK_TABLE", TABLE),
    ];
    let worker = peer.start(Extent::Chain, SLOT, &outbox.url, &settings)?;
    until_streaming(&writing, &worker).await?;
    let warm = events / 10;
    insert(&writing, warm).await?;
    until_there(&reading, warm, &worker).await?;
    let alter = format!("ALTER TABLE {TABLE} ADD applied_at timestamptz DEFAULT clock_timestamp()");
    reading.batch_execute(&alter).await.context("cannot note when rows come")?;
    worker.pause().await?;
    insert(&writing, events).await?;
    worker.resume().await?;
    until_there(&reading, warm + events, &worker).await?;
    // Those that were there have the time at which the column was added.
    let ask = format!(
        "SELECT count(*), extract(epoch FROM max(applied_at) - min(applied_at))::float8 FROM {TABLE}
         WHERE applied_at > (SELECT max(applied_at) FROM (SELECT applied_at FROM {TABLE} ORDER BY applied_at LIMIT $1) AS warm)"
    );
    let row = reading.query_one(&ask, &[&warm.cast_signed()]).await?;
    let (rows, seconds): (i64, f64) = (row.get(0), row.get(1));
    ensure!(rows.unsigned_abs() == events, "{rows} rows of {events} events");
    let (rate, mib) = (events as f64 / seconds, peak_mib(worker.pid()).unwrap_or_default());
    progress(format_args!("{}: {rate:.0}/s, resident at most {mib:.0} MiB", peer.name()));
    worker.stop().await?;
    drop((writing, reading));
    house.drop_slot(SLOT).await;
    house.remove(outbox).await?;
    house.remove(view).await?;
    peer.forget()?;
    Ok(rate)
}

async fn insert(outbox: &Client, rows: u64) -> Result<()> {
    let mut left = rows;
    while left > 0 {
        let some = left.min(TRANSACTION);
        outbox.execute(INSERT, &[&some.cast_signed()]).await.context("cannot write to the outbox")?;
        left -= some;
    }
    Ok(())
}

async fn until_streaming(outbox: &Client, worker: &Worker) -> Result<()> {
    let start = Instant::now();
    let ask = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1 AND active";
    while outbox.query_one(ask, &[&SLOT]).await?.get::<_, i64>(0) == 0 {
        ensure!(start.elapsed() < STALL, "the peer does not stream; its log:\n{}", worker.log());
        sleep(LOOK).await;
    }
    Ok(())
}

async fn until_there(view: &Client, rows: u64, worker: &Worker) -> Result<()> {
    let (mut seen, mut moved) = (0, Instant::now());
    while seen < rows.cast_signed() {
        sleep(LOOK).await;
        // There is no table before the first row.
        let ask = format!("SELECT count(*) FROM {TABLE}");
        let now = view.query_one(&ask, &[]).await.map_or(0, |row| row.get::<_, i64>(0));
        if now > seen {
            (seen, moved) = (now, Instant::now());
        }
        ensure!(moved.elapsed() < STALL, "{seen} of {rows} rows, then nothing; the peer's log:\n{}", worker.log());
    }
    Ok(())
}
