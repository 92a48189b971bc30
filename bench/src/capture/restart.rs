//! From the start of the process to its first event, with slot and topic there and one row waiting.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::block_in_place;

use super::{
    backlog::Inserter,
    floor,
    latency::MILLISECONDS,
    progress,
    relay::{Program, Relay},
    stage::Stage,
};
use crate::{reader::Arrivals, report::Report};

const PATIENCE: Duration = Duration::from_secs(30);

/// The floor is `pg_recvlogical` from its start to its end, over the same row.
pub(super) async fn measure(stage: &Stage, runs: u32, report: &mut Report) -> Result<()> {
    let (slot, floor_slot, target) = (stage.slot().await?, stage.slot().await?, stage.topic().await?);
    let arrivals = Arrivals::watch(&stage.kafka.bootstrap_servers(), &target.topic)?;
    let inserter = Inserter::new(stage).await?;
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    // The first run makes what later ones find: it is not counted.
    for run in 0..=runs {
        inserter.insert(u64::from(run)).await?;
        let end = stage.settle().await?;
        let floor = floor::run(stage, &floor_slot, &end).await?;
        let start = Instant::now();
        let relay = Relay::start(Program::OURS, stage, &slot, &target)?;
        let (_, arrived) = block_in_place(|| arrivals.next(PATIENCE)).with_context(|| relay.log())?;
        let millis = arrived.saturating_duration_since(start).as_secs_f64() * 1e3;
        relay.stop(stage).await?;
        if run > 0 {
            progress(format_args!("restart: {millis:.0} ms, floor {:.0} ms", floor.elapsed.as_secs_f64() * 1e3));
            ours.push(millis);
            floors.push(floor.elapsed.as_secs_f64() * 1e3);
        }
    }
    drop(arrivals);
    report.add("restart_ms", MILLISECONDS, &ours, &floors);
    stage.clear(&[slot, floor_slot]).await?;
    stage.delete(&target).await
}
