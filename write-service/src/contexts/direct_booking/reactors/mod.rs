//! What this context does about the events of others.

pub(crate) mod accounts;
mod commands;
mod payments;
mod site_bookings;

use crate::{context::Reactor, idempotency::Answers, read_after::Copy};

/// Every reactor.
pub(super) const ALL: &[Reactor] = &[
    |_, _| Some(Box::new(accounts::AccountCopies)),
    |surroundings, schema| {
        let (answers, surroundings) = (Answers::of(schema), surroundings.clone());
        Some(Box::new(commands::Commands { answers, surroundings }))
    },
    |_, _| Some(Box::new(payments::Payments)),
    |_, _| Some(Box::new(site_bookings::SiteBookings)),
];

/// Every copy that the reactors keep, for commands to wait for.
pub(super) const COPIES: &[Copy] = &[accounts::COPY];
