//! What may happen to room types, rate plans, guests and bookings. Pure: no I/O, and the time is passed in.

pub(crate) mod booking;
pub(crate) mod channel;
pub(crate) mod guest;
pub(crate) mod rate_plan;
pub(crate) mod room_type;
