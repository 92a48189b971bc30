//! Direct booking: room types, their rooms, what they cost, and the bookings of them.

mod booking;
mod guest;
mod rate_plan;
mod room_type;

pub use booking::{BOOKING, BookedBy, BookingDocument, BookingEvent, BookingStatus, Guests};
pub use guest::{GUEST, GUEST_CARD, GuestCardDocument, GuestCardEvent, GuestDocument, GuestEvent};
pub use rate_plan::{RATE_PLAN, RatePlanDocument, RatePlanEvent};
pub use room_type::{ROOM_TYPE, RoomTypeDocument, RoomTypeEvent};

use crate::topic::Topic;

/// The `ce_source` of this context's events.
pub const SOURCE: &str = "/hotel/direct-booking";

/// Every topic of this context.
pub const TOPICS: &[Topic] = &[ROOM_TYPE, RATE_PLAN, BOOKING, GUEST, GUEST_CARD];
