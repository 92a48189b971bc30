//! The read side's benchmark: the order of its parts.
//!
//! ```text
//! graphql                  Stage (PostgreSQL with filled views, read-service): pgbench and clients take turns
//! apply                    House (PostgreSQL, Kafka): a backlog on Kafka into a view, beside COPY
//! chain                    a backlog in an outbox, through the relay and Kafka into a view
//! visible                  from a command's answer to a query's
//! subscribers              from a change to all who follow it
//! -> Report
//! ```

mod apply;
mod bookings;
mod chain;
mod graphql;
mod house;
mod intake;
mod outbox;
mod peer;
mod publisher;
mod queries;
mod rebuild;
mod stage;
mod subscribers;
mod visible;
mod websocket;

use anyhow::Result;

use self::{house::House, outbox::Outbox};
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

    /// Measure only these parts: queries, apply, apply-large, rebuild, chain, commit-to-visible, subscribers.
    #[arg(long, env = "ONLY", value_enum, value_delimiter = ',')]
    only: Vec<Part>,

    /// Measure another chain beside ours on the same machine.
    #[arg(long, env = "PEER", value_enum)]
    peer: Option<Peer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Queries,
    Apply,
    ApplyLarge,
    Rebuild,
    Chain,
    CommitToVisible,
    Subscribers,
}

/// How much of everything.
#[derive(Clone, Copy, Debug)]
struct Scale {
    runs: u32,
    /// What the broker has written and read before anything counts.
    warm_records: u64,
    /// Rounds that do not count: the broker's JIT and the page cache need them.
    warm_up: u32,
    /// Events of a backlog.
    events: u64,
    /// Rows of a view that is full.
    rows: u64,
    /// How long there is load.
    seconds: u64,
    subscribers: u64,
}

impl Scale {
    fn of(effort: Effort) -> Self {
        let runs = effort.runs();
        if effort.quick {
            Self { runs, warm_records: 100_000, warm_up: 0, events: 20_000, rows: 50_000, seconds: 3, subscribers: 500 }
        } else {
            Self {
                runs,
                warm_records: 4_000_000,
                warm_up: 1,
                events: 300_000,
                rows: 1_000_000,
                seconds: 20,
                subscribers: 5_000,
            }
        }
    }
}

/// Measures everything that is asked for.
///
/// # Errors
/// When a server does not start, or anything that is asked for is refused.
pub(crate) async fn run(args: &Args) -> Result<Report> {
    let scale = Scale::of(args.effort);
    let wanted = |part| args.only.is_empty() || args.only.contains(&part);
    let mut report = Report::new("read");
    let mut peaks = Vec::new();
    if wanted(Part::Queries) {
        peaks.extend(graphql::measure(args.effort, &mut report).await?);
    }
    progress("starting PostgreSQL and Kafka");
    let house = House::open().await?;
    if args.only != [Part::Queries] {
        warm::broker(&house.kafka.bootstrap_servers(), scale.warm_records).await?;
    }
    if wanted(Part::Apply) || wanted(Part::ApplyLarge) || wanted(Part::Chain) {
        let (backlog, rows) = apply::prepare(&house, scale).await?;
        if wanted(Part::Apply) {
            apply::into_empty(&house, &backlog, &rows, scale, &mut report).await?;
        }
        if wanted(Part::ApplyLarge) {
            apply::into_full(&house, &rows, scale, &mut report).await?;
        }
        if wanted(Part::Chain) {
            let outbox = Outbox::open(&house, "backlog").await?;
            chain::measure(&house, &outbox, &rows, args.peer, scale, &mut report).await?;
        }
    }
    if wanted(Part::Rebuild) {
        rebuild::measure(&house, scale, &mut report).await?;
    }
    if wanted(Part::CommitToVisible) {
        visible::measure(&house, &Outbox::open(&house, "hotel").await?, scale, &mut report).await?;
    }
    peaks.extend(house.peak_mib());
    report.add("rss_mib", "MiB", peaks.into_iter().reduce(f64::max).as_slice(), &[]);
    // What subscribers need comes on top, and has a figure of its own.
    if wanted(Part::Subscribers) {
        subscribers::measure(&house, scale, &mut report).await?;
    }
    Ok(report)
}
