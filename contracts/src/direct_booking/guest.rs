//! Guests who book without an account: who they are, and, for few to read, their card.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::events,
    envelope::AggregateVersion,
    id::GuestId,
    topic::{Cleanup, Topic},
};

/// The last document of each guest. Compacted, since it holds personal data: erasing a guest is a tombstone.
pub const GUEST: Topic = Topic { name: "hotel.direct-booking.guest.v1", partitions: 4, cleanup: Cleanup::Collection };

/// The last card of each guest. Only Payments may read it.
pub const GUEST_CARD: Topic =
    Topic { name: "hotel.direct-booking.guest-card.v1", partitions: 4, cleanup: Cleanup::Collection };

/// What can happen to a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestEvent {
    /// The guest gave name and email with a booking.
    GuestRegistered,
    /// All that was known of the guest is gone: a tombstone.
    GuestErased,
    /// Nothing has happened: what is known is told once more, for those who have missed it. It starts no process.
    GuestRestated,
}

events!(
    GuestEvent:
    GuestRegistered "hotel.direct-booking.GuestRegistered.v1",
    GuestErased "hotel.direct-booking.GuestErased.v1",
    GuestRestated "hotel.direct-booking.GuestRestated.v1",
);

/// A guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GuestDocument {
    /// The guest's id, which bookings name.
    pub guest_id: GuestId,
    /// Its version.
    pub version: AggregateVersion,
    /// The guest's name.
    pub name: String,
    /// Where the guest gets mail.
    pub email: String,
}

/// What can happen to a guest's card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestCardEvent {
    /// It was named, or another one instead.
    GuestCardChanged,
    /// It is forgotten: a tombstone.
    GuestCardErased,
    /// Nothing has happened: what it is is told once more, for those who have missed it. It starts no process.
    GuestCardRestated,
}

events!(
    GuestCardEvent:
    GuestCardChanged "hotel.direct-booking.GuestCardChanged.v1",
    GuestCardErased "hotel.direct-booking.GuestCardErased.v1",
    GuestCardRestated "hotel.direct-booking.GuestCardRestated.v1",
);

/// The card on which a guest's bookings are charged: an aggregate of its own, with its own version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GuestCardDocument {
    /// The guest.
    pub guest_id: GuestId,
    /// Its version.
    pub version: AggregateVersion,
    /// What the third party that keeps the card calls it. Never the card's number.
    pub card_token: String,
}
