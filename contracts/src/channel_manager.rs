//! Channel manager: the aggregator sites that sell the hotel's rooms, how many each may sell, and what they have sold.

use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::{Contract, events, topics},
    direct_booking::Guests,
    envelope::AggregateVersion,
    id::{BookingId, RoomTypeId, SiteId},
    money::Money,
    topic::{Cleanup, Topic},
    word::words,
};

/// The `ce_source` of this context's events.
pub const SOURCE: &str = "/hotel/channel-manager";

/// The last document of each aggregator site. Compacted: reference data.
pub const SITE: Topic = Topic { name: "hotel.channel-manager.site.v1", partitions: 1, cleanup: Cleanup::Collection };

/// Every event of every booking that a site has sold, for ever: it triggers processes. It holds no personal data.
pub const SITE_BOOKING: Topic =
    Topic { name: "hotel.channel-manager.site-booking.v1", partitions: 8, cleanup: Cleanup::Journal };

/// Every topic of this context.
pub const TOPICS: &[Topic] = &topics::<{ CONTRACTS.len() }>(CONTRACTS);

/// What this context publishes.
pub const CONTRACTS: &[Contract] = &[
    Contract::of::<SiteDocument>(SOURCE, SITE, SiteEvent::TYPES),
    Contract::of::<SiteBookingDocument>(SOURCE, SITE_BOOKING, SiteBookingEvent::TYPES),
];

/// What can happen to an aggregator site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteEvent {
    /// It may sell rooms from now on.
    SiteConnected,
    /// It may sell more, or fewer, rooms of a type.
    AllotmentChanged,
    /// It may sell nothing any more.
    SiteDisconnected,
    /// Nothing has happened: what it is is told once more, for those who have missed it. It starts no process.
    SiteRestated,
}

events!(
    SiteEvent:
    SiteConnected "hotel.channel-manager.SiteConnected.v1",
    AllotmentChanged "hotel.channel-manager.AllotmentChanged.v1",
    SiteDisconnected "hotel.channel-manager.SiteDisconnected.v1",
    SiteRestated "hotel.channel-manager.SiteRestated.v1",
);

/// An aggregator site, and what it may sell. Where it is reached is not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SiteDocument {
    /// Its id, such as `booking-example`.
    pub site_id: SiteId,
    /// Its version.
    pub version: AggregateVersion,
    /// Whether it may sell.
    pub status: SiteStatus,
    /// What people call it.
    pub name: String,
    /// How many rooms of each type it may sell, each type once, in the order of their ids.
    pub allotments: Vec<Allotment>,
}

/// How many rooms of a type a site may sell for each night.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Allotment {
    /// The type.
    pub room_type_id: RoomTypeId,
    /// So many, as long as there are so many that nobody has booked.
    pub rooms: u32,
}

/// Whether a site may sell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SiteStatus {
    /// It may.
    Connected,
    /// It may not, any more.
    Disconnected,
}

words!(SiteStatus: Connected "CONNECTED", Disconnected "DISCONNECTED");

/// What can happen to a booking that a site has sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteBookingEvent {
    /// The site has sold it; whether there is a room, Direct booking decides.
    SiteBookingReceived,
    /// A room is kept for it.
    SiteBookingAccepted,
    /// There is none.
    SiteBookingRejected,
    /// The site has cancelled it; the room is still kept.
    SiteBookingCancellationReceived,
    /// It is cancelled, by whomever, and the room free again.
    SiteBookingCancelled,
    /// Nothing has happened: what it is is told once more, for those who have missed it. It starts no process.
    SiteBookingRestated,
}

events!(
    SiteBookingEvent:
    SiteBookingReceived "hotel.channel-manager.SiteBookingReceived.v1",
    SiteBookingAccepted "hotel.channel-manager.SiteBookingAccepted.v1",
    SiteBookingRejected "hotel.channel-manager.SiteBookingRejected.v1",
    SiteBookingCancellationReceived "hotel.channel-manager.SiteBookingCancellationReceived.v1",
    SiteBookingCancelled "hotel.channel-manager.SiteBookingCancelled.v1",
    SiteBookingRestated "hotel.channel-manager.SiteBookingRestated.v1",
);

/// A booking that a site has sold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SiteBookingDocument {
    /// The id that the booking has here, in Direct booking too.
    pub booking_id: BookingId,
    /// Its version.
    pub version: AggregateVersion,
    /// What became of it.
    pub status: SiteBookingStatus,
    /// The site that has sold it.
    pub site_id: SiteId,
    /// What the site calls it.
    pub reference: String,
    /// The type of room.
    pub room_type_id: RoomTypeId,
    /// The day of arrival.
    pub check_in: NaiveDate,
    /// The day of departure.
    pub check_out: NaiveDate,
    /// Who comes.
    pub guests: Guests,
    /// For what a night was sold. The site collects the money.
    pub nightly_rate: Money,
    /// When word of it came.
    pub received_at: DateTime<Utc>,
    /// Why there is no room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<String>,
}

/// What became of a booking that a site has sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SiteBookingStatus {
    /// It is not known yet whether there is a room.
    Received,
    /// A room is kept for it.
    Accepted,
    /// There is none.
    Rejected,
    /// The site has cancelled it, and its room is about to be free.
    Cancelling,
    /// It is cancelled.
    Cancelled,
}

words!(
    SiteBookingStatus:
    Received "RECEIVED",
    Accepted "ACCEPTED",
    Rejected "REJECTED",
    Cancelling "CANCELLING",
    Cancelled "CANCELLED",
);
