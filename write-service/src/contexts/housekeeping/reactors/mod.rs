//! What this context does about the events of others.

mod bookings;

use crate::{context::Reactor, read_after::Copy};

/// Every reactor.
pub(super) const ALL: &[Reactor] = &[|_, _| Some(Box::new(bookings::Bookings))];

/// Every copy that the reactors keep, for commands to wait for.
pub(super) const COPIES: &[Copy] = &[bookings::COPY];
