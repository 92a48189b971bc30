//! Bookings: each change with its event in one statement, which also gives back the nights that nobody needs any more.
//!
//! No deadlock: nights are locked in their order, by whoever takes them or gives them back, and nothing else is locked
//! after them.

mod channel;
mod make;
pub(crate) mod row;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::{
    direct_booking::{BookingDocument, BookingEvent},
    envelope::TraceContext,
    id::BookingId,
};
use deadpool_postgres::{Pool, Transaction};

pub(crate) use channel::{cancelled_by_site, receive};
pub(crate) use make::make;
use row::{booking as read_booking, select_bookings};

use super::super::domain::booking::{self, Booking, PaymentOutcome, Refusal};
use crate::{
    command::{Cause, Command},
    database,
    failure::Failure,
    outbox::{Entry, Parameter, Recorded, insert_event},
};

const FIND: &str = select_bookings!("where booking_id = $1");
const LOCK: &str = select_bookings!("where booking_id = $1 for no key update");
const LOCK_ALL: &str = select_bookings!("where booking_id = any($1) order by booking_id for no key update");

/// So many expire in one transaction.
const EXPIRE_AT_ONCE: i64 = 100;
const EXPIRED: &str = "select booking_id, cause_id, correlation_id, traceparent, tracestate from direct_booking.booking
    where status = 'PENDING' and expires_at <= clock_timestamp() order by expires_at limit $1";

const ROOMS: &str = "select rooms,
        array(select room from direct_booking.booking where room_type_id = $1 and status = 'CHECKED_IN') as occupied
    from direct_booking.room_type where room_type_id = $1";
// Two guests who come at once do not get the same room.
const LOCK_ROOMS: &str = "select from direct_booking.room_type where room_type_id = $1 for no key update";

// $8 booking and what may have changed of it: $9 version, $10 status, $11 why rejected, $12 when cancelled, $13 room, $14 and
// $15 when the guest came and left; $16 room type, $17 the nights that are given back,
// of which the rows are there; $18 when a confirmation was asked for.
const CHANGE: &str = concat!(
    "with changed as (
         update direct_booking.booking set version = $9, status = $10, rejection = $11, cancelled_at = $12, room = $13,
             checked_in_at = $14, checked_out_at = $15, confirmation_requested_at = $18
         where booking_id = $8 returning 1
     ), given_back as (
         insert into direct_booking.room_night as room_night (room_type_id, night, taken)
         select $16::text, night, 0 from unnest($17::date[]) as night order by night
         on conflict (room_type_id, night) do update set taken = room_night.taken - 1
     ) ",
    insert_event!("direct_booking", "changed")
);

/// The booking, if there is one.
pub(crate) async fn find(pool: &Pool, id: &BookingId) -> Result<Option<Booking>, database::Error> {
    let client = pool.get().await?;
    let statement = client.prepare_cached(FIND).await?;
    client.query_opt(&statement, &[&id.as_str()]).await?.map(|row| read_booking(&row)).transpose()
}

/// Changes a booking by what the domain decides, with its row locked.
pub(crate) async fn change(
    transaction: &Transaction<'_>,
    id: &BookingId,
    command: &Command,
    decide: impl FnOnce(&Booking, DateTime<Utc>) -> Result<(Booking, BookingEvent), Refusal>,
) -> Result<Recorded, Failure<Refusal>> {
    let before = lock(transaction, id, command).await?;
    let (after, event) = decide(&before, command.now).map_err(Failure::Refused)?;
    let entry = Entry::new(&BookingDocument::from(&after), event.ty(), &command.cause);
    write(transaction, &after, &entry).await?;
    Ok(entry.recorded())
}

/// Gives the guest a room: the one that is wanted, else one that is free.
pub(crate) async fn check_in(
    transaction: &Transaction<'_>,
    id: &BookingId,
    wanted: Option<&str>,
    command: &Command,
) -> Result<Recorded, Failure<Refusal>> {
    let before = lock(transaction, id, command).await?;
    before.may_check_in(command.now).map_err(Failure::Refused)?;
    let room_type_id = before.room_type_id.as_str();
    transaction.execute(&transaction.prepare_cached(LOCK_ROOMS).await?, &[&room_type_id]).await?;
    let row = transaction.query_one(&transaction.prepare_cached(ROOMS).await?, &[&room_type_id]).await?;
    let (rooms, occupied): (Vec<String>, Vec<String>) = (row.try_get("rooms")?, row.try_get("occupied")?);
    let room = booking::choose_room(wanted, &rooms, &occupied).map_err(Failure::Refused)?;
    let (after, event) = before.check_in(room, command.now).map_err(Failure::Refused)?;
    let entry = Entry::new(&BookingDocument::from(&after), event.ty(), &command.cause);
    write(transaction, &after, &entry).await?;
    Ok(entry.recorded())
}

