//! From an insert to a consumer, beside a producer's own way to the same consumer. One process begins, reads and holds
//! the clock.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use tokio::task::{JoinSet, block_in_place};

use super::{
    Scale,
    backlog::Inserter,
    progress,
    relay::{Program, Relay},
    stage::Stage,
};
use crate::{pace, reader::Arrivals, report::Report, stats::percentile, warm::Producer};

/// The first seconds of a run, in which connections are made, are not counted.
const LEAD_IN: u64 = 2;
const CONNECTIONS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(30);
pub(super) const MILLISECONDS: &str = "ms";

/// Latencies of one run.
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// Measures one rate: ours and the floor in turns.
pub(super) async fn measure(stage: &Stage, rate: u32, scale: Scale, report: &mut Report) -> Result<()> {
    let (mut floors, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..scale.runs {
        floors.push(floor(stage, rate, scale.latency_seconds).await?);
        ours.push(relay(stage, Program::OURS, rate, scale.latency_seconds).await?);
    }
    let all = |runs: &[Latency], of: fn(&Latency) -> f64| runs.iter().map(of).collect::<Vec<_>>();
    for (name, of) in [("p50", (|run| run.p50) as fn(&Latency) -> f64), ("p99", |run| run.p99)] {
        report.add(&format!("latency_{rate}_{name}_ms"), MILLISECONDS, &all(&ours, of), &all(&floors, of));
    }
    Ok(())
}

/// Insert to readable, through a relay. The time of the commit, hence of the disk, is in it.
pub(super) async fn relay(stage: &Stage, program: Program, rate: u32, seconds: u64) -> Result<Latency> {
    let (slot, target) = (stage.slot().await?, stage.topic().await?);
    let arrivals = Arrivals::watch(&stage.kafka.bootstrap_servers(), &target.topic)?;
    let relay = Relay::start(program, stage, &slot, &target)?;
    let mut inserters = Vec::new();
    for _ in 0..CONNECTIONS {
        inserters.push(Arc::new(Inserter::new(stage).await?));
    }
    // Until the first has come through, everything is only starting.
    inserters[0].insert(u64::MAX).await?;
    block_in_place(|| arrivals.next(PATIENCE)).with_context(|| relay.log())?;
    let mut inserts = JoinSet::new();
    let mut turn = inserters.iter().cycle();
    let begun = pace::evenly(rate, LEAD_IN + seconds, |number| {
        if let Some(inserter) = turn.next().cloned() {
            inserts.spawn(async move { inserter.insert(number).await });
        }
        Ok(())
    })
    .await?;
    while let Some(insert) = inserts.join_next().await {
        insert??;
    }
    let latency = collect(&arrivals, &begun, rate).with_context(|| relay.log())?;
    told(&program.name(), rate, &latency);
    relay.stop(stage).await?;
    stage.clear(&[slot]).await?;
    stage.delete(&target).await?;
    Ok(latency)
}

/// Produce to readable, without PostgreSQL: `linger.ms` 0, acknowledged by all.
async fn floor(stage: &Stage, rate: u32, seconds: u64) -> Result<Latency> {
    let target = stage.topic().await?;
    let arrivals = Arrivals::watch(&stage.kafka.bootstrap_servers(), &target.topic)?;
    let producer = Producer::new(&stage.kafka.bootstrap_servers(), "0")?;
    producer.send(&target.topic, u64::MAX)?;
    block_in_place(|| arrivals.next(PATIENCE))?;
    let begun = pace::evenly(rate, LEAD_IN + seconds, |number| producer.send(&target.topic, number)).await?;
    let latency = collect(&arrivals, &begun, rate)?;
    told("floor", rate, &latency);
    block_in_place(|| producer.finish())?;
    stage.delete(&target).await?;
    Ok(latency)
}

fn collect(arrivals: &Arrivals, begun: &[std::time::Instant], rate: u32) -> Result<Latency> {
    let lead_in = usize::try_from(LEAD_IN * u64::from(rate))?;
    let mut millis = vec![None; begun.len()];
    let mut missing = begun.len();
    while missing > 0 {
        let (number, at) = block_in_place(|| arrivals.next(PATIENCE))?;
        let number = usize::try_from(number)?;
        let (Some(begun), Some(millis)) = (begun.get(number), millis.get_mut(number)) else { continue };
        if millis.is_none() {
            *millis = Some(at.saturating_duration_since(*begun).as_secs_f64() * 1e3);
            missing -= 1;
        }
    }
    let millis: Vec<f64> = millis.into_iter().flatten().skip(lead_in).collect();
    let of = |percent| percentile(&millis, percent).context("nothing was measured");
    Ok(Latency { p50: of(50)?, p99: of(99)? })
}

fn told(who: &str, rate: u32, latency: &Latency) {
    progress(format_args!("{who} at {rate}/s: p50 {:.2} ms, p99 {:.2} ms", latency.p50, latency.p99));
}
