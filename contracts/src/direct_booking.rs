//! Direct booking: room types, their rooms, and the bookings of them.

use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    envelope::AggregateVersion,
    id::{AccountId, BookingId, RoomTypeId},
    money::Money,
    topic::{Cleanup, Topic},
    word::words,
};

/// The `ce_source` of this context's events.
pub const SOURCE: &str = "/hotel/direct-booking";

/// The last document of each room type. Compacted: reference data.
pub const ROOM_TYPE: Topic =
    Topic { name: "hotel.direct-booking.room-type.v1", partitions: 1, cleanup: Cleanup::Collection };

/// Every event of every booking, for ever: it triggers processes. It holds no personal data.
pub const BOOKING: Topic = Topic { name: "hotel.direct-booking.booking.v1", partitions: 8, cleanup: Cleanup::Journal };

/// Every topic of this context.
pub const TOPICS: &[Topic] = &[ROOM_TYPE, BOOKING];

/// What can happen to a room type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomTypeEvent {
    /// It was defined, with its rooms.
    RoomTypeDefined,
    /// Rooms were added to it.
    RoomsAdded,
}

impl RoomTypeEvent {
    /// The `ce_type`.
    pub fn ty(self) -> &'static str {
        match self {
            Self::RoomTypeDefined => "hotel.direct-booking.RoomTypeDefined.v1",
            Self::RoomsAdded => "hotel.direct-booking.RoomsAdded.v1",
        }
    }
}

/// A room type and its rooms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoomTypeDocument {
    /// Its id, such as `A` or `double`.
    pub room_type_id: RoomTypeId,
    /// Its version.
    pub version: AggregateVersion,
    /// What guests are told it is.
    pub name: String,
    /// The numbers of its rooms, each once, in the order in which they were added.
    pub rooms: Vec<String>,
}

/// What can happen to a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookingEvent {
    /// It was made on an account.
    BookingMadeOnAccount,
    /// It is paid.
    BookingConfirmed,
    /// It will not be paid; its room is free again.
    BookingRejected,
    /// It was cancelled; its room is free again.
    BookingCancelled,
}

impl BookingEvent {
    /// The `ce_type`.
    pub fn ty(self) -> &'static str {
        match self {
            Self::BookingMadeOnAccount => "hotel.direct-booking.BookingMadeOnAccount.v1",
            Self::BookingConfirmed => "hotel.direct-booking.BookingConfirmed.v1",
            Self::BookingRejected => "hotel.direct-booking.BookingRejected.v1",
            Self::BookingCancelled => "hotel.direct-booking.BookingCancelled.v1",
        }
    }
}

/// A booking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookingDocument {
    /// Its id.
    pub booking_id: BookingId,
    /// Its version.
    pub version: AggregateVersion,
    /// Where in its life it is.
    pub status: BookingStatus,
    /// The account that it was made on.
    pub account_id: AccountId,
    /// The type of room that was booked.
    pub room_type_id: RoomTypeId,
    /// The day of arrival.
    pub check_in: NaiveDate,
    /// The day of departure. The day of arrival itself means day use: the room is taken for that day, without a night.
    pub check_out: NaiveDate,
    /// Who comes.
    pub guests: Guests,
    /// What a night costs; for day use, the day.
    pub nightly_rate: Money,
    /// What the stay costs: the nightly rate for each night, and once for day use.
    pub total: Money,
    /// When it was made, by the clock of the context.
    pub made_at: DateTime<Utc>,
    /// Why it was rejected: the reason for which the payment was declined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<String>,
    /// When it was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<DateTime<Utc>>,
}

/// Where in its life a booking is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BookingStatus {
    /// A room is held for it, and its payment is awaited.
    Pending,
    /// It is paid, or costs nothing.
    Confirmed,
    /// It was not paid.
    Rejected,
    /// It was called off.
    Cancelled,
}

words!(BookingStatus: Pending "PENDING", Confirmed "CONFIRMED", Rejected "REJECTED", Cancelled "CANCELLED");

/// How many guests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Guests {
    /// Adults.
    pub adults: u16,
    /// Children.
    #[serde(default)]
    pub children: u16,
    /// Babies.
    #[serde(default)]
    pub babies: u16,
}
