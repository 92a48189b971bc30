//! Direct booking: room types, their rooms, what they cost, and the bookings of them.

mod booking;
mod command;
mod guest;
mod rate_plan;
mod room_type;

pub use booking::{BOOKING, BookedBy, BookingDocument, BookingEvent, BookingStatus, Guests};
pub use command::{BookingCommand, COMMANDS};
pub use guest::{GUEST, GUEST_CARD, GuestCardDocument, GuestCardEvent, GuestDocument, GuestEvent};
pub use rate_plan::{RATE_PLAN, RatePlanDocument, RatePlanEvent};
pub use room_type::{ROOM_TYPE, Room, RoomTypeDocument, RoomTypeEvent};

/// Versions that were followed by others, and are published beside them as long as somebody reads them.
pub mod v1 {
    pub use super::room_type::v1::{ROOM_TYPE, RoomTypeDocument, RoomTypeEvent};
}

use crate::{
    contract::{Contract, topics},
    topic::Topic,
};

/// The `ce_source` of this context's events.
pub const SOURCE: &str = "/hotel/direct-booking";

/// Every topic of this context.
pub const TOPICS: &[Topic] = &topics::<{ CONTRACTS.len() }>(CONTRACTS);

/// What this context publishes.
pub const CONTRACTS: &[Contract] = &[
    Contract::of::<RoomTypeDocument>(SOURCE, ROOM_TYPE, RoomTypeEvent::TYPES),
    Contract::of::<v1::RoomTypeDocument>(SOURCE, v1::ROOM_TYPE, v1::RoomTypeEvent::TYPES),
    Contract::of::<RatePlanDocument>(SOURCE, RATE_PLAN, RatePlanEvent::TYPES),
    Contract::of::<BookingDocument>(SOURCE, BOOKING, BookingEvent::TYPES),
    Contract::of::<GuestDocument>(SOURCE, GUEST, GuestEvent::TYPES).erased_by(&[GuestEvent::GuestErased.ty()]),
    Contract::of::<GuestCardDocument>(SOURCE, GUEST_CARD, GuestCardEvent::TYPES)
        .erased_by(&[GuestCardEvent::GuestCardErased.ty()])
        .read_only_by(&["payments"]),
];
