//! How fast events that wait in the outbox come into the view: relay, Kafka and read service at the same time.
//!
//! Each run has a slot, rows, topics and a copy of the empty views of its own. The rows are inserted when the slot is made, after the
//! floor was measured, so that the slot has nothing to read but them and what the run itself writes. The read service is ready before
//! the relay starts. Time runs as for [`intake`](super::intake): from the first row that is applied, so the relay's start is not in it.

use std::time::Duration;

use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};

use super::{
    EVENTS, Scale,
    apply::{self, FIRST, Rows},
    house::{EMPTY, House, Views},
    intake::until_applied,
    outbox::Outbox,
    peer as rival,
};
use crate::{
    effort::progress,
    peer::{Extent, Peer},
    process::cpu,
    report::Report,
    services::{connect, end, until_ready},
};

/// Measures, in turns with the floor of `apply` and, where there is one, a peer; its ratio is ours to the peer's.
pub(super) async fn measure(
    house: &House,
    outbox: &Outbox,
    rows: &Rows,
    peer: Option<Peer>,
    scale: Scale,
    report: &mut Report,
) -> Result<()> {
    if let Some(peer) = peer {
        progress(format_args!("fetching {}", peer.name()));
        peer.fetch(Extent::Chain).await?;
    }
    house.drop_slot(outbox.name).await;
    let bookings = apply::recent();
    let (mut ours, mut floors, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..scale.warm_up + scale.runs {
        let database = house.copy(EMPTY).await?;
        floors.push(apply::floor(&database, rows).await?);
        house.remove(database).await?;
        let slot = format!("chain_{run}");
        outbox.empty().await?;
        outbox.slot(&slot).await?;
        outbox.fill((FIRST..FIRST + scale.events).map(|number| bookings.told(number, 1))).await?;
        ours.push(through(house, outbox, &slot, scale.events).await?);
        house.drop_slot(&slot).await;
        if let Some(peer) = peer.filter(|_| run >= scale.warm_up) {
            theirs.push(rival::through(peer, house, run, scale.events).await?);
        }
    }
    let skip = scale.warm_up as usize;
    report.add("chain", EVENTS, &ours[skip..], &floors[skip..]);
    if let Some(peer) = peer {
        report.add_rival(peer.name(), "chain", EVENTS, &theirs);
    }
    Ok(())
}

/// Events a second.
async fn through(house: &House, outbox: &Outbox, slot: &str, events: u64) -> Result<f64> {
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
