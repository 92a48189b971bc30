//! What this context does about the events of others.

mod bookings;
mod room_types;

use futures::FutureExt;

use crate::context::Reactor;

/// Every reactor.
pub(super) const ALL: &[Reactor] = &[
    |_, intake, applied, shutdown| inbox::run(bookings::Bookings, intake, applied, shutdown).boxed(),
    |_, intake, applied, shutdown| inbox::run(room_types::RoomTypes, intake, applied, shutdown).boxed(),
];
