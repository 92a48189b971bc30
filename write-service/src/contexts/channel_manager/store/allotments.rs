//! How many rooms of each type each site may sell, and of which nights it is told.
//!
//! What a night's notice says is counted from allotments, stays and rooms as they are, and whoever changes one of them raises the
//! notice's revision in the same transaction: so one revision always says the same. For that, whoever begins to tell a site of
//! nights and whoever changes what there is to tell must not pass each other: both hold the type, the first for itself alone, the
//! others together.

use deadpool_postgres::{GenericClient, Pool};

use super::super::{
    domain::site::Site,
    notices::{self, Nights},
};
use crate::database;

const HOLD: &str = "select pg_advisory_xact_lock_shared(key) from (
        select distinct hashtextextended('channel_manager.' || id, 0) as key from unnest($1::text[]) as id order by key
    ) as keys";
const HOLD_ALONE: &str = "select pg_advisory_xact_lock(key) from (
        select distinct hashtextextended('channel_manager.' || id, 0) as key from unnest($1::text[]) as id order by key
    ) as keys";

// $4: for how many nights ahead it is told.
const SET: &str = "insert into channel_manager.allotment as allotment (site_id, room_type_id, rooms, told_until)
    values ($1, $2, $3, (clock_timestamp() at time zone 'utc')::date + $4::int)
    on conflict (site_id, room_type_id) do update set rooms = excluded.rooms";

const REMOVE: &str = "delete from channel_manager.allotment where site_id = $1 and room_type_id = any($2)";

const NEAR: &str = "select distinct room_type_id from channel_manager.allotment
    where told_until < (clock_timestamp() at time zone 'utc')::date + $1::int order by room_type_id";
const NEAREST: &str = "select min(told_until) from channel_manager.allotment where room_type_id = $1";
const EXTEND: &str = "update channel_manager.allotment
    set told_until = greatest(told_until, (clock_timestamp() at time zone 'utc')::date + $2::int) where room_type_id = $1";

/// For how many nights ahead sites are told what they may sell, today's included.
const AHEAD: i32 = 366;

/// Holds types of rooms until the transaction's end, for who changes what there is of them.
pub(crate) async fn hold(transaction: &impl GenericClient, room_types: &[&str]) -> Result<(), database::Error> {
    transaction.query(&transaction.prepare_cached(HOLD).await?, &[&room_types]).await?;
    Ok(())
}

/// Lets a site sell so many rooms of a type, and has it told so for every night.
pub(super) async fn set(
    transaction: &impl GenericClient,
    site: &Site,
    room_type_id: &str,
    rooms: u32,
) -> Result<(), database::Error> {
    let rooms = i32::try_from(rooms).unwrap_or(i32::MAX);
    hold_alone(transaction, &[room_type_id]).await?;
    let statement = transaction.prepare_cached(SET).await?;
    transaction.execute(&statement, &[&site.id.as_str(), &room_type_id, &rooms, &AHEAD]).await?;
    notices::of_nights(transaction, Some(&site.id), &[Nights::all(room_type_id)]).await
}

/// Lets a site sell none of these types any more, and has it told so for every night.
pub(super) async fn remove(
    transaction: &impl GenericClient,
    site: &Site,
    room_types: &[&str],
) -> Result<(), database::Error> {
    hold_alone(transaction, room_types).await?;
    let nights: Vec<Nights<'_>> = room_types.iter().map(|room_type_id| Nights::all(room_type_id)).collect();
    notices::of_nights(transaction, Some(&site.id), &nights).await?;
    let statement = transaction.prepare_cached(REMOVE).await?;
    transaction.execute(&statement, &[&site.id.as_str(), &room_types]).await?;
    Ok(())
}

/// Has the sites told of the nights that have come near enough.
pub(crate) async fn extend(pool: &Pool) -> Result<(), database::Error> {
    let mut client = pool.get().await?;
    let rows = client.query(&client.prepare_cached(NEAR).await?, &[&AHEAD]).await?;
    for row in &rows {
        let room_type_id: &str = row.try_get(0)?;
        let transaction = client.transaction().await?;
        hold_alone(&transaction, &[room_type_id]).await?;
        let statement = transaction.prepare_cached(NEAREST).await?;
        let first = transaction.query_one(&statement, &[&room_type_id]).await?.try_get(0)?;
        transaction.execute(&transaction.prepare_cached(EXTEND).await?, &[&room_type_id, &AHEAD]).await?;
        notices::of_nights(&transaction, None, &[Nights { room_type_id, first, until: None }]).await?;
        transaction.commit().await?;
    }
    Ok(())
}

async fn hold_alone(transaction: &impl GenericClient, room_types: &[&str]) -> Result<(), database::Error> {
    transaction.query(&transaction.prepare_cached(HOLD_ALONE).await?, &[&room_types]).await?;
    Ok(())
}
