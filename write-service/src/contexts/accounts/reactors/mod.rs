//! What this context does about the events of others.

mod bookings;

use futures::FutureExt;

use crate::context::{CardDetails, Reactor};

/// Every reactor.
pub(super) const ALL: &[Reactor] = &[|surroundings, intake, applied, shutdown| match surroundings.card_details {
    CardDetails::Pipeline => inbox::run(bookings::Bookings, intake, applied, shutdown).boxed(),
    CardDetails::Cache => async { Ok(()) }.boxed(),
}];
