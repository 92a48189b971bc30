//! The type `Booking`, with the account and the room type that are joined to it when they are asked for.

use async_graphql::{Enum, ID, Lookahead, SimpleObject};
use chrono::{DateTime, Utc};
use contracts::direct_booking;
use tokio_postgres::{Row, types::Type};

use super::{
    account::{self, Account},
    money::Money,
    room_type::{self, RoomType},
    scalars::{Date, Long},
};
use crate::view::{self, Columns, Connections, Sql};

/// A booking, as Direct booking last told it.
#[derive(Clone, Debug, SimpleObject)]
pub(crate) struct Booking {
    /// Its id.
    pub(super) id: ID,
    /// Its version: 1 when it was made, one more with each change.
    version: Long,
    /// Where in its life it is.
    status: BookingStatus,
    /// The id of the account that it was made on; null when it was not made on one.
    account_id: Option<ID>,
    /// The account that it was made on; null when it was not made on one, or when that has not arrived in this view yet, or is gone.
    account: Option<Account>,
    /// The id of the type of room that was booked.
    room_type_id: ID,
    /// The type of room that was booked; null when that has not arrived in this view yet, or is gone.
    room_type: Option<RoomType>,
    /// The day of arrival.
    pub(super) check_in: Date,
    /// The day of departure; the day of arrival itself means day use.
    check_out: Date,
    /// Who comes.
    guests: Guests,
    /// What a night costs; for day use, the day.
    nightly_rate: Money,
    /// What the stay costs.
    total: Money,
    /// When it was made.
    made_at: DateTime<Utc>,
    /// When it was cancelled, if it was.
    cancelled_at: Option<DateTime<Utc>>,
    /// When this version was recorded by its context.
    changed_at: DateTime<Utc>,
    /// When this version arrived in this view.
    applied_at: DateTime<Utc>,
}

/// Where in its life a booking is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "contracts::direct_booking::BookingStatus")]
pub(crate) enum BookingStatus {
    /// A room is held for it, and its payment is awaited.
    Pending,
    /// It is paid, or costs nothing here.
    Confirmed,
    /// It was not paid, or there was no room for what a site had sold.
    Rejected,
    /// It was called off.
    Cancelled,
    /// Its payment did not come in time.
    Expired,
    /// The guest is in the house.
    CheckedIn,
    /// The guest has left.
    CheckedOut,
}

impl BookingStatus {
    pub(super) fn read(columns: &mut Columns<'_>) -> Result<Self, view::Error> {
        let status = columns.take::<&str>()?.parse::<direct_booking::BookingStatus>();
        status.map(Self::from).map_err(|error| view::Error::Failed(format!("a booking's status: {error}")))
    }
}

/// How many guests come.
#[derive(Clone, Debug, SimpleObject)]
pub(crate) struct Guests {
    /// Adults.
    adults: i32,
    /// Children.
    children: i32,
    /// Babies.
    babies: i32,
}

const COLUMNS: &str = "b.id, b.version, b.status, b.account_id, b.room_type_id, b.check_in, b.check_out, b.adults, \
    b.children, b.babies, b.nightly_rate_minor, b.nightly_rate_currency, b.total_minor, b.total_currency, b.made_at, \
    b.cancelled_at, b.changed_at, b.applied_at";

/// Which other views a selection of bookings needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Joins {
    account: bool,
    room_type: bool,
}

impl Joins {
    /// Those that are selected at any of the places where the answer has a booking.
    pub(super) fn of(bookings: &[Lookahead<'_>]) -> Self {
        let selected = |name| bookings.iter().any(|booking| booking.field(name).exists());
        Self { account: selected("account"), room_type: selected("roomType") }
    }

    /// `SELECT … FROM …` for bookings called `b`, up to where the conditions begin.
    pub(super) fn select(self) -> String {
        let mut columns = COLUMNS.to_owned();
        let mut tables = "view.booking b".to_owned();
        if self.account {
            columns = format!("{columns}, {}", account::COLUMNS);
            tables.push_str(" LEFT JOIN view.account a ON a.id = b.account_id AND NOT a.erased");
        }
        if self.room_type {
            columns = format!("{columns}, {}", room_type::COLUMNS);
            tables.push_str(" LEFT JOIN view.room_type r ON r.id = b.room_type_id AND NOT r.erased");
        }
        format!("SELECT {columns} FROM {tables}")
    }

    /// Reads a row of that.
    pub(super) fn read(self, row: &Row) -> Result<Booking, view::Error> {
        let columns = &mut Columns::of(row);
        let mut booking = Booking {
            id: ID(columns.take()?),
            version: Long(columns.take()?),
            status: BookingStatus::read(columns)?,
            account_id: columns.take::<Option<_>>()?.map(ID),
            room_type_id: ID(columns.take()?),
            check_in: Date(columns.take()?),
            check_out: Date(columns.take()?),
            guests: Guests { adults: columns.take()?, children: columns.take()?, babies: columns.take()? },
            nightly_rate: Money::read(columns)?,
            total: Money::read(columns)?,
            made_at: columns.take()?,
            cancelled_at: columns.take()?,
            changed_at: columns.take()?,
            applied_at: columns.take()?,
            account: None,
            room_type: None,
        };
        if self.account {
            booking.account = columns.take_joined(account::COLUMN_COUNT, Account::read)?;
        }
        if self.room_type {
            booking.room_type = columns.take_joined(room_type::COLUMN_COUNT, RoomType::read)?;
        }
        Ok(booking)
    }
}

impl Booking {
    pub(super) async fn by_id(connections: &Connections, id: &str, joins: Joins) -> Result<Option<Self>, view::Error> {
        let sql = Sql {
            summary: "SELECT view.booking",
            text: format!("{} WHERE b.id = $1 AND NOT b.erased", joins.select()),
            parameters: &[Type::TEXT],
        };
        let rows = connections.query(&sql, &[&id]).await?;
        rows.first().map(|row| joins.read(row)).transpose()
    }
}
