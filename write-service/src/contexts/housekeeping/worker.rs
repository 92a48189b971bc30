//! Schedules the daily cleaning of the rooms in which guests are, each on its day.

use std::time::Duration;

use chrono::Utc;
use telemetry::CancellationToken;
use tokio::time::sleep;

use super::store;
use crate::context::Workshop;

/// How often it is looked for rooms whose cleaning is due: another day begins, or a guest has come.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Works until the token is cancelled. A database that is away is no matter: it is for the next time. Only today's cleaning is
/// scheduled: for the days on which no worker was there, nobody can clean any more.
pub(super) async fn run(workshop: Workshop, shutdown: CancellationToken) {
    loop {
        let today = Utc::now().date_naive();
        let more = store::schedule_daily_cleaning(&workshop.pool, today).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the daily cleaning could not be scheduled");
            false
        });
        let wait = if more { Duration::ZERO } else { LOOK_EVERY };
        if shutdown.run_until_cancelled(sleep(wait)).await.is_none() {
            return;
        }
    }
}
