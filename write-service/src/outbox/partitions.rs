//! Keeps the outbox's partitions: makes those of the days to come, and lets go of those that were kept for long enough.
//!
//! What is done, and with whose rights, is in the database: `migrations/V1__outbox.sql`.

use std::time::Duration;

use deadpool_postgres::Pool;
use telemetry::CancellationToken;
use tokio::time::sleep;
use tokio_postgres::types::Type;

use crate::{database, period::Period};

/// So many days ahead, so that a service which is stopped for a week finds its partition when it comes back.
const DAYS_AHEAD: i32 = 7;

/// How often it looks; and when it could not do its work.
const OFTEN: Duration = Duration::from_secs(60 * 60);
const AGAIN: Duration = Duration::from_secs(60);

/// For how long rows are kept at least, and who has to have published them before they go.
#[derive(Clone, Debug)]
pub struct Retention {
    /// For how long.
    pub keep: Period,
    /// The replication slots which have to have confirmed them. None: nothing is ever dropped.
    pub slots: Vec<String>,
}

/// Keeps the partitions of a schema's outbox until the token is cancelled.
pub(crate) async fn keep(pool: &Pool, schema: &str, retention: &Retention, shutdown: &CancellationToken) {
    loop {
        let wait = match keep_once(pool, schema, retention).await {
            Ok(()) => OFTEN.min(retention.keep.duration()),
            Err(error) => {
                tracing::warn!(schema, %error, "the outbox's partitions could not be kept; tried again in a minute");
                AGAIN
            }
        };
        if shutdown.run_until_cancelled(sleep(wait)).await.is_none() {
            return;
        }
    }
}

async fn keep_once(pool: &Pool, schema: &str, retention: &Retention) -> Result<(), database::Error> {
    let client = pool.get().await?;
    client.query_typed(&format!("select {schema}.ensure_outbox_partitions($1)"), &[(&DAYS_AHEAD, Type::INT4)]).await?;
    let retire = format!("select * from {schema}.retire_outbox_partitions(make_interval(secs => $1), $2)");
    let keep = retention.keep.duration().as_secs_f64();
    let rows = client.query_typed(&retire, &[(&keep, Type::FLOAT8), (&retention.slots, Type::TEXT_ARRAY)]).await?;
    for row in rows {
        let (retired, dropped): (i32, i32) = (row.try_get("retired")?, row.try_get("dropped")?);
        if retired + dropped > 0 {
            tracing::info!(schema, retired, dropped, "partitions of the outbox");
        }
    }
    Ok(())
}
