//! The way of every command, from its request to its answer.
//!
//! An [`Action`] says how a command is read and what it does; this says the rest: its key, the wait for what it has to
//! have seen, and one transaction in which its effect, its event and its answer are kept together.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequestParts, Request, State},
    http::StatusCode,
    routing::MethodRouter,
};
use chrono::NaiveDate;
use deadpool_postgres::{Pool, Transaction};
use futures::future::BoxFuture;
use inbox::Seen;
use schemars::JsonSchema;
use serde_json::Value;

use crate::{
    answer::Answer,
    body::{self, Presence},
    command::Command,
    database,
    failure::Failure,
    fields::{self, Fields},
    idempotency::{Answers, Entry, Fingerprint, Kept, Scope},
    prefer::Prefer,
    problem::Problem,
    read_after,
    shell::Shell,
};

/// What one kind of command is.
pub(crate) trait Action: Sized + Send + 'static {
    /// What its path names: an id, or `()` where the command makes what it is about.
    type On: FromRequestParts<Arc<Shell>, Rejection: Into<Problem>> + Send;

    /// Its name: `OpenAccount`.
    const NAME: &'static str;

    /// What it does, in one line.
    const SUMMARY: &'static str;

    /// The status of its success.
    const STATUS: StatusCode;

    /// The document that it answers.
    type Document: JsonSchema;

    /// Where it only begins something: how to see what has come of it. Until that is known its answer is 202.
    const OUTCOME: Option<Outcome> = None;

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

/// What has come of what a command began: gives the answer that it had at first with what is known now; `None` while it is not.
pub(crate) type Outcome = for<'a> fn(&'a Pool, &'a Answer) -> BoxFuture<'a, Result<Option<Answer>, Problem>>;

/// The route of a command.
pub(crate) fn post<A: Action>() -> MethodRouter<Arc<Shell>> {
    axum::routing::post(take::<A>)
}

async fn take<A: Action>(State(shell): State<Arc<Shell>>, request: Request<Body>) -> Result<Answer, Problem> {
    let (mut parts, body) = request.into_parts();
    let on = A::On::from_request_parts(&mut parts, &shell).await.map_err(Into::into)?;
    let command = Command::from_request_parts(&mut parts, &shell).await?;
    let scope = Scope::of(&parts)?;
    let prefer = Prefer::of(&parts.headers);
    let body = body::read(Request::from_parts(parts, body), A::BODY).await?;
    let answer = answer::<A>(&shell, &scope, on, &body, &command).await?;
    match A::OUTCOME {
        Some(outcome) if answer.status == StatusCode::ACCEPTED => Ok(wait_for(outcome, answer, prefer, &shell).await),
        _ => Ok(answer),
    }
}

async fn answer<A: Action>(
    shell: &Shell,
    scope: &Scope,
    on: A::On,
    body: &Value,
    command: &Command,
) -> Result<Answer, Problem> {
    let fingerprint = Fingerprint::of(body);
    if !command.read_after.is_empty() {
        // Neither a connection nor the key's lock is held while it waits.
        let client = shell.pool.get().await.map_err(database::Error::from)?;
        let kept = shell.answers.find(&client, scope).await?;
        drop(client);
        if let Some(kept) = kept {
            return kept.again(fingerprint);
        }
        read_after::wait(shell, &command.read_after).await?;
    }
    Ok(once::<A>(shell, scope, fingerprint, on, body, command).await?)
}

/// Waits, where the client prefers that, for what comes of what a command began: also when it is sent again.
async fn wait_for(outcome: Outcome, begun: Answer, prefer: Prefer, shell: &Shell) -> Answer {
    let look = || async {
        let known = outcome(&shell.pool, &begun).await?;
        Ok::<_, Problem>(if known.is_some() { Seen::Final(known) } else { Seen::NotYet(None) })
    };
    let known = if prefer.is_to_wait() { shell.applied.look_until(prefer.deadline(), look).await } else { Ok(None) };
    // It is begun, and that is kept: whatever hinders the look, it can be looked for again.
    let known = known.unwrap_or_else(|problem| {
        tracing::debug!(?problem, "the outcome of a command cannot be seen");
        None
    });
    let mut answer = known.unwrap_or(begun);
    prefer.applied(&mut answer.headers);
    answer
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
    match within::<A>(&transaction, &shell.answers, scope, fingerprint, on, body, command).await? {
        Done::Before(kept) => kept.again(fingerprint).map_err(Failure::Refused),
        Done::InFlight => Err(Failure::Refused(in_flight())),
        Done::NotNow(refusal) => Ok(refusal),
        Done::Now(answer) => {
            transaction.commit().await?;
            Ok(answer)
        }
    }
}

/// What came of a command in a transaction.
pub(crate) enum Done {
    /// It was done, or refused, before.
    Before(Kept),
    /// It is being done by another transaction.
    InFlight,
    /// It may turn out otherwise at the next try: roll back.
    NotNow(Answer),
    /// It is done, or refused for good, and its answer is kept: commit.
    Now(Answer),
}

/// Does a command within a transaction, and keeps its answer there.
pub(crate) async fn within<A: Action>(
    transaction: &Transaction<'_>,
    answers: &Answers,
    scope: &Scope,
    fingerprint: Fingerprint,
    on: A::On,
    body: &Value,
    command: &Command,
) -> Result<Done, database::Error> {
    match answers.enter(transaction, scope).await? {
        Entry::Kept(kept) => return Ok(Done::Before(kept)),
        Entry::InFlight => return Ok(Done::InFlight),
        Entry::Free => {}
    }
    let answer = match decide::<A>(on, body, transaction, command).await {
        Ok(answer) => answer,
        Err(problem) => {
            let refusal = Answer::from(problem);
            if !refusal.is_definite() {
                return Ok(Done::NotNow(refusal));
            }
            Answers::undo(transaction).await?;
            refusal
        }
    };
    answers.keep(transaction, scope, fingerprint, &answer).await?;
    Ok(Done::Now(answer))
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
