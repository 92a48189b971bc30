//! The read side's benchmark: queries over GraphQL, beside one prepared statement that returns the same, driven by pgbench.
//!
//! ```text
//! Stage (PostgreSQL with filled views, read-service) -> rounds: Pgbench and Clients take turns -> Report
//! ```

mod queries;
mod stage;

use std::time::Duration;

use anyhow::Result;

use self::{queries::QUERIES, stage::Stage};
use crate::{
    effort::{Effort, progress},
    http::Clients,
    report::Report,
    round::rates,
};

/// How many connections ask at the same time.
const CONNECTIONS: u32 = 16;

/// How much is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    effort: Effort,
}

/// Measures.
///
/// # Errors
/// When a server does not start, or anything that is asked for is refused.
pub(crate) async fn run(args: &Args) -> Result<Report> {
    let duration = Duration::from_secs(if args.effort.quick { 2 } else { 15 });
    let mut report = Report::new("read");
    progress("starting PostgreSQL and the read service, filling the views");
    let stage = Stage::start().await?;
    let clients = Clients { address: stage.address.clone(), connections: CONNECTIONS };
    for query in &QUERIES {
        query.check(&stage.address).await?;
    }
    progress("a round that does not count");
    clients.run(QUERIES[0].request, duration / 3).await?;
    for query in &QUERIES {
        let (mut ours, mut floor) = (Vec::new(), Vec::new());
        for _ in 0..args.effort.runs() {
            let round = stage.pgbench(query.statement, CONNECTIONS, duration).await?;
            floor.push(round.shown(&format!("pgbench: {}", query.name)));
            let round = clients.run(query.request, duration).await?;
            ours.push(round.shown(&format!("read-service: {}", query.name)));
        }
        report.add(query.name, "queries/s", &rates(&ours), &rates(&floor));
    }
    report.add("rss_mib", "MiB", stage.peak_mib().as_slice(), &[]);
    stage.stop().await?;
    Ok(report)
}
