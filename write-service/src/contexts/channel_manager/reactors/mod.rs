//! What this context does about the events of others.

mod bookings;
mod room_types;

use crate::context::Reactor;

/// Every reactor.
pub(super) const ALL: &[Reactor] =
    &[|_, _| Some(Box::new(bookings::Bookings)), |_, _| Some(Box::new(room_types::RoomTypes))];
