//! The half that fills the views: a projection for each, how far they are, and the end of the journal.

use inbox::Intake;
use telemetry::database::Database;
use tokio::task::JoinSet;

use super::{Error, Process};
use crate::{
    projection,
    settings::Projecting,
    view::{self, View},
};

/// A backlog keeps one of PostgreSQL's processes busy all the time: two of them take it nearly twice as fast.
const WRITERS: usize = 2;

/// One for each projection, one for what ends the journal, one for what tells how far all are, and some for those that are behind.
const CONNECTIONS: usize = View::ALL.len() + 7;

/// Starts it.
pub(super) fn start(
    database: Database,
    settings: Projecting,
    process: &Process,
    tasks: &mut JoinSet<()>,
) -> Result<(), Error> {
    let database = database.as_role(view::ROLE).application_name("read-service project");
    let intake = Intake {
        kafka: settings.kafka,
        service: "read-service".to_owned(),
        schema: view::SCHEMA.to_owned(),
        pool: database.pool_size(CONNECTIONS).synchronous().pool().map_err(Error::Connections)?,
        health: process.health.clone(),
        metrics: process.metrics.clone(),
        max_parked: settings.max_parked,
        writers: WRITERS,
        batch: inbox::BATCH,
        trace_messages: settings.trace_messages,
    };
    tasks.spawn(view::tell_lag(intake.pool.clone(), process.commits.all.clone(), process.shutdown.clone()));
    if settings.views.contains(projection::JOURNAL) {
        tasks.spawn(view::keep_journal(intake.pool.clone(), settings.journal_keep, process.shutdown.clone()));
    }
    for handler in projection::all(settings.journal_keep) {
        let name = handler.name();
        if !settings.views.contains(name) {
            continue;
        }
        let run = handler.run(intake.clone(), process.commits.of(name).clone(), process.shutdown.clone());
        // If it halts, it has said so in its health part: the others and the queries go on.
        tasks.spawn(async move {
            if let Err(halt) = run.await {
                tracing::error!(projection = name, error = %halt, "a projection has halted");
            }
        });
    }
    Ok(())
}
