//! Making bookings: the row, the rooms' nights and the event in one statement.
//!
//! Never two bookings for the last room: a night's count is raised by the statement that checks it, under the row's lock.

use chrono::NaiveDate;
use contracts::direct_booking::{BookingDocument, BookingStatus};
use deadpool_postgres::Transaction;

use super::{
    super::{
        super::domain::booking::{self, Booker, Booking, Make, Price, Refusal, Situation},
        guests, rate_plans,
    },
    row::New,
};
use crate::{
    command::Command,
    database,
    failure::Failure,
    outbox::{Entry, Parameter, Recorded, insert_event},
};

const IS_TAKEN: &str = "select exists (select from direct_booking.booking where booking_id = $1)";

const SITUATION: &str = "select
    (select open from direct_booking.account_copy where account_id = $1) as account_is_open,
    (select room_count from direct_booking.room_type where room_type_id = $2) as rooms,
    exists (select from direct_booking.booking where booking_id = $3) as is_taken";

// $8 room type, $9 first night, $10 nights, $11 rooms; then the rest of the booking, see `New`; $29 for how long its payment
// is awaited. The booking and its event are written only when a room could be held for every night; what was held is given
// back otherwise, since a refusal undoes what its command wrote.
const MAKE: &str = concat!(
    "with held as (
         insert into direct_booking.room_night as room_night (room_type_id, night, taken)
         select $8::text, night, 1 from unnest($10::date[]) as night order by night
         on conflict (room_type_id, night) do update set taken = room_night.taken + 1 where room_night.taken < $11::int
         returning night
     ), made as (
         insert into direct_booking.booking (room_type_id, check_in, booking_id, version, status,
             account_id, guest_id, site_id, site_reference, check_out, adults, children, babies,
             rate_plan_id, nightly_rate, total, currency, made_at, rejection, expires_at,
             cause_id, correlation_id, traceparent, tracestate)
         select $8::text, $9::date, $12::text, $13::bigint, $14::text,
             $15::text, $16::text, $17::text, $18::text, $19::date, $20::int, $21::int, $22::int,
             $23::text, $24::bigint, $25::bigint, $26::text, $27::timestamptz, $28::text,
             clock_timestamp() + make_interval(secs => $29::float8),
             $1::uuid, $7::json ->> 'ce_correlationid', $7::json ->> 'traceparent', $7::json ->> 'tracestate'
         where (select count(*) from held) = cardinality($10::date[])
         on conflict (booking_id) do nothing
         returning 1
     ), event as (",
    insert_event!("direct_booking", "made"),
    " returning 1)
     select array(select night from held) as held, exists (select from event) as is_made"
);

/// Makes a booking if the domain agrees and a room is free on every night.
pub(crate) async fn make(
    transaction: &Transaction<'_>,
    make: Make,
    command: &Command,
) -> Result<(BookingStatus, Recorded), Failure<Refusal>> {
    let statement = transaction.prepare_cached(SITUATION).await?;
    let (account_id, guest) = match &make.booker {
        Booker::Account(account_id) => (Some(account_id.as_str()), None),
        Booker::Guest(guest) => (None, Some(guest.clone())),
    };
    let names = [make.room_type_id.as_str(), make.id.as_str()];
    let row = transaction.query_one(&statement, &[&account_id, &names[0], &names[1]]).await?;
    if row.try_get("is_taken")? {
        return Err(Failure::Taken);
    }
    // Rooms are only ever added, so that a count read without a lock is never too high.
    let rooms: Option<i32> = row.try_get("rooms")?;
    let plan = match &make.price {
        Price::Agreed(_) => None,
        Price::Plan(id, _) => rate_plans::read(transaction, id).await?,
    };
    let situation = Situation {
        account_is_open: row.try_get("account_is_open")?,
        rooms: rooms.and_then(|rooms| u32::try_from(rooms).ok()),
        plan,
    };
    let (new, event) = booking::make(make, &situation, command.now).map_err(Failure::Refused)?;
    if let Some(guest) = guest
        && !guests::register(transaction, &guest, &command.cause).await?
    {
        return Err(Failure::Taken);
    }
    let entry = Entry::new(&BookingDocument::from(&new), event.ty(), &command.cause);
    let patience = command.surroundings.booking_expiry.as_secs_f64();
    match insert(transaction, &new, rooms, Some(patience), &entry).await? {
        Inserted::Made => Ok((new.status, entry.recorded())),
        Inserted::Taken => Err(Failure::Taken),
        Inserted::NoRoom(night) => Err(Failure::Refused(Refusal::NoRoom(night))),
    }
}

/// What came of inserting a booking.
pub(super) enum Inserted {
    /// It is there, with its event.
    Made,
    /// Another one has its id.
    Taken,
    /// No room is free on this night. Others are held now: undo it.
    NoRoom(NaiveDate),
}

/// Inserts a booking with its event, and holds a room for its nights unless none is needed: its payment is awaited for so many
/// seconds.
pub(super) async fn insert(
    transaction: &Transaction<'_>,
    new: &Booking,
    rooms: Option<i32>,
    patience: Option<f64>,
    entry: &Entry,
) -> Result<Inserted, database::Error> {
    let (room_type_id, check_in) = (new.room_type_id.as_str(), new.stay.check_in());
    let nights: Vec<NaiveDate> = if new.needs_room() { new.stay.nights().collect() } else { Vec::new() };
    let columns = New::of(new);
    let mut state: Vec<Parameter<'_>> = vec![&room_type_id, &check_in, &nights, &rooms];
    state.extend(columns.columns());
    state.push(&patience);
    let row = entry.query_one(transaction, MAKE, &state).await?;
    let held: Vec<NaiveDate> = row.try_get("held")?;
    match booking::first_full_night(new.stay, &held) {
        Some(night) if new.needs_room() => {
            // The last room may have gone to the same booking, sent twice: the first one's commit is visible only now.
            let statement = transaction.prepare_cached(IS_TAKEN).await?;
            let is_taken = transaction.query_one(&statement, &[&new.id.as_str()]).await?.try_get(0)?;
            Ok(if is_taken { Inserted::Taken } else { Inserted::NoRoom(night) })
        }
        _ if row.try_get("is_made")? => Ok(Inserted::Made),
        _ => Ok(Inserted::Taken),
    }
}
