//! Why a rebuild ended, and what to do then.

use inbox::Halt;
use telemetry::database::reason;

/// Why a rebuild ended without a swap. What it had done stays, and it may be run again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was told to.
    #[error("stopped; run it again and it goes on where it was")]
    Stopped,
    /// There is no connection.
    #[error("PostgreSQL: {}; run it again and it goes on where it was", reason(.0))]
    Connection(#[from] deadpool_postgres::PoolError),
    /// A statement failed.
    #[error("PostgreSQL: {}; run it again and it goes on where it was", said(.0))]
    Statement(#[from] tokio_postgres::Error),
    /// The database's connections cannot be set up.
    #[error("the database connections cannot be set up: {0}")]
    Settings(#[source] std::io::Error),
    /// The runs cannot be written or read.
    #[error("the sorted rows on disk: {0}; see to the directory, then run it again (with --start-over if it stays so)")]
    Runs(#[source] std::io::Error),
    /// Reading cannot go on.
    #[error("{0}{hint}", hint = if .0.is_mended_by_rebuilding() { ": run it again with --start-over" } else { "" })]
    Halted(Halt),
    /// Too much of the topic cannot be applied.
    #[error(
        "{0}. What is parked by generation 2 is this rebuild's: the view that serves has not been touched. Once this program \
         can read them, run it again with --start-over"
    )]
    Parked(String),
    /// The view's table has been changed meanwhile.
    #[error("view.{0} has been changed meanwhile: run it again, and it starts over")]
    Changed(&'static str),
    /// Another rebuild is under way.
    #[error("another rebuild of {0} is under way in this database: let it end, or end it first")]
    UnderWay(&'static str),
    /// Another rebuild, which need not have a connection any more, holds the directory.
    #[error("another rebuild of {0} still uses the directory: let it end, or end it first")]
    InUse(&'static str),
    /// The connection whose lock keeps other rebuilds away is gone.
    #[error(
        "PostgreSQL: the connection that kept other rebuilds of {0} away was lost; run it again and it goes on where it was"
    )]
    Unlocked(&'static str),
    /// A row would have a lower version than the view that serves has.
    #[error(
        "{aggregates} of view.{view}'s aggregates would go back, such as {such_as}: the view that serves has a version that          this rebuild could not apply and has parked under generation 2 (`read-service inbox list --handler {view}`). The view          has not been touched. Once this program and the database take what is parked, run it again with --start-over"
    )]
    GoesBack {
        /// The view.
        view: &'static str,
        /// How many.
        aggregates: i64,
        /// One of them.
        such_as: String,
    },
    /// The view's table is not there.
    #[error("there is no table view.{0}: has `read-service migrate` been run, as this user?")]
    NoView(&'static str),
    /// The view's table cannot be replaced.
    #[error("view.{0} cannot be replaced while this depends on it: {1}. Drop it, and make it again afterwards")]
    Dependents(&'static str, String),
}

/// What PostgreSQL says, without the detail, which may quote a row: there may be personal data in it.
pub(super) fn said(error: &tokio_postgres::Error) -> String {
    let said = error.as_db_error().map(|error| format!("{} (SQLSTATE {})", error.message(), error.code().code()));
    said.unwrap_or_else(|| reason(error))
}

/// Whether a row is to blame: of SQLSTATE's classes those of data, of constraints and of limits, such as an index's.
pub(super) fn is_of_the_data(error: &tokio_postgres::Error) -> bool {
    let class = error.code().and_then(|code| code.code().get(..2));
    class.is_some_and(|class| ["22", "23", "54"].contains(&class))
}
