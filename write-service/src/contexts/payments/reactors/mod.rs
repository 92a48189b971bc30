//! What this context does about the events of others.

mod bookings;
mod bookings_with_card;
mod cards;

use crate::context::Reactor;

/// Every reactor.
pub(super) const ALL: &[Reactor] = &[
    |surroundings, _| {
        let (card_wait, card_details) = (surroundings.card_wait, surroundings.card_details);
        Some(Box::new(bookings::Bookings { card_wait, card_details }))
    },
    |surroundings, _| Some(Box::new(bookings_with_card::BookingsWithCard { card_wait: surroundings.card_wait })),
    |_, _| Some(Box::new(cards::Cards)),
];
