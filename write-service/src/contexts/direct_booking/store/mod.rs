//! Inside Data: what direct booking keeps.

pub(crate) mod bookings;
pub(crate) mod guests;
pub(crate) mod rate_plans;
pub(crate) mod room_types;
