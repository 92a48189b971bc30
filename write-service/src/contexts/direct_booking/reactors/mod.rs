//! What this context does about the events of others.

pub(crate) mod accounts;
mod payments;
mod site_bookings;

use futures::FutureExt;

use crate::{context::Reactor, read_after::Copy};

/// Every reactor.
pub(super) const ALL: &[Reactor] = &[
    |_, intake, applied, shutdown| inbox::run(accounts::AccountCopies, intake, applied, shutdown).boxed(),
    |_, intake, applied, shutdown| inbox::run(payments::Payments, intake, applied, shutdown).boxed(),
    |_, intake, applied, shutdown| inbox::run(site_bookings::SiteBookings, intake, applied, shutdown).boxed(),
];

/// Every copy that the reactors keep, for commands to wait for.
pub(super) const COPIES: &[Copy] = &[accounts::COPY];
