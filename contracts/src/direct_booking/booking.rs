//! Bookings, from the day they are made until the guest has left.

use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::events,
    envelope::AggregateVersion,
    id::{AccountId, BookingId, GuestId, RatePlanId, RoomTypeId, SiteId},
    money::Money,
    topic::{Cleanup, Topic},
    word::words,
};

/// Every event of every booking, for ever: it triggers processes. It holds no personal data.
pub const BOOKING: Topic = Topic { name: "hotel.direct-booking.booking.v1", partitions: 8, cleanup: Cleanup::Journal };

/// What can happen to a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookingEvent {
    /// It was made on an account.
    BookingMadeOnAccount,
    /// It was made by a guest without an account.
    BookingMadeByGuest,
    /// An aggregator site had sold it; a room is kept.
    BookingMadeThroughChannel,
    /// It is paid.
    BookingConfirmed,
    /// It will not be paid, and its room is free again; or an aggregator site had sold what there is not.
    BookingRejected,
    /// The guest is to be sent a confirmation.
    ConfirmationRequested,
    /// It was cancelled; its room is free again.
    BookingCancelled,
    /// It was not paid in time; its room is free again.
    BookingExpired,
    /// The guest has come, and has a room.
    GuestCheckedIn,
    /// The guest has left; the nights that were left are free again.
    GuestCheckedOut,
    /// Nothing has happened: what it is is told once more, for those who have missed it. It starts no process.
    BookingRestated,
}

events!(
    BookingEvent:
    BookingMadeOnAccount "hotel.direct-booking.BookingMadeOnAccount.v1",
    BookingMadeByGuest "hotel.direct-booking.BookingMadeByGuest.v1",
    BookingMadeThroughChannel "hotel.direct-booking.BookingMadeThroughChannel.v1",
    BookingConfirmed "hotel.direct-booking.BookingConfirmed.v1",
    BookingRejected "hotel.direct-booking.BookingRejected.v1",
    ConfirmationRequested "hotel.direct-booking.ConfirmationRequested.v1",
    BookingCancelled "hotel.direct-booking.BookingCancelled.v1",
    BookingExpired "hotel.direct-booking.BookingExpired.v1",
    GuestCheckedIn "hotel.direct-booking.GuestCheckedIn.v1",
    GuestCheckedOut "hotel.direct-booking.GuestCheckedOut.v1",
    BookingRestated "hotel.direct-booking.BookingRestated.v1",
);

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
    /// Who made it.
    pub booked_by: BookedBy,
    /// The type of room that was booked.
    pub room_type_id: RoomTypeId,
    /// The room that the guest was given, from the arrival on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// The day of arrival.
    pub check_in: NaiveDate,
    /// The day of departure. The day of arrival itself means day use: the room is taken for that day, without a night.
    pub check_out: NaiveDate,
    /// Who comes.
    pub guests: Guests,
    /// The rate plan by which it was priced; none where the price was agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_plan_id: Option<RatePlanId>,
    /// What a night costs; for day use, the day. Fixed when it was made.
    pub nightly_rate: Money,
    /// What the stay costs: the nightly rate for each night, and once for day use.
    pub total: Money,
    /// When it was made, by the clock of the context.
    pub made_at: DateTime<Utc>,
    /// Why it was rejected: the reason for which the payment was declined, or what an aggregator site had overlooked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<String>,
    /// When the guest was to be sent a confirmation, last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation_requested_at: Option<DateTime<Utc>>,
    /// When it was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<DateTime<Utc>>,
    /// When the guest came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_in_at: Option<DateTime<Utc>>,
    /// When the guest left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_out_at: Option<DateTime<Utc>>,
}

/// Who made a booking, and so who pays for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum BookedBy {
    /// The holder of an account, on whose card it is charged.
    Account {
        /// The account.
        account_id: AccountId,
    },
    /// A guest without an account, on whose own card it is charged.
    Guest {
        /// The guest.
        guest_id: GuestId,
    },
    /// An aggregator site, which collects the money itself.
    Channel {
        /// The site.
        site_id: SiteId,
        /// What the site calls the booking.
        reference: String,
    },
}

/// Where in its life a booking is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BookingStatus {
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

words!(
    BookingStatus:
    Pending "PENDING",
    Confirmed "CONFIRMED",
    Rejected "REJECTED",
    Cancelled "CANCELLED",
    Expired "EXPIRED",
    CheckedIn "CHECKED_IN",
    CheckedOut "CHECKED_OUT",
);

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
