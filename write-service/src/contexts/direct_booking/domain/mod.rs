//! What may happen to room types and bookings. Pure: no I/O, and the time is passed in.

pub(crate) mod booking;
pub(crate) mod room_type;
pub(crate) mod stay;
