//! `inbox list`, `inbox retry`, `inbox skip` and `inbox restart`: what an operator does about parked events, and about a handler
//! whose offsets do not fit its topics any more. They work beside the running service, and need no Kafka.

mod list;
mod restart;
mod retry;
mod skip;

use std::io::Write;

use clap::{Args, Subcommand};
use deadpool_postgres::{Pool, PoolError};
use telemetry::{database::reason, settings::Problems};
use tokio_postgres::Row;

use crate::{AnyHandler, retry::Place, schema::quote};

/// How many aggregates of a partition may be parked, unless set.
pub const MAX_PARKED: usize = 100;

/// The flag that limits how much may be parked.
#[derive(Clone, Debug, Args)]
pub struct ParkingArgs {
    /// The most aggregates of a partition that may be parked, each with its events that could not be applied; a message without a
    /// usable key counts like one. Before one more is, the partition stops, and /readyz says so.
    #[arg(long, env = "MAX_PARKED_AGGREGATES", default_value_t = MAX_PARKED.to_string(), value_name = "NUMBER")]
    max_parked_aggregates: String,
}

impl ParkingArgs {
    /// Checks the flag.
    pub fn check(&self, problems: &mut Problems) -> Option<usize> {
        const MOST: usize = 1_000_000;
        let setting = "--max-parked-aggregates / MAX_PARKED_AGGREGATES";
        let limit = problems.parse::<usize>(setting, &self.max_parked_aggregates)?;
        if !(1..=MOST).contains(&limit) {
            problems.add(setting, format!("must be from 1 to {MOST}"));
        }
        Some(limit)
    }
}

/// What is done.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// Shows the events that were set aside, with the reason; never their documents.
    List {
        /// Those of this handler alone.
        #[arg(long, value_name = "NAME")]
        handler: Option<String>,
    },
    /// Applies parked events again, each aggregate's in their order: after the cause is gone.
    Retry {
        /// Those of this handler alone.
        #[arg(long, value_name = "NAME")]
        handler: Option<String>,
        /// Which aggregates.
        #[command(flatten)]
        which: Which,
    },
    /// Drops an aggregate's first parked event for ever; the others can be retried then.
    Skip {
        /// The handler whose event it is.
        #[arg(long, value_name = "NAME")]
        handler: String,
        /// Which event.
        #[command(flatten)]
        which: Dropped,
        /// Confirms that the event will never be applied.
        #[arg(long)]
        yes: bool,
    },
    /// Has a handler begin at the beginning of its topics, whose stored offsets do not fit them any more. A view is rather
    /// filled anew by `rebuild`.
    Restart {
        /// The handler.
        #[arg(long, value_name = "NAME")]
        handler: String,
        /// Confirms it.
        #[arg(long)]
        yes: bool,
        /// Confirms also that effects are repeated, for a handler that cannot leave out what it has done before.
        #[arg(long)]
        repeating: bool,
    },
}

/// Which aggregates are retried.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// The aggregate of this id.
    #[arg(long, value_name = "ID")]
    aggregate: Option<String>,
    /// Every parked aggregate.
    #[arg(long)]
    all: bool,
}

/// Which event is dropped.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Dropped {
    /// The first parked event of the aggregate of this id.
    #[arg(long, value_name = "ID")]
    aggregate: Option<String>,
    /// A message that was set aside alone, without a usable key, as `list` shows it.
    #[arg(long, value_name = "TOPIC/PARTITION/OFFSET")]
    message: Option<String>,
}

/// An inbox, with the handlers that fill it.
pub struct Desk {
    /// The schema that holds its tables.
    pub schema: String,
    /// Connections to it, in the role that works there.
    pub pool: Pool,
    /// Its handlers.
    pub handlers: Vec<Box<dyn AnyHandler>>,
}

/// Why a command could not be done, with what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The database does not answer, or refuses.
    #[error("PostgreSQL: {}; nothing was changed by this step, try again", reason(.0))]
    Database(#[from] tokio_postgres::Error),
    /// There is no connection.
    #[error("PostgreSQL: {}; check the database's URL and that it is up", reason(.0))]
    Pool(#[from] PoolError),
    /// The output is closed.
    #[error("the result cannot be written: {0}")]
    Output(#[from] std::io::Error),
    /// What was asked for is not there, or more than one thing is.
    #[error("{0}")]
    Refused(String),
}

/// Does it in all the inboxes. `false` when something is left that needs the operator; the output says what.
///
/// # Errors
/// When it could not be done to the end. What was committed before stays done, and it may be run again.
pub async fn run(action: &Action, desks: &[Desk], out: &mut impl Write) -> Result<bool, Failure> {
    match action {
        Action::List { handler } => list::list(desks, handler.as_deref(), out).await,
        Action::Retry { handler, which } => {
            known(desks, handler.as_deref())?;
            retry::retry(desks, handler.as_deref(), which.aggregate.as_deref(), out).await
        }
        Action::Skip { handler, which, yes } => {
            known(desks, Some(handler))?;
            if !yes {
                let why = "the event will never be applied: look at it with `inbox list`, then repeat this with --yes";
                return Err(Failure::Refused(why.to_owned()));
            }
            match (&which.aggregate, &which.message) {
                (_, Some(message)) => skip::message(desks, handler, message, out).await,
                (aggregate, None) => skip::first(desks, handler, aggregate.as_deref().unwrap_or_default(), out).await,
            }
        }
        Action::Restart { handler, yes, repeating } => {
            known(desks, Some(handler))?;
            restart::restart(desks, handler, *yes, *repeating, out).await
        }
    }
}

/// A handler that is named must be one.
fn known(desks: &[Desk], handler: Option<&str>) -> Result<(), Failure> {
    let names: Vec<&str> = desks.iter().flat_map(|desk| desk.handlers.iter().map(|handler| handler.name())).collect();
    match handler {
        Some(name) if !names.contains(&name) => {
            Err(Failure::Refused(format!("no handler is called {name:?}; there are {}", names.join(", "))))
        }
        _ => Ok(()),
    }
}

/// The parked aggregates, those that have waited longest first.
async fn places(desk: &Desk, handler: Option<&str>, aggregate: Option<&str>) -> Result<Vec<Place>, Failure> {
    let sql = format!(
        "SELECT handler, generation, topic, partition, aggregate FROM {}.inbox_parked
         WHERE ($1::text IS NULL OR handler = $1) AND ($2::text IS NULL OR aggregate = $2)
         ORDER BY parked_at, handler, generation, topic, partition, aggregate",
        quote(&desk.schema)
    );
    let rows = desk.pool.get().await?.query(&sql, &[&handler, &aggregate]).await?;
    let place = |row: &Row| {
        Ok(Place {
            handler: row.try_get(0)?,
            generation: row.try_get(1)?,
            topic: row.try_get(2)?,
            partition: row.try_get(3)?,
            aggregate: row.try_get(4)?,
        })
    };
    rows.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_one_aggregate_may_be_parked() {
        let checked = |limit: &str| {
            let mut problems = Problems::new();
            let args = ParkingArgs { max_parked_aggregates: limit.to_owned() };
            let limit = args.check(&mut problems);
            problems.finish(limit).map_err(|problems| problems.to_string())
        };
        assert_eq!([checked("1"), checked("1000000")], [Ok(1), Ok(1_000_000)]);
        for limit in ["0", "1000001"] {
            assert!(checked(limit).unwrap_err().contains("--max-parked-aggregates / MAX_PARKED_AGGREGATES"), "{limit}");
        }
    }
}
