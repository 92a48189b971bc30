//! The view store: the tables, how they come to be, and the connections by which queries read them.
//!
//! What is in a row is known to two places: `projection`, which writes it, and `graphql`, which reads it.

mod connections;
mod migrate;
mod row;

pub(crate) use connections::Sql;
pub use connections::{Connections, Options};
pub use migrate::{Error as MigrateError, migrate};
pub(crate) use row::Columns;

use contracts::{accounts, direct_booking};

/// The schema that holds the views and the intake's own tables.
pub const SCHEMA: &str = "view";

/// The role as which this service works.
pub const ROLE: &str = "read_service";

/// Why a statement gave no rows.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection is there at the moment. Transient.
    #[error("PostgreSQL is not there: {0}")]
    Unavailable(String),
    /// The statement ran into the time limit. Definite for this statement.
    #[error("the statement took longer than its limit")]
    Timeout,
    /// A number does not fit its type. Definite.
    #[error("a number is too large")]
    TooLarge,
    /// PostgreSQL refused the statement, or a row is not what it should be. Definite.
    #[error("the statement failed: {0}")]
    Failed(String),
}

/// A view: one table, filled from one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// `view.account`
    Account,
    /// `view.room_type`
    RoomType,
    /// `view.booking`
    Booking,
}

impl View {
    /// The view that is filled from this topic of the contracts. It knows a topic's older versions too, since an aggregate's
    /// versions are the same in each: a client may have its token from before.
    pub fn of_topic(topic: &str) -> Option<Self> {
        [
            (accounts::ACCOUNT, Self::Account),
            (direct_booking::ROOM_TYPE, Self::RoomType),
            (direct_booking::v1::ROOM_TYPE, Self::RoomType),
            (direct_booking::BOOKING, Self::Booking),
        ]
        .into_iter()
        .find_map(|(known, view)| (known.name == topic).then_some(view))
    }

    /// The statement that tells whether the row with id `$1` has version `$2` or a higher one.
    pub(crate) fn has_reached(self) -> &'static str {
        match self {
            Self::Account => "SELECT EXISTS (SELECT FROM view.account WHERE id = $1 AND version >= $2)",
            Self::RoomType => "SELECT EXISTS (SELECT FROM view.room_type WHERE id = $1 AND version >= $2)",
            Self::Booking => "SELECT EXISTS (SELECT FROM view.booking WHERE id = $1 AND version >= $2)",
        }
    }
}
