//! What may happen to aggregator sites and to the bookings that they sell, and what they may sell. Pure: no I/O, and the time is
//! passed in.

pub(crate) mod availability;
pub(crate) mod site;
pub(crate) mod site_booking;
