//! The way of every command, from its request to its answer.
//!
//! An [`Action`] says how a command is read and what it does; this says the rest: its key, the wait for what it has to
//! have seen, and one transaction in which its effect, its event and its answer are kept together.

use axum::{
    body::Body,
    extract::{FromRequestParts, Request, State},
    http::StatusCode,
    routing::MethodRouter,
};
use chrono::NaiveDate;
use deadpool_postgres::Transaction;
use schemars::JsonSchema;
use serde_json::Value;

use crate::{
    answer::Answer,
    body::{self, Presence},
    command::Command,
    database,
    failure::Failure,
    fields::{self, Fields},
    idempotency::{Answers, Entry, Fingerprint, Scope},
    problem::Problem,
    read_after,
    shell::Shell,
};

/// What one kind of command is.
pub(crate) trait Action: Sized + Send + 'static {
    /// What its path names: an id, or `()` where the command makes what it is about.
    type On: FromRequestParts<Shell, Rejection: Into<Problem>> + Send;

    /// Its name: `OpenAccount`.
    const NAME: &'static str;

    /// What it does, in one line.
    const SUMMARY: &'static str;

    /// The status of its success.
    const STATUS: StatusCode;

    /// The document that it answers.
    type Document: JsonSchema;

    /// Whether its body may be left out.
    const BODY: Presence = Presence::Required;

    /// Reads the body's fields, all of them, so that one answer names every one that is wrong.
    fn read(fields: &mut Fields<'_>, today: NaiveDate) -> Option<Self>;

    /// Decides, and writes what is decided. All that it wrote is undone when it refuses.
    fn perform(
        self,
        on: Self::On,
        transaction: &Transaction<'_>,
        command: &Command,
    ) -> impl Future<Output = Result<Answer, Problem>> + Send;
}

/// The route of a command.
pub(crate) fn post<A: Action>() -> MethodRouter<Shell> {
    axum::routing::post(take::<A>)
}

async fn take<A: Action>(State(shell): State<Shell>, request: Request<Body>) -> Result<Answer, Problem> {
    let (mut parts, body) = request.into_parts();
    let on = A::On::from_request_parts(&mut parts, &shell).await.map_err(Into::into)?;
    let command = Command::from_request_parts(&mut parts, &shell).await?;
    let scope = Scope::of(&parts)?;
    let body = body::read(Request::from_parts(parts, body), A::BODY).await?;
    let fingerprint = Fingerprint::of(&body);
    if !command.read_after.is_empty() {
        // Neither a connection nor the key's lock is held while it waits.
        let client = shell.pool.get().await.map_err(database::Error::from)?;
        let kept = shell.answers.find(&client, &scope).await?;
        drop(client);
        if let Some(kept) = kept {
            return kept.again(fingerprint);
        }
        read_after::wait(&shell, &command.read_after).await?;
    }
    Ok(once::<A>(&shell, &scope, fingerprint, on, &body, &command).await?)
}

/// Does the command, or gives the answer that is kept from the first time.
async fn once<A: Action>(
    shell: &Shell,
    scope: &Scope,
    fingerprint: Fingerprint,
    on: A::On,
    body: &Value,
    command: &Command,
) -> Result<Answer, Failure<Problem>> {
    let mut client = shell.pool.get().await?;
    let transaction = client.transaction().await?;
    // Returning without a commit rolls back.
    match shell.answers.enter(&transaction, scope).await? {
        Entry::Kept(kept) => return kept.again(fingerprint).map_err(Failure::Refused),
        Entry::InFlight => return Err(Failure::Refused(in_flight())),
        Entry::Free => {}
    }
    let answer = match decide::<A>(on, body, &transaction, command).await {
        Ok(answer) => answer,
        Err(problem) => {
            let refusal = Answer::from(problem);
            if !refusal.is_definite() {
                return Ok(refusal);
            }
            Answers::undo(&transaction).await?;
            refusal
        }
    };
    shell.answers.keep(&transaction, scope, fingerprint, &answer).await?;
    transaction.commit().await?;
    Ok(answer)
}

async fn decide<A: Action>(
    on: A::On,
    body: &Value,
    transaction: &Transaction<'_>,
    command: &Command,
) -> Result<Answer, Problem> {
    let action = fields::read(body, |fields| A::read(fields, command.now.date_naive()))?;
    action.perform(on, transaction, command).await
}

fn in_flight() -> Problem {
    let detail =
        "The same command, with this Idempotency-Key, is being done at this moment. Send it again for its answer.";
    Problem::conflict("command-in-flight", "Command in flight", detail).retry_after(1)
}
