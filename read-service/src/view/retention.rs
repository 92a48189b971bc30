//! The journal's end: what it has kept long enough is removed, so that it doesn't grow for ever.

use std::time::Duration;

use deadpool_postgres::Pool;
use telemetry::{CancellationToken, database::reason};
use tokio_postgres::Client;

/// How often it is looked for what is to go.
const LOOK: Duration = Duration::from_secs(60);

/// So many rows go in one statement, so that none takes long.
const BATCH: i64 = 1_000;

const PRUNE: &str = "DELETE FROM view.event WHERE id = ANY (ARRAY(
    SELECT id FROM view.event WHERE recorded_at < now() - make_interval(secs => $1)
    ORDER BY recorded_at, id LIMIT $2))";

/// Removes from the journal, again and again, what was recorded longer ago than `keep`. Ends when `stop` is cancelled.
pub async fn keep_journal(pool: Pool, keep: Duration, stop: CancellationToken) {
    let prune = async {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            // What fails is tried again the next time; whether the database is there is said elsewhere.
            let pruned = match pool.get().await {
                Ok(client) => prune_journal(&client, keep).await.map_err(|error| reason(&error)),
                Err(error) => Err(reason(&error)),
            };
            match pruned {
                Ok(0) => {}
                Ok(events) => tracing::info!(events, "removed from the journal what it has kept long enough"),
                Err(error) => tracing::warn!(error, "the journal could not be pruned"),
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = prune => {}
    }
}

/// Removes what was recorded longer ago than `keep`: how many events.
///
/// # Errors
/// When the database refuses, or is not there; what has gone before stays gone.
pub async fn prune_journal(client: &Client, keep: Duration) -> Result<u64, tokio_postgres::Error> {
    let mut pruned = 0;
    loop {
        let gone = client.execute(PRUNE, &[&keep.as_secs_f64(), &BATCH]).await?;
        pruned += gone;
        if gone < BATCH.unsigned_abs() {
            return Ok(pruned);
        }
    }
}
