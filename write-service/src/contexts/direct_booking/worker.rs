//! Ends the wait for payments that do not come.

use std::time::Duration;

use telemetry::CancellationToken;
use tokio::time::sleep;

use super::store;
use crate::context::Workshop;

/// How often it is looked for bookings that nobody has paid in time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Works until the token is cancelled. A database that is away is no matter: it is for the next time.
pub(super) async fn run(workshop: Workshop, shutdown: CancellationToken) {
    loop {
        let more = store::bookings::expire(&workshop.pool).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "bookings that nobody has paid could not be ended");
            false
        });
        let wait = if more { Duration::ZERO } else { LOOK_EVERY };
        if shutdown.run_until_cancelled(sleep(wait)).await.is_none() {
            return;
        }
    }
}
