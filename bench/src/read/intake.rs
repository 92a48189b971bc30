//! Taking in a backlog: the read service is started on a copy of a database, and timed until everything is in its view.
//!
//! Time is PostgreSQL's. It runs from the moment at which the first row was applied until all offsets of the bookings' projection are
//! found at their ends, which is looked for each 20 ms. So neither the start of the process nor joining the group is in it, nor the
//! reading of the first batch; the commit of the last one is.

use std::time::Duration;

use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};
use contracts::direct_booking::BOOKING;
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;

use super::house::{Database, House, ReadService, Views};
use crate::{effort::progress, process::cpu, services::connect};

const LOOK: Duration = Duration::from_millis(20);
/// How long nothing may be applied.
const STALL: Duration = Duration::from_secs(60);

/// What waits on the topic of the bookings.
pub(super) struct Backlog {
    /// Before the names of the topics.
    pub(super) prefix: String,
    /// Of which database each run has a copy.
    pub(super) database: String,
    /// How many events that database has had already.
    pub(super) applied: u64,
    /// How many wait.
    pub(super) waiting: u64,
}

/// Events a second.
pub(super) async fn intake(house: &House, backlog: &Backlog, database: &Database, views: Views) -> Result<f64> {
    let session = connect(&database.url).await?;
    let service = house.read_service(database, &backlog.prefix, views)?;
    let begun = session.query_one("SELECT clock_timestamp()", &[]).await?.get::<_, DateTime<Utc>>(0);
    let end = until_applied(&session, &backlog.prefix, backlog.applied + backlog.waiting, &service).await?;
    let used = Used::of(&session, &service).await?;
    let first = "SELECT min(applied_at), count(*) FROM view.booking WHERE applied_at >= $1";
    let row = session.query_one(first, &[&begun]).await?;
    let (first, rows): (DateTime<Utc>, i64) = (row.get(0), row.get(1));
    ensure!(rows.unsigned_abs() == backlog.waiting, "{rows} rows of {} events", backlog.waiting);
    let rate = backlog.waiting as f64 / (end - first).as_seconds_f64();
    progress(format_args!("read-service, {views:?}: {rate:.0}/s; {}", used.each(backlog.waiting)));
    house.end(service).await?;
    Ok(rate)
}

/// Waits until so many bookings' events are applied: when.
pub(super) async fn until_applied(
    session: &Client,
    prefix: &str,
    wanted: u64,
    service: &ReadService,
) -> Result<DateTime<Utc>> {
    let (mut seen, mut moved) = (0, Instant::now());
    loop {
        let (applied, now) = applied(session, prefix).await?;
        if applied >= wanted {
            return Ok(now);
        }
        if applied > seen {
            (seen, moved) = (applied, Instant::now());
        }
        let log = || service.process.log();
        ensure!(moved.elapsed() < STALL, "{applied} of {wanted} were applied, then nothing; the log:\n{}", log());
        sleep(LOOK).await;
    }
}

/// How many events the bookings' projection has had, and PostgreSQL's time.
async fn applied(session: &Client, prefix: &str) -> Result<(u64, DateTime<Utc>)> {
    let ask = "SELECT coalesce(sum(next_offset), 0)::bigint, clock_timestamp() FROM view.inbox_offset
               WHERE handler = 'booking' AND topic = $1";
    let row = session.query_one(ask, &[&format!("{prefix}{}", BOOKING.name)]).await?;
    Ok((row.get::<_, i64>(0).unsigned_abs(), row.get(1)))
}

/// CPU time.
struct Used(Vec<(&'static str, Duration)>);

impl Used {
    /// What the service and PostgreSQL's processes for it have used since they started.
    async fn of(session: &Client, service: &ReadService) -> Result<Self> {
        let backends = "SELECT pid FROM pg_stat_activity WHERE application_name = 'read-service project'
                        AND datname = current_database()";
        let backends = session.query(backends, &[]).await?;
        let backends = backends.iter().filter_map(|row| cpu(row.get::<_, i32>(0).unsigned_abs())).sum();
        Ok(Self(vec![("read-service", cpu(service.process.pid()).unwrap_or_default()), ("PostgreSQL", backends)]))
    }

    /// In words: microseconds for an event.
    fn each(&self, events: u64) -> String {
        let each = |(name, used): &(_, Duration)| format!("{name} {:.1}", used.as_secs_f64() * 1e6 / events as f64);
        format!("CPU µs an event: {}", self.0.iter().map(each).collect::<Vec<_>>().join(", "))
    }
}
