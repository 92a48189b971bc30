//! Notices: what each site is to be told, as a durable queue in PostgreSQL.
//!
//! A notice says of what a site is to be told, not what: that is looked up when it is told, so that many changes are told as one.
//! Each change raises its revision; it is settled when the site knows the last one, or has refused it for good. What changes while
//! a site is being told is told again, and a site that hears two revisions in the wrong order keeps the higher one.
//!
//! A notice is due at a moment. Whoever takes it moves that moment on by a lease, commits, and only then tells: no transaction is
//! held over HTTP, and what a killed process has taken is due again when the lease ends.

mod queue;
mod saying;

use chrono::NaiveDate;
use contracts::id::SiteId;
use deadpool_postgres::GenericClient;

pub(crate) use queue::{Taken, Waiting, due_sites, forget, put_off, settle, take, waiting};
pub(crate) use saying::{NightSaid, Saying, look_up};

use super::domain::site_booking::SiteBooking;
use crate::database;

// $1 to $3: the type, its first night and the one behind its last, where it is not every night. $4: one site, or all that have
// rooms of the type.
const NIGHTS: &str = "insert into channel_manager.notice as notice (site_id, kind, subject, night)
    select allotment.site_id, 'night', allotment.room_type_id, night
    from unnest($1::text[], $2::date[], $3::date[]) as changed (room_type_id, first_night, end_night)
        join channel_manager.allotment using (room_type_id)
        cross join lateral (
            select greatest(first_night, (clock_timestamp() at time zone 'utc')::date) as first_night,
                least(end_night, told_until) as end_night
        ) as bounds
        cross join lateral (
            select bounds.first_night + n as night from generate_series(0, bounds.end_night - bounds.first_night - 1) as n
        ) as nights
    where $4::text is null or allotment.site_id = $4
    group by allotment.site_id, allotment.room_type_id, night
    order by allotment.site_id, allotment.room_type_id, night
    on conflict (site_id, kind, subject, night) do update
        set revision = notice.revision + 1, due_at = clock_timestamp(), tries = 0,
            waiting_since = case when notice.settled < notice.revision then notice.waiting_since else clock_timestamp() end";

const BOOKINGS: &str = "insert into channel_manager.notice as notice (site_id, kind, subject, night, revision)
    select site_id, 'booking', booking_id, night, version
    from unnest($1::text[], $2::text[], $3::date[], $4::bigint[]) as told (site_id, booking_id, night, version)
    order by site_id, booking_id
    on conflict (site_id, kind, subject, night) do update
        set revision = excluded.revision, due_at = clock_timestamp(), tries = 0,
            waiting_since = case when notice.settled < notice.revision then notice.waiting_since else clock_timestamp() end
    where notice.revision < excluded.revision";

/// Nights of a type of room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nights<'a> {
    pub(crate) room_type_id: &'a str,
    /// The first, or as early as sites are told of nights.
    pub(crate) first: Option<NaiveDate>,
    /// The one behind the last, or as late as they are.
    pub(crate) until: Option<NaiveDate>,
}

impl<'a> Nights<'a> {
    /// Every night.
    pub(crate) fn all(room_type_id: &'a str) -> Self {
        Self { room_type_id, first: None, until: None }
    }
}

/// Has sites told anew what they may sell for these nights: one of them, or all that have rooms of the types.
pub(crate) async fn of_nights(
    transaction: &impl GenericClient,
    site: Option<&SiteId>,
    nights: &[Nights<'_>],
) -> Result<(), database::Error> {
    if nights.is_empty() {
        return Ok(());
    }
    let room_types: Vec<&str> = nights.iter().map(|nights| nights.room_type_id).collect();
    let (first, until): (Vec<_>, Vec<_>) = nights.iter().map(|nights| (nights.first, nights.until)).unzip();
    let statement = transaction.prepare_cached(NIGHTS).await?;
    transaction.execute(&statement, &[&room_types, &first, &until, &site.map(SiteId::as_str)]).await?;
    Ok(())
}

/// Has sites told what became of these bookings, each once.
pub(crate) async fn of_bookings(
    transaction: &impl GenericClient,
    bookings: &[SiteBooking],
) -> Result<(), database::Error> {
    if bookings.is_empty() {
        return Ok(());
    }
    let (sites, ids): (Vec<&str>, Vec<&str>) =
        bookings.iter().map(|booking| (booking.site_id.as_str(), booking.id.as_str())).unzip();
    let (nights, versions): (Vec<NaiveDate>, Vec<i64>) =
        bookings.iter().map(|booking| (booking.stay.check_in(), booking.version.get())).unzip();
    let statement = transaction.prepare_cached(BOOKINGS).await?;
    transaction.execute(&statement, &[&sites, &ids, &nights, &versions]).await?;
    Ok(())
}
