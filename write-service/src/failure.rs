//! Why a command on an aggregate had no effect.

use axum::http::StatusCode;
use contracts::envelope::AggregateVersion;

use crate::{database, problem::Problem};

/// Everything that can come of a command other than its effect. `R` is what the domain says against it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure<R> {
    /// There is no such aggregate.
    #[error("there is no such aggregate")]
    Missing,
    /// There is one already.
    #[error("there is an aggregate of this id already")]
    Taken,
    /// The aggregate is not at the version that the command was meant for.
    #[error("the aggregate is at version {0}, which the command does not expect")]
    Outdated(AggregateVersion),
    /// The domain refuses.
    #[error("refused")]
    Refused(R),
    /// The database could not do it.
    #[error(transparent)]
    Database(#[from] database::Error),
}

impl<R> From<tokio_postgres::Error> for Failure<R> {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

impl<R> From<deadpool_postgres::PoolError> for Failure<R> {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        Self::Database(error.into())
    }
}

impl<R: Into<Problem>> From<Failure<R>> for Problem {
    fn from(failure: Failure<R>) -> Self {
        match failure {
            Failure::Missing => Problem::not_found("Nothing has this id."),
            Failure::Taken => Problem::conflict(
                "already-exists",
                "Already exists",
                "The id is taken: choose another, or leave it out and one is made.",
            ),
            Failure::Outdated(version) => Problem::new(
                StatusCode::PRECONDITION_FAILED,
                "precondition-failed",
                "Precondition failed",
                format!("It is at version {version}, which If-Match does not name: get it again and decide anew."),
            ),
            Failure::Refused(refusal) => refusal.into(),
            Failure::Database(error) => error.into(),
        }
    }
}
