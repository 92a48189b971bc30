//! The write side's benchmark: commands and documents over HTTP, beside the same SQL driven by pgbench.
//!
//! ```text
//! Stage (PostgreSQL, Kafka, write-service) -> rounds: Pgbench and Clients take turns -> Report
//! ```

mod requests;
mod scripts;
mod stage;

use std::time::Duration;

use anyhow::Result;

use self::{scripts::Script, stage::Stage};
use crate::{
    effort::{Effort, progress},
    http::Clients,
    report::Report,
    round::{p99s, rates},
};

/// How many connections ask at the same time.
const CONNECTIONS: u32 = 32;

/// How much is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    effort: Effort,

    /// Measure only these parts.
    #[arg(long, env = "ONLY", value_enum, value_delimiter = ',')]
    only: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    MakeBooking,
    GetNotModified,
}

/// Measures.
///
/// # Errors
/// When a server does not start, or anything that is asked for is refused.
pub(crate) async fn run(args: &Args) -> Result<Report> {
    let duration = Duration::from_secs(if args.effort.quick { 2 } else { 15 });
    let runs = args.effort.runs();
    let wanted = |part| args.only.is_empty() || args.only.contains(&part);
    let mut report = Report::new("commands");
    progress("starting PostgreSQL, Kafka and the write service");
    let stage = Stage::start().await?;
    let clients = Clients { address: stage.address.clone(), connections: CONNECTIONS };
    if wanted(Part::MakeBooking) {
        make_booking(&stage, &clients, runs, duration, &mut report).await?;
    }
    if wanted(Part::GetNotModified) {
        get_not_modified(&stage, &clients, runs, duration, &mut report).await?;
    }
    stage.stop().await?;
    Ok(report)
}

async fn make_booking(
    stage: &Stage,
    clients: &Clients,
    runs: u32,
    duration: Duration,
    report: &mut Report,
) -> Result<()> {
    progress("a round that does not count");
    let warm = duration / 3;
    clients.run(requests::booking, warm).await?;
    stage.pgbench(Script::MakeBooking, CONNECTIONS, warm).await?;

    let (mut ours, mut floor, mut without) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        floor.push(stage.pgbench(Script::MakeBooking, CONNECTIONS, duration).await?.shown("pgbench: a booking"));
        ours.push(clients.run(requests::booking, duration).await?.shown("write-service: a booking"));
        let round = stage.pgbench(Script::MakeBookingWithoutOutbox, CONNECTIONS, duration).await?;
        without.push(round.shown("pgbench: a booking without the outbox"));
    }
    report.add("make_booking", "bookings/s", &rates(&ours), &rates(&floor));
    report.add("make_booking_p99", "ms", &p99s(&ours), &p99s(&floor));
    report.add("outbox_cost", "bookings/s", &rates(&floor), &rates(&without));
    Ok(())
}

async fn get_not_modified(
    stage: &Stage,
    clients: &Clients,
    runs: u32,
    duration: Duration,
    report: &mut Report,
) -> Result<()> {
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        floor.push(stage.pgbench(Script::SelectVersion, CONNECTIONS, duration).await?.shown("pgbench: SELECT version"));
        ours.push(clients.run(requests::unchanged, duration).await?.shown("write-service: 304"));
    }
    report.add("get_not_modified", "requests/s", &rates(&ours), &rates(&floor));
    Ok(())
}
