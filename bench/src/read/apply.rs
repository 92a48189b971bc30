//! How fast a backlog of bookings is taken from Kafka into `view.booking`, beside COPY of as many rows into the same table.
//!
//! The read service is the real one; only the topic of the bookings has a backlog. A process that fills all views takes it up twice,
//! since the journal has a line for each event. Each run has a copy of the same database. See [`intake`] for what is timed.
//!
//! The floor is COPY FROM a file on the server, in the binary format, of rows that the read service has made of such a backlog, into
//! `view.booking` of another copy: the same columns, constraints and indexes, as full. Its time is that of the statement.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use chrono::{TimeDelta, Utc};

use super::{
    EVENTS, Scale,
    bookings::Bookings,
    house::{Database, EMPTY, House, Views},
    intake::{Backlog, intake},
    publisher::Publisher,
};
use crate::{effort::progress, report::Report, services::connect};

/// The numbers of the bookings for the empty table; those for the full one are below.
pub(super) const FIRST: u64 = 10_000_000;

/// The journal does not want what was recorded so long ago.
const AGE: TimeDelta = TimeDelta::days(100);

/// The floor's rows, in a file on the server.
pub(super) struct Rows {
    file: String,
    count: u64,
}

/// One event for each of so many new bookings, for an empty table; and the rows that they become.
pub(super) async fn prepare(house: &House, scale: Scale) -> Result<(Backlog, Rows)> {
    progress(format_args!("publishing {} bookings", scale.events));
    let prefix = house.topics().await?;
    let bookings = recent();
    publish(house, &prefix, (FIRST..FIRST + scale.events).map(|number| (bookings, number, 1)))?;
    let backlog = Backlog { prefix, database: EMPTY.to_owned(), applied: 0, waiting: scale.events };
    let rows = Rows { file: house.file("bookings.copy").await?, count: scale.events };
    let database = house.copy(EMPTY).await?;
    intake(house, &backlog, &database, Views::Bookings).await?;
    let write = format!("COPY view.booking TO '{}' (FORMAT binary)", rows.file);
    let written = connect(&database.url).await?.execute(&write, &[]).await.context("cannot write the floor's rows")?;
    ensure!(written == rows.count, "{written} rows were made of {} events", rows.count);
    house.remove(database).await?;
    Ok((backlog, rows))
}

/// Into an empty table: by a process that fills no other view, and by one that fills all of them.
pub(super) async fn into_empty(
    house: &House,
    backlog: &Backlog,
    rows: &Rows,
    scale: Scale,
    report: &mut Report,
) -> Result<()> {
    let ways = [("apply", Views::Bookings), ("apply_beside_all", Views::All)];
    compare(house, backlog, &ways, rows, scale, report).await
}

/// Into a table that has rows: half of the events are new bookings, half are the next version of one that is there, at random.
pub(super) async fn into_full(house: &House, rows: &Rows, scale: Scale, report: &mut Report) -> Result<()> {
    /// It has no factor in common with the number of rows, so no booking is changed twice.
    const STEP: u64 = 7_654_321;
    progress(format_args!("filling a view with {} bookings", scale.rows));
    let prefix = house.topics().await?;
    let old = Bookings::made_since(Utc::now() - AGE);
    publish(house, &prefix, (0..scale.rows).map(|number| (old, number, 1)))?;
    let full = house.copy(EMPTY).await?;
    let filling = Backlog { prefix: prefix.clone(), database: EMPTY.to_owned(), applied: 0, waiting: scale.rows };
    intake(house, &filling, &full, Views::Bookings).await?;
    connect(&full.url).await?.batch_execute("VACUUM ANALYZE").await.context("cannot tidy up the full view")?;
    let (new, changed) = (recent(), old.told_after(AGE - TimeDelta::hours(12)));
    publish(
        house,
        &prefix,
        (0..scale.events).map(|number| match number % 2 {
            0 => (new, scale.rows + number, 1),
            _ => (changed, number * STEP % scale.rows, 2),
        }),
    )?;
    let backlog = Backlog { prefix, database: full.name.clone(), applied: scale.rows, waiting: scale.events };
    compare(house, &backlog, &[("apply_large", Views::Bookings)], rows, scale, report).await?;
    house.remove(full).await
}

/// Lets the floor and the read service, in each of these ways, take turns.
async fn compare(
    house: &House,
    backlog: &Backlog,
    ways: &[(&str, Views)],
    rows: &Rows,
    scale: Scale,
    report: &mut Report,
) -> Result<()> {
    let (mut ours, mut floors) = (vec![Vec::new(); ways.len()], Vec::new());
    for _ in 0..scale.warm_up + scale.runs {
        let database = house.copy(&backlog.database).await?;
        floors.push(floor(&database, rows).await?);
        house.remove(database).await?;
        for ((_, views), ours) in ways.iter().zip(&mut ours) {
            let database = house.copy(&backlog.database).await?;
            ours.push(intake(house, backlog, &database, *views).await?);
            house.remove(database).await?;
        }
    }
    let skip = scale.warm_up as usize;
    for ((name, _), ours) in ways.iter().zip(&ours) {
        report.add(name, EVENTS, &ours[skip..], &floors[skip..]);
    }
    Ok(())
}

/// Rows a second.
pub(super) async fn floor(database: &Database, rows: &Rows) -> Result<f64> {
    let session = connect(&database.url).await?;
    let copy = format!("COPY view.booking FROM '{}' (FORMAT binary)", rows.file);
    let start = Instant::now();
    let copied = session.execute(&copy, &[]).await.context("cannot copy the floor's rows")?;
    let rate = copied as f64 / start.elapsed().as_secs_f64();
    progress(format_args!("floor: COPY of {copied} rows, {rate:.0}/s"));
    Ok(rate)
}

/// Bookings whose events the journal wants.
pub(super) fn recent() -> Bookings {
    Bookings::made_since(Utc::now() - TimeDelta::hours(12))
}

/// Publishes versions of bookings by their numbers.
pub(super) fn publish(house: &House, prefix: &str, told: impl Iterator<Item = (Bookings, u64, i64)>) -> Result<()> {
    let topic = format!("{prefix}{}", contracts::direct_booking::BOOKING.name);
    let publisher = Publisher::new(&house.kafka.bootstrap_servers(), &topic, "5")?;
    tokio::task::block_in_place(|| {
        for (bookings, number, version) in told {
            publisher.publish(&bookings.told(number, version)?)?;
        }
        publisher.finish()
    })
}
