//! What this context does about the events of others.

mod bookings;
mod cards;

use futures::FutureExt;

use crate::context::Reactor;

/// Every reactor.
pub(super) const ALL: &[Reactor] = &[
    |surroundings, intake, applied, shutdown| {
        inbox::run(bookings::Bookings { card_wait: surroundings.card_wait }, intake, applied, shutdown).boxed()
    },
    |_, intake, applied, shutdown| inbox::run(cards::Cards, intake, applied, shutdown).boxed(),
];
