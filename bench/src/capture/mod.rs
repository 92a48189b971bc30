//! The outbox relay's benchmark: the order of its parts.
//!
//! ```text
//! Stage (PostgreSQL, Kafka) -> warm -> drain, latency, memory, restart: each runs Relay beside its floor -> Report
//! ```

mod backlog;
mod drain;
mod floor;
mod latency;
mod memory;
mod meter;
mod peer;
mod relay;
mod restart;
mod stage;

use anyhow::Result;

use self::{backlog::Backlog, drain::Contestant, relay::Program, stage::Stage};
use crate::{
    effort::{Effort, progress},
    peer::Peer,
    report::Report,
    warm,
};

const EVENTS: &str = "events/s";

/// How much is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    effort: Effort,

    /// Measure only these parts: drain-batched, drain-single, latency, memory, restart.
    #[arg(long, env = "ONLY", value_enum, value_delimiter = ',')]
    only: Vec<Part>,

    /// Measure another relay beside ours on the same machine.
    #[arg(long, env = "PEER", value_enum)]
    peer: Option<Peer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    DrainBatched,
    DrainSingle,
    Latency,
    Memory,
    Restart,
}

/// How much of everything.
#[derive(Clone, Copy, Debug)]
struct Scale {
    runs: u32,
    warm_records: u64,
    backlog: u64,
    latency_seconds: u64,
    large_transaction: u64,
    broker_stopped_seconds: u64,
}

impl Scale {
    fn of(effort: Effort) -> Self {
        let runs = effort.runs();
        if effort.quick {
            Self {
                runs,
                warm_records: 100_000,
                backlog: 30_000,
                latency_seconds: 3,
                large_transaction: 100_000,
                broker_stopped_seconds: 5,
            }
        } else {
            Self {
                runs,
                warm_records: 4_000_000,
                backlog: 300_000,
                latency_seconds: 20,
                large_transaction: 1_000_000,
                broker_stopped_seconds: 60,
            }
        }
    }
}

/// Measures everything that is asked for.
pub(crate) async fn run(args: &Args) -> Result<Report> {
    let scale = Scale::of(args.effort);
    let wanted = |part| args.only.is_empty() || args.only.contains(&part);
    let mut report = Report::new("capture");
    progress("starting PostgreSQL and Kafka");
    let stage = Stage::start().await?;
    warm::broker(&stage.kafka.bootstrap_servers(), scale.warm_records).await?;

    let (floor, ours) = (Contestant::Floor, Contestant::Relay(Program::OURS));
    if wanted(Part::DrainBatched) {
        let contestants = [floor, ours, Contestant::Relay(Program::OURS_TRANSACTIONAL)];
        let rates = drain::measure(&stage, Backlog::batched(scale.backlog), scale.runs, &contestants).await?;
        report.add("drain_batched", EVENTS, &rates[1], &rates[0]);
        report.add_beside("drain_transactional", EVENTS, &rates[2], "drain_batched");
    }
    if wanted(Part::DrainSingle) {
        let rates = drain::measure(&stage, Backlog::single(scale.backlog), scale.runs, &[floor, ours]).await?;
        report.add("drain_single", EVENTS, &rates[1], &rates[0]);
    }
    if wanted(Part::Latency) {
        for rate in [50, 500] {
            latency::measure(&stage, rate, scale, &mut report).await?;
        }
    }
    if wanted(Part::Memory) {
        memory::measure(&stage, scale).await?;
    }
    if wanted(Part::Restart) {
        restart::measure(&stage, scale.runs, &mut report).await?;
    }
    report.add("rss_mib", "MiB", &stage.peak_mib(), &[]);
    if let Some(peer) = args.peer {
        peer::measure(peer, &stage, scale, &mut report).await?;
    }
    Ok(report)
}
