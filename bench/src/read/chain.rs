//! How fast events that wait in the outbox come into the view: relay, Kafka and read service at the same time.
//!
//! All slots are made before there are rows, one for each run, and each run has topics and a copy of the empty views of its own. The
//! read service is ready before the relay starts. Time runs as for [`intake`](super::intake): from the first row that is applied, so
//! the relay's start is not in it.

use std::time::Duration;

use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};

use super::{
    EVENTS, Scale,
    apply::{self, FIRST, Rows},
    house::{EMPTY, House, Views},
    intake::until_applied,
    outbox::Outbox,
};
use crate::{
    effort::progress,
    process::cpu,
    report::Report,
    services::{connect, end, until_ready},
};

/// Measures, beside the floor of `apply`.
pub(super) async fn measure(
    house: &House,
    outbox: &Outbox,
    rows: &Rows,
    scale: Scale,
    report: &mut Report,
) -> Result<()> {
    progress(format_args!("{} events in the outbox", scale.events));
    let slots: Vec<_> = (0..scale.warm_up + scale.runs).map(|run| format!("chain_{run}")).collect();
    for slot in &slots {
        outbox.slot(slot).await?;
    }
    house.drop_slot(outbox.name).await;
    let bookings = apply::recent();
    outbox.fill((FIRST..FIRST + scale.events).map(|number| bookings.told(number, 1))).await?;
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for slot in &slots {
        let database = house.copy(EMPTY).await?;
        floors.push(apply::floor(&database, rows).await?);
        house.remove(database).await?;
        ours.push(run(house, outbox, slot, scale.events).await?);
        house.drop_slot(slot).await;
    }
    let skip = scale.warm_up as usize;
    report.add("chain", EVENTS, &ours[skip..], &floors[skip..]);
    Ok(())
}

/// Events a second.
async fn run(house: &House, outbox: &Outbox, slot: &str, events: u64) -> Result<f64> {
    let (prefix, database) = (house.topics().await?, house.copy(EMPTY).await?);
    let session = connect(&database.url).await?;
    let service = house.read_service(&database, &prefix, Views::Bookings)?;
    until_ready(&service.address, &service.process).await;
    let relay = outbox.relay(house, slot, &prefix)?;
    let last = until_applied(&session, &prefix, events, &service).await?;
    let row = session.query_one("SELECT min(applied_at), count(*) FROM view.booking", &[]).await?;
    let (first, rows): (DateTime<Utc>, i64) = (row.get(0), row.get(1));
    ensure!(rows.unsigned_abs() == events, "{rows} rows of {events} events");
    let rate = events as f64 / (last - first).as_seconds_f64();
    let each = |used: Option<Duration>| used.unwrap_or_default().as_secs_f64() * 1e6 / events as f64;
    let (of_relay, of_service) = (each(cpu(relay.pid())), each(cpu(service.process.pid())));
    progress(format_args!("chain: {rate:.0}/s; CPU µs an event: relay {of_relay:.1}, read-service {of_service:.1}"));
    end(relay, "cdc-capture").await?;
    house.end(service).await?;
    house.remove(database).await?;
    Ok(rate)
}
