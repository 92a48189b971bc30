//! Queries over GraphQL, beside one prepared statement that returns the same, driven by pgbench.

use std::time::Duration;

use anyhow::Result;

use super::{queries::QUERIES, stage::Stage};
use crate::{
    effort::{Effort, progress},
    http::Clients,
    report::Report,
    round::{Round, rates},
};

/// How many connections ask at the same time.
const CONNECTIONS: u32 = 16;

/// Into how many turns the time of a run is cut: a shared machine's speed changes within seconds, and both sides are to have the
/// same of it.
const TURNS: u32 = 5;

/// Measures; the most memory that the read service has had, in MiB.
pub(super) async fn measure(effort: Effort, report: &mut Report) -> Result<Option<f64>> {
    let duration = Duration::from_secs(if effort.quick { 5 } else { 15 });
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
        for _ in 0..effort.runs() {
            let (mut our_turns, mut floor_turns) = (Vec::new(), Vec::new());
            for _ in 0..TURNS {
                floor_turns.push(stage.pgbench(query.statement, CONNECTIONS, duration / TURNS).await?);
                our_turns.push(clients.run(query.request, duration / TURNS).await?);
            }
            floor.push(Round::of(floor_turns).shown(&format!("pgbench: {}", query.name)));
            ours.push(Round::of(our_turns).shown(&format!("read-service: {}", query.name)));
        }
        report.add(query.name, "queries/s", &rates(&ours), &rates(&floor));
    }
    let peak = stage.peak_mib();
    stage.stop().await?;
    Ok(peak)
}
