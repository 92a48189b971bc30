//! Taking notices that are due, and writing down what came of telling them.

use std::{fmt, time::Duration};

use chrono::{DateTime, NaiveDate, Utc};
use deadpool_postgres::Pool;

use super::saying::Said;
use crate::{
    database::{self, read},
    third_party::http::LEASE,
};

/// So many nights of a type are told at once.
const MOST_AT_ONCE: i64 = 100;
/// So many nights that are over are forgotten at once.
const MOST_FORGOTTEN: i64 = 10_000;

const DUE_SITES: &str = "select site_id from channel_manager.site
    where site_id <> all($1::text[]) and exists (
        select from channel_manager.notice
        where notice.site_id = site.site_id and settled < revision and due_at <= clock_timestamp()
    )
    order by random()";

// Bookings first, since a guest may be waiting; then whatever has waited longest, with all nights of its type that are due.
const TAKE: &str = "with longest as (
        select kind, subject from channel_manager.notice
        where site_id = $1 and settled < revision and due_at <= clock_timestamp() order by kind, due_at limit 1
    ), due as (
        select kind, subject, night from channel_manager.notice join longest using (kind, subject)
        where site_id = $1 and settled < revision and due_at <= clock_timestamp()
        order by night limit $2 for no key update of notice skip locked
    )
    update channel_manager.notice
    set due_at = clock_timestamp() + make_interval(secs => $3::float8), tries = tries + 1
    from due
    where notice.site_id = $1 and notice.kind = due.kind and notice.subject = due.subject and notice.night = due.night
    returning notice.kind, notice.subject, notice.night, notice.tries";

// $4 and $5: the nights with the revisions of which nothing more is to be said; $6: why not, where the site has refused them.
const SETTLE: &str = "with said as (
        select notice.night, said.revision
        from unnest($4::date[], $5::bigint[]) as said (night, revision)
            join channel_manager.notice on site_id = $1 and kind = $2 and subject = $3 and notice.night = said.night
        order by notice.night for no key update of notice
    )
    update channel_manager.notice
    set settled = greatest(settled, said.revision), last_error = $6, tries = 0
    from said where site_id = $1 and kind = $2 and subject = $3 and notice.night = said.night";

// What has changed meanwhile is due already.
const PUT_OFF: &str = "with said as (
        select notice.night, said.revision
        from unnest($4::date[], $5::bigint[]) as said (night, revision)
            join channel_manager.notice on site_id = $1 and kind = $2 and subject = $3 and notice.night = said.night
        order by notice.night for no key update of notice
    )
    update channel_manager.notice
    set due_at = clock_timestamp() + make_interval(secs => $7::float8), last_error = $6
    from said
    where site_id = $1 and kind = $2 and subject = $3 and notice.night = said.night and notice.revision = said.revision";

const WAITING: &str = "select site_id, count(waiting_since), min(waiting_since)
    from channel_manager.site
        left join (select site_id, waiting_since from channel_manager.notice where settled < revision) as waiting
            using (site_id)
    group by site_id";

const FORGET: &str = "delete from channel_manager.notice where (site_id, kind, subject, night) in (
        select site_id, kind, subject, night from channel_manager.notice
        where kind = 'night' and night < (clock_timestamp() at time zone 'utc')::date
        order by site_id, kind, subject, night limit $1 for update skip locked
    )";

/// Notices of one site that were taken: a booking's, or several nights' of a type of room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) site_id: String,
    pub(super) kind: String,
    pub(super) subject: String,
    pub(super) nights: Vec<NaiveDate>,
    /// How often it was tried, with this time.
    pub(crate) tries: u32,
}

/// What waits for a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) site_id: String,
    /// So many notices.
    pub(crate) count: i64,
    /// Since when the oldest waits.
    pub(crate) since: Option<DateTime<Utc>>,
}

/// As logs name it.
impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} for {}", self.kind, self.subject, self.site_id)
    }
}

/// The sites to which there is something to be said, but for these; in any order.
pub(crate) async fn due_sites(pool: &Pool, except: &[&str]) -> Result<Vec<String>, database::Error> {
    let client = pool.get().await?;
    let rows = client.query(&client.prepare_cached(DUE_SITES).await?, &[&except]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// What waits for each site, also where that is nothing.
pub(crate) async fn waiting(pool: &Pool) -> Result<Vec<Waiting>, database::Error> {
    let client = pool.get().await?;
    let rows = client.query(&client.prepare_cached(WAITING).await?, &[]).await?;
    rows.iter()
        .map(|row| Ok(Waiting { site_id: row.try_get(0)?, count: row.try_get(1)?, since: row.try_get(2)? }))
        .collect()
}

/// Takes what a site is to be told at once, if anything is due.
pub(crate) async fn take(pool: &Pool, site_id: &str) -> Result<Option<Taken>, database::Error> {
    let client = pool.get().await?;
    let statement = client.prepare_cached(TAKE).await?;
    let rows = client.query(&statement, &[&site_id, &MOST_AT_ONCE, &LEASE.as_secs_f64()]).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let mut taken = Taken {
        site_id: site_id.to_owned(),
        kind: first.try_get("kind")?,
        subject: first.try_get("subject")?,
        nights: Vec::with_capacity(rows.len()),
        tries: 0,
    };
    for row in &rows {
        taken.nights.push(row.try_get("night")?);
        taken.tries = taken.tries.max(read::<u32, i32>(row, "tries")?);
    }
    Ok(Some(taken))
}

/// Nothing more is to be said of what was said; `refusal`: why the site does not take it.
pub(crate) async fn settle(
    pool: &Pool,
    taken: &Taken,
    said: &[Said],
    refusal: Option<&str>,
) -> Result<(), database::Error> {
    let client = pool.get().await?;
    let statement = client.prepare_cached(SETTLE).await?;
    let (nights, revisions) = columns(said);
    client.execute(&statement, &[&taken.site_id, &taken.kind, &taken.subject, &nights, &revisions, &refusal]).await?;
    Ok(())
}

/// Tells it again later: nobody knows whether it was heard.
pub(crate) async fn put_off(
    pool: &Pool,
    taken: &Taken,
    said: &[Said],
    wait: Duration,
    reason: &str,
) -> Result<(), database::Error> {
    let client = pool.get().await?;
    let statement = client.prepare_cached(PUT_OFF).await?;
    let (nights, revisions) = columns(said);
    let wait = wait.as_secs_f64();
    client
        .execute(&statement, &[&taken.site_id, &taken.kind, &taken.subject, &nights, &revisions, &reason, &wait])
        .await?;
    Ok(())
}

/// Forgets the nights that are over, also where they could not be told.
pub(crate) async fn forget(pool: &Pool) -> Result<(), database::Error> {
    let client = pool.get().await?;
    client.execute(&client.prepare_cached(FORGET).await?, &[&MOST_FORGOTTEN]).await?;
    Ok(())
}

fn columns(said: &[Said]) -> (Vec<NaiveDate>, Vec<i64>) {
    said.iter().map(|said| (said.night, said.revision)).unzip()
}
