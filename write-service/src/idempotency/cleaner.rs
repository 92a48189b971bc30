//! Deletes the answers that have been kept for long enough.

use std::time::Duration;

use deadpool_postgres::Pool;
use telemetry::CancellationToken;

use super::answers::Answers;
use crate::period::Period;

/// How often it looks, at least and at most.
const OFTEN: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(60);

/// Deletes, in batches, until the token is cancelled. A database that is away is no matter: it is for the next time.
pub(crate) async fn clean(pool: &Pool, answers: &Answers, keep: Period, shutdown: &CancellationToken) {
    let wait = (keep.duration() / 24).clamp(OFTEN, SELDOM);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            cleaned = clean_all(pool, answers, keep) => if let Err(error) = cleaned {
                tracing::warn!(%error, "old answers to commands could not be deleted");
            },
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn clean_all(pool: &Pool, answers: &Answers, keep: Period) -> Result<(), crate::database::Error> {
    while answers.clean(pool, keep.duration()).await? {}
    Ok(())
}
