//! Why a slot was not replaced: what is waited for, and what someone has to decide.

use std::time::Duration;

use contracts::envelope::Lsn;

use crate::{
    names::TableName,
    outbox::Unpublishable,
    publisher::{self, Failure},
    replication,
};

/// Why a slot was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server is away, or the set-up is wrong.
    #[error(transparent)]
    Postgres(#[from] replication::Error),
    /// Transient: the cluster is away, or a topic is missing.
    #[error("Kafka: {0}")]
    Kafka(String),
    /// An event was not delivered.
    #[error(transparent)]
    Undelivered(#[from] Failure),
    /// Definite: a row that cannot be published.
    #[error("{row} (position {commit})")]
    Halt {
        /// The row.
        row: Box<Unpublishable>,
        /// Where its event would be.
        commit: Lsn,
    },
    /// Transient: this process stood still, and another may do it now.
    #[error("this process stood still for {0:?}; another may have begun")]
    Stopped(Duration),
    /// Definite: something that no one can answer for.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Definite: more events than a transaction can have.
    #[error("more than 4 billion events are to be published")]
    TooMany,
    /// It was told to end.
    #[error("ended before it was done; it begins anew")]
    Interrupted,
    /// Transient: another may have begun to replace the slot.
    #[error("the temporary slot is gone; it begins anew")]
    RightLost,
    /// The slot can be streamed.
    #[error("another has replaced the slot")]
    NotNeeded,
    /// By hand: it was not confirmed.
    #[error("nothing was done: repeat it with --yes to replace the replication slot, and publish what Kafka lacks")]
    Unconfirmed,
}

impl From<publisher::Error> for Error {
    fn from(error: publisher::Error) -> Self {
        match error {
            publisher::Error::Undelivered(failure) => Self::Undelivered(failure),
            publisher::Error::Uncommitted(reason) => Self::Kafka(reason),
        }
    }
}

/// Why it is not known what Kafka lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The events' headers tell no versions.
    #[error(
        "Debezium-like events carry no version, so what Kafka lacks cannot be known: publish it by hand, then `cdc-capture \
         slot drop` and `setup`"
    )]
    Debezium,
    /// A table has no versions.
    #[error(
        "{0} has no aggregateversion, so what Kafka lacks cannot be known: publish it by hand, then `cdc-capture slot drop` \
         and `setup`"
    )]
    NoVersions(TableName),
    /// The relay's role may not read a table.
    #[error("the role lacks SELECT on {0}, or USAGE on its schema: GRANT it, as `cdc-capture check` says")]
    Unreadable(TableName),
    /// Two tables cannot be put in one order.
    #[error("aggregate {key} for topic {topic} is in two tables, so its order is not known: publish it by hand")]
    TwoTables {
        /// The aggregate.
        key: String,
        /// Its topic.
        topic: String,
    },
    /// A topic holds events of another server or timeline, and that was to halt.
    #[error(
        "topics hold events of another server or timeline than {system}:{timeline}: find out what is missing or doubled, \
         then use --other-history compare"
    )]
    OtherHistory {
        /// The server.
        system: u64,
        /// Its timeline.
        timeline: u32,
    },
    /// Events may be missing on Kafka that the tables do not hold.
    #[error("{}: `cdc-capture resync --yes --accept-gaps` goes on without them", .0.join("; "))]
    Gaps(Vec<String>),
}

/// What a plain connection answers when something fails.
pub(super) fn unavailable(error: &tokio_postgres::Error) -> Error {
    replication::Error::Unavailable(telemetry::database::reason(error)).into()
}