/// Takes up how the payments of bookings have ended.
pub(crate) async fn payments_ended(
    transaction: &Transaction<'_>,
    ended: &BTreeMap<&BookingId, (&PaymentOutcome, &Cause)>,
) -> Result<(), database::Error> {
    let ids: Vec<&str> = ended.keys().map(|id| id.as_str()).collect();
    change_all(transaction, &ids, |booking| {
        let (outcome, cause) = ended.get(&booking.id)?;
        Some((booking.payment_ended((*outcome).clone())?, (*cause).clone()))
    })
    .await
}

/// Ends the wait for payments that did not come in time; whether there may be more of them.
pub(crate) async fn expire(pool: &Pool) -> Result<bool, database::Error> {
    let mut client = pool.get().await?;
    let rows = client.query(&client.prepare_cached(EXPIRED).await?, &[&EXPIRE_AT_ONCE]).await?;
    if rows.is_empty() {
        return Ok(false);
    }
    let mut due = BTreeMap::new();
    for row in &rows {
        let trace = TraceContext { traceparent: row.try_get("traceparent")?, tracestate: row.try_get("tracestate")? };
        let cause = Cause { id: row.try_get("cause_id")?, correlation_id: row.try_get("correlation_id")?, trace };
        due.insert(row.try_get::<_, String>("booking_id")?, cause);
    }
    let transaction = client.transaction().await?;
    let ids: Vec<&str> = due.keys().map(String::as_str).collect();
    change_all(&transaction, &ids, |booking| Some((booking.expire()?, due.get(booking.id.as_str())?.clone()))).await?;
    transaction.commit().await?;
    Ok(i64::try_from(rows.len()) == Ok(EXPIRE_AT_ONCE))
}

/// Changes these bookings, such as there are, by what `decide` makes of each. All of them are locked before any night, and the
/// nights in one order, so that it cannot deadlock with a command.
async fn change_all(
    transaction: &Transaction<'_>,
    ids: &[&str],
    decide: impl Fn(&Booking) -> Option<((Booking, BookingEvent), Cause)>,
) -> Result<(), database::Error> {
    let rows = transaction.query(&transaction.prepare_cached(LOCK_ALL).await?, &[&ids]).await?;
    let mut changed = Vec::new();
    for row in &rows {
        changed.extend(decide(&read_booking(row)?));
    }
    changed.sort_by(|((one, _), _), ((other, _), _)| {
        one.room_type_id.cmp(&other.room_type_id).then_with(|| one.free_nights().cmp(other.free_nights()))
    });
    for ((after, event), cause) in changed {
        write(transaction, &after, &Entry::new(&BookingDocument::from(&after), event.ty(), &cause)).await?;
    }
    Ok(())
}

async fn lock(transaction: &Transaction<'_>, id: &BookingId, command: &Command) -> Result<Booking, Failure<Refusal>> {
    let statement = transaction.prepare_cached(LOCK).await?;
    let row = transaction.query_opt(&statement, &[&id.as_str()]).await?.ok_or(Failure::Missing)?;
    let before = read_booking(&row)?;
    command.check_version(&BookingDocument::from(&before))?;
    Ok(before)
}

/// Writes a booking that has changed, with its event.
async fn write(transaction: &Transaction<'_>, after: &Booking, entry: &Entry) -> Result<(), database::Error> {
    let (id, version, status) = (after.id.as_str(), after.version.get(), after.status.as_str());
    let room_type_id = after.room_type_id.as_str();
    let nights: Vec<_> = after.free_nights().collect();
    let state: [Parameter<'_>; 11] = [
        &id,
        &version,
        &status,
        &after.rejection,
        &after.cancelled_at,
        &after.room,
        &after.checked_in_at,
        &after.checked_out_at,
        &room_type_id,
        &nights,
        &after.confirmation_requested_at,
    ];
    entry.execute(transaction, CHANGE, &state).await?;
    Ok(())
}
