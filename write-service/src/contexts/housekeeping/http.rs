//! The routes of tasks: they are read here, and said to be done. What else becomes of them follows from the bookings.

use axum::http::StatusCode;
use chrono::NaiveDate;
use contracts::{housekeeping::TaskDocument, id::TaskId};
use deadpool_postgres::{Pool, Transaction};

use super::{domain::Refusal, store};
use crate::{
    action::Action, answer::Answer, body::Presence, command::Command, database, fields::Fields, path::Id,
    problem::Problem, reading::Readable, routes::Routes,
};

pub(crate) fn routes() -> Routes {
    Routes::new()
        .document::<TaskDocument>("/tasks/{id}", "The task as it is.")
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

impl Readable for TaskDocument {
    type Id = TaskId;

    async fn find(pool: &Pool, id: &TaskId) -> Result<Option<Self>, database::Error> {
        Ok(store::find(pool, id).await?.as_ref().map(Self::from))
    }
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
