//! What this context does about the events of others.

mod bookings;

use inbox::AnyHandler;

use crate::context::{CardDetails, Reactor};

/// Every reactor.
pub(super) const ALL: &[Reactor] = &[|surroundings, _| match surroundings.card_details {
    CardDetails::Pipeline => Some(Box::new(bookings::Bookings) as Box<dyn AnyHandler>),
    CardDetails::Cache => None,
}];
