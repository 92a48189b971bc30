//! Which bookings are meant.

use async_graphql::{ID, InputObject};
use chrono::NaiveDate;
use contracts::{
    direct_booking,
    id::{AccountId, RoomTypeId},
};

use super::{booking::BookingStatus, error::Error, scalars::Date};

/// Which bookings are meant: those that fit everything that is given.
#[derive(Clone, Debug, Default, InputObject)]
pub(crate) struct BookingFilter {
    /// Those made on this account.
    account_id: Option<ID>,
    /// Those of this type of room.
    room_type_id: Option<ID>,
    /// Those in this state.
    status: Option<BookingStatus>,
    /// Those that arrive on this day or later.
    check_in_from: Option<Date>,
    /// Those that arrive on this day or earlier.
    check_in_to: Option<Date>,
}

/// A filter whose parts have been checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) account: Option<String>,
    pub(super) room_type: Option<String>,
    pub(super) status: Option<&'static str>,
    pub(super) from: Option<NaiveDate>,
    pub(super) to: Option<NaiveDate>,
}

impl BookingFilter {
    pub(super) fn check(self) -> Result<Filter, Error> {
        let named = |field: &str, reason: &dyn std::fmt::Display| Error::input(format!("filter.{field}: {reason}"));
        let account = self.account_id.map(|id| id.0.parse::<AccountId>());
        let room_type = self.room_type_id.map(|id| id.0.parse::<RoomTypeId>());
        let (from, to) = (self.check_in_from.map(|date| date.0), self.check_in_to.map(|date| date.0));
        if let (Some(from), Some(to)) = (from, to)
            && to < from
        {
            return Err(named("checkInTo", &"lies before checkInFrom"));
        }
        let status = self.status.map(direct_booking::BookingStatus::from);
        Ok(Filter {
            account: account.transpose().map_err(|error| named("accountId", &error))?.map(Into::into),
            room_type: room_type.transpose().map_err(|error| named("roomTypeId", &error))?.map(Into::into),
            status: status.map(|status| status.as_str()),
            from,
            to,
        })
    }
}
