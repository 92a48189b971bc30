//! The view store: the tables, how they come to be, and the connections by which queries read them.
//!
//! What is in a row is known to two places: `projection`, which writes it, and `graphql`, which reads it.

mod connections;
mod lag;
mod load;
mod migrate;
mod retention;

pub(crate) use connections::Sql;
pub use connections::{Connections, Options};
pub(crate) use lag::KNOWN;
pub use lag::tell_lag;
pub use migrate::{Error as MigrateError, migrate};
pub use retention::{keep_journal, prune_journal};

use contracts::{Topic, accounts, channel_manager, direct_booking, housekeeping, payments};

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

/// The one list of views, each with its table, the topic that it is filled from, and what makes its rows, a path in `projection`.
/// It is given to a macro, which makes what there is of each.
macro_rules! each_view {
    ($make:ident) => {
        $make!(
            Account "account" accounts::ACCOUNT => account::ACCOUNT,
            Guest "guest" direct_booking::GUEST => guest::GUEST,
            RoomType "room_type" direct_booking::ROOM_TYPE => room_type::ROOM_TYPE,
            RatePlan "rate_plan" direct_booking::RATE_PLAN => rate_plan::RATE_PLAN,
            Booking "booking" direct_booking::BOOKING => booking::BOOKING,
            Payment "payment" payments::PAYMENT => payment::PAYMENT,
            Task "task" housekeeping::TASK => task::TASK,
            Site "site" channel_manager::SITE => site::SITE,
            SiteBooking "site_booking" channel_manager::SITE_BOOKING => site_booking::SITE_BOOKING,
        );
    };
}

pub(crate) use each_view;

/// What the list says of tables and topics.
macro_rules! views {
    ($($name:ident $table:literal $topic:path => $projection:path),+ $(,)?) => {
        /// A view: one table, filled from one topic.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum View {
            $(
                #[doc = concat!("`view.", $table, "`")]
                $name
            ),+
        }

        impl View {
            /// Every view.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its table's name within the schema.
            pub const fn table(self) -> &'static str {
                match self {
                    $(Self::$name => $table),+
                }
            }

            /// The topic that it is filled from.
            pub const fn topic(self) -> &'static Topic {
                match self {
                    $(Self::$name => &$topic),+
                }
            }
        }
    };
}

each_view!(views);

impl View {
    /// The view that is filled from this topic of the contracts. It knows a topic's older versions too, since an aggregate's
    /// versions are the same in each: a client may have its token from before.
    pub fn of_topic(topic: &str) -> Option<Self> {
        let older = (topic == direct_booking::v1::ROOM_TYPE.name).then_some(Self::RoomType);
        Self::ALL.iter().copied().find(|view| view.topic().name == topic).or(older)
    }
}
