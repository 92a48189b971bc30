//! This context's own copies: every booking's stay, and how many rooms there are of each type. A row takes only a higher version,
//! so that a duplicate or a late event changes nothing.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use contracts::{
    envelope::AggregateVersion,
    id::{BookingId, RoomTypeId, SiteId},
};
use deadpool_postgres::Transaction;

use super::super::notices::Nights;
use crate::database;

const STAYS: &str =
    "select booking_id, version, held_until from channel_manager.stay where booking_id = any($1::text[])";

const UPSERT_STAYS: &str = "insert into channel_manager.stay as copy
        (booking_id, version, site_id, room_type_id, check_in, held_until, is_arrived)
    select * from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::date[], $6::date[], $7::boolean[])
    on conflict (booking_id) do update
        set version = excluded.version, held_until = excluded.held_until, is_arrived = excluded.is_arrived
    where copy.version < excluded.version";

const UPSERT_ROOM_TYPES: &str = "insert into channel_manager.room_type as copy (room_type_id, version, rooms)
    select * from unnest($1::text[], $2::bigint[], $3::int[])
    on conflict (room_type_id) do update set version = excluded.version, rooms = excluded.rooms
    where copy.version < excluded.version returning room_type_id";

/// What is kept of a booking.
#[derive(Clone, Debug)]
pub(crate) struct StayCopy {
    pub(crate) booking_id: BookingId,
    pub(crate) version: AggregateVersion,
    /// The site that has sold it, if one has.
    pub(crate) site_id: Option<SiteId>,
    pub(crate) room_type_id: RoomTypeId,
    pub(crate) check_in: NaiveDate,
    pub(crate) held_until: NaiveDate,
    pub(crate) is_arrived: bool,
}

/// What is kept of a type of room.
#[derive(Clone, Debug)]
pub(crate) struct RoomTypeCopy {
    pub(crate) room_type_id: String,
    pub(crate) version: AggregateVersion,
    pub(crate) rooms: i32,
}

impl StayCopy {
    /// The nights of which it holds a room now and did not before, or the other way round, if there are any; `before`: version
    /// and end of what was kept.
    fn changed(&self, before: Option<(i64, NaiveDate)>) -> Option<Nights<'_>> {
        let (version, end) = before.unwrap_or((0, self.check_in));
        (version < self.version.get() && end != self.held_until).then(|| Nights {
            room_type_id: self.room_type_id.as_str(),
            first: Some(end.min(self.held_until)),
            until: Some(end.max(self.held_until)),
        })
    }
}

/// Keeps stays, each once. Gives the nights that are changed by that.
pub(crate) async fn keep_stays<'a>(
    transaction: &Transaction<'_>,
    stays: &BTreeMap<&str, &'a StayCopy>,
) -> Result<Vec<Nights<'a>>, database::Error> {
    let ids: Vec<&str> = stays.keys().copied().collect();
    let mut before = HashMap::new();
    for row in transaction.query(&transaction.prepare_cached(STAYS).await?, &[&ids]).await? {
        before.insert(row.try_get::<_, String>(0)?, (row.try_get(1)?, row.try_get(2)?));
    }
    let column = |of: fn(&'a StayCopy) -> &'a str| stays.values().map(|stay| of(stay)).collect::<Vec<&str>>();
    let room_types = column(|stay| stay.room_type_id.as_str());
    let versions: Vec<i64> = stays.values().map(|stay| stay.version.get()).collect();
    let sites: Vec<Option<&str>> = stays.values().map(|stay| stay.site_id.as_ref().map(SiteId::as_str)).collect();
    let (check_ins, held_until): (Vec<NaiveDate>, Vec<NaiveDate>) =
        stays.values().map(|stay| (stay.check_in, stay.held_until)).unzip();
    let arrived: Vec<bool> = stays.values().map(|stay| stay.is_arrived).collect();
    let statement = transaction.prepare_cached(UPSERT_STAYS).await?;
    transaction.execute(&statement, &[&ids, &versions, &sites, &room_types, &check_ins, &held_until, &arrived]).await?;
    Ok(stays.values().filter_map(|stay| stay.changed(before.get(stay.booking_id.as_str()).copied())).collect())
}

/// Keeps the numbers of rooms, of each type once. Gives the types of which a higher version has come.
pub(crate) async fn keep_room_types(
    transaction: &Transaction<'_>,
    room_types: &BTreeMap<&str, &RoomTypeCopy>,
) -> Result<Vec<String>, database::Error> {
    let ids: Vec<&str> = room_types.keys().copied().collect();
    let versions: Vec<i64> = room_types.values().map(|copy| copy.version.get()).collect();
    let rooms: Vec<i32> = room_types.values().map(|copy| copy.rooms).collect();
    let statement = transaction.prepare_cached(UPSERT_ROOM_TYPES).await?;
    let rows = transaction.query(&statement, &[&ids, &versions, &rooms]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}
