//! The routes of tasks: they are read here, and said to be done. What else becomes of them follows from the bookings.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::get,
};
use chrono::NaiveDate;
use contracts::{housekeeping::TaskDocument, id::TaskId};
use deadpool_postgres::Transaction;

use super::{domain::Refusal, store};
use crate::{
    action::Action, answer::Answer, body::Presence, command::Command, fields::Fields, path::Id, problem::Problem,
    routes::Routes, shell::Shell,
};

pub(crate) fn routes() -> Routes {
    Routes::new()
        .document::<TaskDocument>("/tasks/{id}", "The task as it is.", get(document))
        .command::<Complete>("/tasks/{id}/complete")
}

struct Complete;

impl Action for Complete {
    type On = Id<TaskId>;
    type Document = TaskDocument;
    const NAME: &'static str = "CompleteTask";
    const SUMMARY: &'static str = "A task is done.";
    const STATUS: StatusCode = StatusCode::OK;
    const BODY: Presence = Presence::Optional;

    fn read(_: &mut Fields<'_>, _: NaiveDate) -> Option<Self> {
        Some(Self)
    }

    async fn perform(
        self,
        Id(id): Self::On,
        transaction: &Transaction<'_>,
        command: &Command,
    ) -> Result<Answer, Problem> {
        Ok(Answer::changed(store::complete(transaction, &id, command).await?))
    }
}

async fn document(State(shell): State<Shell>, Id(id): Id<TaskId>, headers: HeaderMap) -> Result<Answer, Problem> {
    if let Some(unchanged) = shell.unchanged::<TaskDocument>(id.as_str(), &headers).await {
        return Ok(unchanged);
    }
    let task = store::find(&shell.pool, &id).await?;
    Answer::document(&headers, task.as_ref().map(TaskDocument::from).as_ref())
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::AlreadyCompleted => {
                Problem::conflict("already-completed", "Already completed", "The task has been done.")
            }
            Refusal::Cancelled => {
                Problem::conflict("task-cancelled", "Task cancelled", "The task need not be done any more.")
            }
        }
    }
}
