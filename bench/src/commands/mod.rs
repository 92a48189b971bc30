//! The write side's benchmark: commands and documents over HTTP, beside the same SQL driven by pgbench.
//!
//! ```text
//! Stage (PostgreSQL, Kafka, write-service) -> rounds: Pgbench and Clients take turns -> Report
//! ```

mod client;
mod pgbench;
mod stage;

use std::time::Duration;

use anyhow::Result;
use clap::builder::FalseyValueParser;

use self::{
    client::{Clients, Request},
    pgbench::Script,
    stage::Stage,
};
use crate::{report::Report, stats};

/// How many connections ask at the same time.
const CONNECTIONS: u32 = 32;

/// How much is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often each figure is measured; the median counts.
    #[arg(long, env = "RUNS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,

    /// For a moment, once: whether it works, not how fast.
    #[arg(long, env = "QUICK", value_parser = FalseyValueParser::new())]
    quick: bool,
}

/// What came of one round.
pub(crate) struct Round {
    /// How many there were in a second.
    rate: f64,
    /// How long each took, in milliseconds.
    latencies: Vec<f64>,
}

impl Round {
    fn p99(&self) -> f64 {
        stats::percentile(&self.latencies, 99).unwrap_or_default()
    }
}

/// Measures.
///
/// # Errors
/// When a server does not start, or anything that is asked for is refused.
pub(crate) async fn run(args: &Args) -> Result<Report> {
    let (runs, duration) = if args.quick { (1, Duration::from_secs(2)) } else { (args.runs, Duration::from_secs(15)) };
    let mut report = Report::new("commands");
    progress("starting PostgreSQL, Kafka and the write service");
    let stage = Stage::start().await?;
    let clients = Clients::of(&stage, CONNECTIONS);

    progress("a round that does not count");
    let warm = duration / 3;
    clients.run(Request::MakeBooking, warm).await?;
    stage.pgbench(Script::MakeBooking, CONNECTIONS, warm).await?;

    let (mut ours, mut floor, mut without) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        floor.push(show("pgbench: a booking", stage.pgbench(Script::MakeBooking, CONNECTIONS, duration).await?));
        ours.push(show("write-service: a booking", clients.run(Request::MakeBooking, duration).await?));
        let round = stage.pgbench(Script::MakeBookingWithoutOutbox, CONNECTIONS, duration).await?;
        without.push(show("pgbench: a booking without the outbox", round));
    }
    let rates = |rounds: &[Round]| rounds.iter().map(|round| round.rate).collect::<Vec<_>>();
    let p99s = |rounds: &[Round]| rounds.iter().map(Round::p99).collect::<Vec<_>>();
    report.add("make_booking", "bookings/s", &rates(&ours), &rates(&floor));
    report.add("make_booking_p99", "ms", &p99s(&ours), &p99s(&floor));

    let (mut gets, mut selects) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        selects
            .push(show("pgbench: SELECT version", stage.pgbench(Script::SelectVersion, CONNECTIONS, duration).await?));
        gets.push(show("write-service: 304", clients.run(Request::NotModified, duration).await?));
    }
    report.add("get_not_modified", "requests/s", &rates(&gets), &rates(&selects));
    report.add("outbox_cost", "bookings/s", &rates(&floor), &rates(&without));
    stage.stop().await?;
    Ok(report)
}

fn show(what: &str, round: Round) -> Round {
    let (p50, p99) = (stats::percentile(&round.latencies, 50).unwrap_or_default(), round.p99());
    progress(format_args!("{what}: {:.0}/s, p50 {p50:.2} ms, p99 {p99:.2} ms", round.rate));
    round
}

/// Says on stderr what is going on.
fn progress(what: impl std::fmt::Display) {
    eprintln!("bench: {what}");
}
