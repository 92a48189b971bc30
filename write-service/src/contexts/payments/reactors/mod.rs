//! What this context does about the events of others.

mod bookings;
mod bookings_with_card;
mod cards;

use futures::FutureExt;

use crate::context::Reactor;

/// Every reactor.
pub(super) const ALL: &[Reactor] = &[
    |surroundings, intake, applied, shutdown| {
        let (card_wait, card_details) = (surroundings.card_wait, surroundings.card_details);
        inbox::run(bookings::Bookings { card_wait, card_details }, intake, applied, shutdown).boxed()
    },
    |surroundings, intake, applied, shutdown| {
        let card_wait = surroundings.card_wait;
        inbox::run(bookings_with_card::BookingsWithCard { card_wait }, intake, applied, shutdown).boxed()
    },
    |_, intake, applied, shutdown| inbox::run(cards::Cards, intake, applied, shutdown).boxed(),
];
