//! Other relays, for the same figures on the same machine.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

use super::{
    EVENTS, Scale,
    backlog::Backlog,
    drain::{self, Contestant},
    latency::{self, MILLISECONDS},
    progress,
    relay::Program,
    stage::{PUBLICATION, Stage, Target},
};
use crate::{
    peer::{Extent, Peer, Worker},
    report::Report,
};

const START: Duration = Duration::from_secs(90);
/// After it has begun to stream, so that it has noted from where.
const SETTLING: Duration = Duration::from_secs(4);

/// Measures it, and what ours is beside it: the ratio is ours to the peer's.
pub(super) async fn measure(peer: Peer, stage: &Stage, scale: Scale, report: &mut Report) -> Result<()> {
    progress(format_args!("fetching {}", peer.name()));
    peer.fetch(Extent::Relay).await?;
    let contestant = Contestant::Relay(Program::Peer(peer));
    let rates = drain::measure(stage, Backlog::batched(scale.backlog), scale.runs, &[contestant]).await?;
    report.add_rival(peer.name(), "drain_batched", EVENTS, &rates[0]);
    let mut runs = Vec::new();
    for _ in 0..scale.runs {
        runs.push(latency::relay(stage, Program::Peer(peer), 50, scale.latency_seconds).await?);
    }
    let (p50, p99): (Vec<_>, Vec<_>) = runs.iter().map(|run| (run.p50, run.p99)).unzip();
    report.add_rival(peer.name(), "latency_50_p50_ms", MILLISECONDS, &p50);
    report.add_rival(peer.name(), "latency_50_p99_ms", MILLISECONDS, &p99);
    report.add_rival(peer.name(), "rss_mib", "MiB", &stage.peak_of(peer.name()));
    peer.forget()
}

/// Starts it once, so that it notes the slot's position before there are rows.
pub(super) async fn prepare(peer: Peer, stage: &Stage, slot: &str, target: &Target) -> Result<()> {
    let worker = start(peer, stage, slot, target)?;
    let start = Instant::now();
    while stage.walsender(slot).await?.is_none() {
        if start.elapsed() > START {
            bail!("{} has not started to stream within {START:?}; its log:\n{}", peer.name(), worker.log());
        }
        sleep(Duration::from_millis(100)).await;
    }
    sleep(SETTLING).await;
    worker.stop().await?;
    // The server may notice a moment later.
    while stage.walsender(slot).await?.is_some() {
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Starts it with the memory of its last run on this slot.
pub(super) fn start(peer: Peer, stage: &Stage, slot: &str, target: &Target) -> Result<Worker> {
    let bootstrap = stage.kafka.bootstrap_servers();
    let settings =
        [("PUBLICATION", PUBLICATION), ("KAFKA_BOOTSTRAP_SERVERS", &bootstrap), ("TOPIC_PREFIX", &target.prefix)];
    peer.start(Extent::Relay, slot, &stage.url(), &settings)
}
