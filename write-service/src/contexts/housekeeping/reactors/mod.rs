//! What this context does about the events of others.

mod bookings;

use futures::FutureExt;

use crate::{context::Reactor, read_after::Copy};

/// Every reactor.
pub(super) const ALL: &[Reactor] =
    &[|_, intake, applied, shutdown| inbox::run(bookings::Bookings, intake, applied, shutdown).boxed()];

/// Every copy that the reactors keep, for commands to wait for.
pub(super) const COPIES: &[Copy] = &[bookings::COPY];
