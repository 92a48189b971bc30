//! PostgreSQL as the contexts see it: what went wrong, in terms of what a client can do about it; reading rows; and
//! whether the context's schema is there.

use std::time::Duration;

use axum::http::StatusCode;
use deadpool_postgres::{Pool, PoolError};
use inbox::Unapplied;
use telemetry::{CancellationToken, backoff::Backoff, database::reason, health::Part};
use tokio_postgres::{Row, error::SqlState};

use crate::{context::Context, outbox, problem::Problem};

/// How often a database that is there is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It is not there, or too busy. Passes.
    #[error("the database is away: {0}")]
    Away(String),
    /// It lets nobody in, or the schema is not there: a matter of its set-up, which somebody may be at.
    #[error("the database is not set up: {0}")]
    NotSetUp(String),
    /// The event is larger than the broker takes.
    #[error("the event is too large to be published")]
    TooLarge,
    /// It refused a statement: a fault in this program or in its schema.
    #[error("the database refused: {0}")]
    Refused(String),
    /// A row holds what this program cannot have written.
    #[error("column {column}: {reason}")]
    Unreadable { column: &'static str, reason: String },
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Self {
        match error {
            // Before there is a connection, whatever the server says is about letting us in.
            PoolError::Backend(error) => match Self::from(error) {
                Self::Refused(text) => Self::NotSetUp(text),
                other => other,
            },
            other => Self::Away(reason(&other)),
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(refusal) = error.as_db_error() else { return Self::Away(reason(&error)) };
        let code = refusal.code();
        if code == &SqlState::CHECK_VIOLATION && refusal.constraint() == Some(outbox::SIZE_CHECK) {
            return Self::TooLarge;
        }
        // The message without its details, which can quote values of the row.
        let text = format!("{} ({})", refusal.message(), code.code());
        match code.code().get(..2) {
            // Connection lost, rolled back by the server, out of resources, locked, stopped by an operator.
            Some("08" | "40" | "53" | "55" | "57") => Self::Away(text),
            _ if NOT_SET_UP.contains(code) => Self::NotSetUp(text),
            _ => Self::Refused(text),
        }
    }
}

/// What the server says of a schema that has not been migrated.
const NOT_SET_UP: [SqlState; 4] = [
    SqlState::UNDEFINED_TABLE,
    SqlState::UNDEFINED_COLUMN,
    SqlState::INVALID_SCHEMA_NAME,
    SqlState::INSUFFICIENT_PRIVILEGE,
];

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Away(_) | Error::NotSetUp(_) => {
                tracing::warn!(%error, "a request could not be served");
                Problem::unavailable("The database cannot be reached or is too busy. Try again.")
            }
            Error::TooLarge => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "document-too-large",
                "Document too large",
                "The document would be larger than can be published.",
            ),
            Error::Refused(_) | Error::Unreadable { .. } => {
                tracing::error!(%error, "a request failed");
                Problem::internal()
            }
        }
    }
}

impl From<Error> for Unapplied {
    fn from(error: Error) -> Self {
        match error {
            Error::Away(_) | Error::NotSetUp(_) => Self::Delayed(error.to_string()),
            Error::TooLarge | Error::Refused(_) | Error::Unreadable { .. } => Self::Refused(error.to_string()),
        }
    }
}

/// Reads a column through the type's own check.
pub(crate) fn read<T, S>(row: &Row, column: &'static str) -> Result<T, Error>
where
    T: TryFrom<S, Error: std::fmt::Display>,
    S: for<'a> tokio_postgres::types::FromSql<'a>,
{
    let unreadable = |reason: String| Error::Unreadable { column, reason };
    let raw: S = row.try_get(column).map_err(|error| unreadable(error.to_string()))?;
    T::try_from(raw).map_err(|error| unreadable(error.to_string()))
}

/// How long the server may take to say which version the schema has, before it counts as away.
const PATIENCE: Duration = Duration::from_secs(6);

/// Says through `part` whether the context's schema is there, at the version that this program wants, until the token
/// is cancelled. Cancels `there` when it is for the first time.
pub(crate) async fn watch(
    pool: &Pool,
    context: &Context,
    part: &Part,
    there: &CancellationToken,
    shutdown: &CancellationToken,
) {
    let wanted = (context.migrations)().get_migrations().iter().map(refinery::Migration::version).max();
    let mut backoff = Backoff::for_connecting();
    loop {
        let looked = tokio::time::timeout(PATIENCE, schema_version(pool, context.schema)).await;
        let wait = match looked.unwrap_or_else(|_| Err(Error::Away("it does not answer".to_owned()))) {
            Ok(found) if found >= wanted => {
                part.ready();
                there.cancel();
                backoff.reset();
                LOOK_AGAIN
            }
            Ok(_) => {
                let schema = context.schema;
                part.not_ready(format!(
                    "PostgreSQL: schema {schema} is of an older program: run `write-service migrate`"
                ));
                backoff.next_wait()
            }
            Err(error @ Error::NotSetUp(_)) => {
                part.not_ready(format!("PostgreSQL: {error}: has `write-service migrate` been run?"));
                backoff.next_wait()
            }
            Err(error) => {
                part.not_ready(format!("PostgreSQL: {error}"));
                backoff.next_wait()
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn schema_version(pool: &Pool, schema: &str) -> Result<Option<i32>, Error> {
    let client = pool.get().await?;
    let row = client.query_one(&format!("select max(version) from {schema}.refinery_schema_history"), &[]).await?;
    Ok(row.try_get(0)?)
}
