//! Direct booking in PostgreSQL: a change and its event are one transaction.

pub(crate) mod bookings;
pub(crate) mod room_types;
