//! What this context does about the events of others.

pub(crate) mod accounts;
mod commands;
mod payments;
mod site_bookings;

use futures::FutureExt;

use crate::{context::Reactor, idempotency::Answers, read_after::Copy};

/// Every reactor.
pub(super) const ALL: &[Reactor] = &[
    |_, intake, applied, shutdown| inbox::run(accounts::AccountCopies, intake, applied, shutdown).boxed(),
    |surroundings, intake, applied, shutdown| {
        let answers = Answers::of(&intake.schema);
        inbox::run(commands::Commands { answers, surroundings: surroundings.clone() }, intake, applied, shutdown)
            .boxed()
    },
    |_, intake, applied, shutdown| inbox::run(payments::Payments, intake, applied, shutdown).boxed(),
    |_, intake, applied, shutdown| inbox::run(site_bookings::SiteBookings, intake, applied, shutdown).boxed(),
];

/// Every copy that the reactors keep, for commands to wait for.
pub(super) const COPIES: &[Copy] = &[accounts::COPY];
