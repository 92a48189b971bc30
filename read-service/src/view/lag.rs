//! How far each view is behind its topics, told in the database, so that a process which only serves can say it.
//!
//! Only who reads the topics knows where they end. Each process that projects writes how many messages its own partitions of a
//! view lack, again and again; what has not been told again for [`KNOWN`] says nothing any more.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use deadpool_postgres::Pool;
use inbox::Applied;
use telemetry::{CancellationToken, database::reason};

/// How often it is told; where a topic ends is seen as often.
const TELL: Duration = Duration::from_secs(1);

/// For how many seconds it counts: longer than the partitions of a process that was killed belong to nobody.
pub(crate) const KNOWN: u32 = 30;

/// Only rows that fill the views that are served, not those of a rebuild.
const SERVING: i32 = 1;

/// Tells how far behind the projections of this process are, until `stop` is cancelled.
pub async fn tell_lag(pool: Pool, applied: Applied, stop: CancellationToken) {
    // By chance, since processes share neither ids nor names.
    let instance = RandomState::new().hash_one(0).cast_signed();
    let tell = async {
        let mut looks = tokio::time::interval(TELL);
        loop {
            looks.tick().await;
            // Whether the database is there is said elsewhere.
            if let Err(reason) = tell(&pool, &applied, instance).await {
                tracing::debug!(reason, "how far the views are behind could not be told");
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = tell => {}
    }
}

/// Nothing depends on its being on the disk: the next second's look replaces it.
async fn tell(pool: &Pool, applied: &Applied, instance: i64) -> Result<(), String> {
    let behind = applied.behind().into_iter().filter(|behind| behind.generation == SERVING);
    let (views, messages): (Vec<_>, Vec<_>) =
        behind.map(|behind| (behind.handler, i64::try_from(behind.messages).unwrap_or(i64::MAX))).unzip();
    if views.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "WITH forgotten AS (
             DELETE FROM view.lag WHERE instance <> $1 AND looked_at < now() - interval '{KNOWN} seconds')
         INSERT INTO view.lag (view, instance, messages, looked_at)
         SELECT view, $1, messages, now() FROM unnest($2::text[], $3::bigint[]) AS found (view, messages)
         WHERE set_config('synchronous_commit', 'off', true) = 'off'
         ON CONFLICT (view, instance) DO UPDATE SET messages = excluded.messages, looked_at = excluded.looked_at"
    );
    let client = pool.get().await.map_err(|error| reason(&error))?;
    let statement = client.prepare_cached(&sql).await.map_err(|error| reason(&error))?;
    client.execute(&statement, &[&instance, &views, &messages]).await.map_err(|error| reason(&error))?;
    Ok(())
}
