//! Queries over GraphQL, beside one prepared statement that returns the same, driven by pgbench.

use std::time::Duration;

use anyhow::Result;

use super::{queries::QUERIES, stage::Stage};
use crate::{
    effort::{Effort, progress},
    http::Clients,
    report::Report,
    round::rates,
};

/// How many connections ask at the same time.
const CONNECTIONS: u32 = 16;

/// Measures; the most memory that the read service has had, in MiB.
pub(super) async fn measure(effort: Effort, report: &mut Report) -> Result<Option<f64>> {
    let duration = Duration::from_secs(if effort.quick { 2 } else { 15 });
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
            let round = stage.pgbench(query.statement, CONNECTIONS, duration).await?;
            floor.push(round.shown(&format!("pgbench: {}", query.name)));
            let round = clients.run(query.request, duration).await?;
            ours.push(round.shown(&format!("read-service: {}", query.name)));
        }
        report.add(query.name, "queries/s", &rates(&ours), &rates(&floor));
    }
    let peak = stage.peak_mib();
    stage.stop().await?;
    Ok(peak)
}
