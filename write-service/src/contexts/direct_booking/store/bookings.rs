//! Bookings: the row, the rooms' nights and the event in one transaction.
//!
//! Never two bookings for the last room: a night's count is raised by the statement that checks it, under the row's lock.
//! No deadlock: nights are locked in their order, by whoever takes them or gives them back, and nothing else is locked
//! after them.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use contracts::{
    direct_booking::{BookingDocument, BookingStatus, Guests},
    envelope::AggregateVersion,
    id::{AccountId, BookingId, RoomTypeId},
    money::{Currency, Money},
};
use deadpool_postgres::{Pool, Transaction};
use tokio_postgres::Row;

use super::super::domain::{
    booking::{self, Booking, Make, PaymentOutcome, Refusal, Situation},
    stay::Stay,
};
use crate::{
    command::{Cause, Command},
    database::{self, read},
    failure::Failure,
    outbox::{Entry, Parameter, Recorded, insert_event, with_event},
};

// Columns by name: a statement that says `*` fails, where it is prepared already, once a migration adds one.
const FIND: &str =
    "select booking_id, version, status, account_id, room_type_id, check_in, check_out, adults, children, babies,
        nightly_rate, total, currency, made_at, rejection, cancelled_at
    from direct_booking.booking where booking_id = $1";

const LOCK: &str =
    "select booking_id, version, status, account_id, room_type_id, check_in, check_out, adults, children, babies,
        nightly_rate, total, currency, made_at, rejection, cancelled_at
    from direct_booking.booking where booking_id = $1 for no key update";

const IS_TAKEN: &str = "select exists (select from direct_booking.booking where booking_id = $1)";

const SITUATION: &str = "select
    (select open from direct_booking.account_copy where account_id = $1) as account_is_open,
    (select room_count from direct_booking.room_type where room_type_id = $2) as rooms,
    exists (select from direct_booking.booking where booking_id = $3) as is_taken";

const LOCK_ALL: &str =
    "select booking_id, version, status, account_id, room_type_id, check_in, check_out, adults, children, babies,
        nightly_rate, total, currency, made_at, rejection, cancelled_at
    from direct_booking.booking where booking_id = any($1) order by booking_id for no key update";

// $8 room type, $9 first night, $10 nights, $11 rooms; then the rest of the booking. The booking and its event are
// written only when a room could be held for every night; what was held is given back otherwise, since a refusal undoes
// what its command wrote.
const MAKE: &str = concat!(
    "with held as (
         insert into direct_booking.room_night as room_night (room_type_id, night, taken)
         select $8::text, $9::date + n, 1 from generate_series(0, $10::int - 1) as n order by n
         on conflict (room_type_id, night) do update set taken = room_night.taken + 1 where room_night.taken < $11::int
         returning night
     ), made as (
         insert into direct_booking.booking (room_type_id, check_in, booking_id, version, account_id, check_out,
             adults, children, babies, nightly_rate, total, currency, made_at, status)
         select $8::text, $9::date, $12::text, $13::bigint, $14::text, $15::date,
             $16::int, $17::int, $18::int, $19::bigint, $20::bigint, $21::text, $22::timestamptz, $23::text
         where (select count(*) from held) = $10::int
         on conflict (booking_id) do nothing
         returning 1
     ), event as (",
    insert_event!("direct_booking", "made"),
    " returning 1)
     select array(select night from held) as held, exists (select from event) as is_made"
);

const CONFIRM: &str =
    with_event!("direct_booking", "update direct_booking.booking set version = $9, status = $10 where booking_id = $8");

// $8 booking, $9 version, $10 status, $11 why rejected, $12 when cancelled, $13 room type, $14 first night, $15 nights. The
// rows of the nights are there.
const GIVE_BACK: &str = concat!(
    "with ended as (
         update direct_booking.booking set version = $9, status = $10, rejection = $11, cancelled_at = $12
         where booking_id = $8 returning 1
     ), given_back as (
         insert into direct_booking.room_night as room_night (room_type_id, night, taken)
         select $13::text, $14::date + n, 0 from generate_series(0, $15::int - 1) as n order by n
         on conflict (room_type_id, night) do update set taken = room_night.taken - 1
     ) ",
    insert_event!("direct_booking", "ended")
);

/// The booking, if there is one.
pub(crate) async fn find(pool: &Pool, id: &BookingId) -> Result<Option<Booking>, database::Error> {
    let client = pool.get().await?;
    let statement = client.prepare_cached(FIND).await?;
    client.query_opt(&statement, &[&id.as_str()]).await?.map(|row| read_booking(&row)).transpose()
}

/// Makes a booking if the domain agrees and a room is free on every night.
pub(crate) async fn make(
    transaction: &Transaction<'_>,
    make: Make,
    command: &Command,
) -> Result<Recorded, Failure<Refusal>> {
    let statement = transaction.prepare_cached(SITUATION).await?;
    let names: [&str; 3] = [make.account_id.as_str(), make.room_type_id.as_str(), make.id.as_str()];
    let row = transaction.query_one(&statement, &[&names[0], &names[1], &names[2]]).await?;
    if row.try_get("is_taken")? {
        return Err(Failure::Taken);
    }
    // Rooms are only ever added, so that a count read without a lock is never too high.
    let rooms: Option<i32> = row.try_get("rooms")?;
    let situation = Situation {
        account_is_open: row.try_get("account_is_open")?,
        rooms: rooms.and_then(|rooms| u32::try_from(rooms).ok()),
    };
    let (new, event) = booking::make(make, situation, command.now).map_err(Failure::Refused)?;

    let entry = Entry::new(&BookingDocument::from(&new), event.ty(), &command.cause);
    let row = entry.query_one(transaction, MAKE, &Made::of(&new, rooms).columns()).await?;
    let held: Vec<NaiveDate> = row.try_get("held")?;
    if let Some(night) = booking::first_full_night(new.stay, &held) {
        // The last room may have gone to the same booking, sent twice: the first one's commit is visible only now.
        let statement = transaction.prepare_cached(IS_TAKEN).await?;
        let is_taken = transaction.query_one(&statement, &[&new.id.as_str()]).await?.try_get(0)?;
        return Err(if is_taken { Failure::Taken } else { Failure::Refused(Refusal::NoRoom(night)) });
    }
    if row.try_get("is_made")? { Ok(entry.recorded()) } else { Err(Failure::Taken) }
}

/// Cancels a booking, with its row locked, and gives its nights back.
pub(crate) async fn cancel(
    transaction: &Transaction<'_>,
    id: &BookingId,
    command: &Command,
) -> Result<Recorded, Failure<Refusal>> {
    let statement = transaction.prepare_cached(LOCK).await?;
    let row = transaction.query_opt(&statement, &[&id.as_str()]).await?.ok_or(Failure::Missing)?;
    let before = read_booking(&row)?;
    command.check_version(&BookingDocument::from(&before))?;
    let (after, event) = before.cancel(command.now).map_err(Failure::Refused)?;
    let entry = Entry::new(&BookingDocument::from(&after), event.ty(), &command.cause);
    give_back(transaction, &after, &entry).await?;
    Ok(entry.recorded())
}

/// Takes up how the payments of bookings have ended. All bookings are locked before any night, and the nights in one order,
/// so that it cannot deadlock with a command.
pub(crate) async fn payments_ended(
    transaction: &Transaction<'_>,
    ended: &BTreeMap<&BookingId, (&PaymentOutcome, &Cause)>,
) -> Result<(), database::Error> {
    let ids: Vec<&str> = ended.keys().map(|id| id.as_str()).collect();
    let statement = transaction.prepare_cached(LOCK_ALL).await?;
    let rows = transaction.query(&statement, &[&ids]).await?;
    let mut rejected = Vec::new();
    for row in &rows {
        let booking = read_booking(row)?;
        let Some((outcome, cause)) = ended.get(&booking.id) else { continue };
        let Some((after, event)) = booking.payment_ended((*outcome).clone()) else { continue };
        let entry = Entry::new(&BookingDocument::from(&after), event.ty(), cause);
        if after.status == BookingStatus::Rejected {
            rejected.push((after, entry));
            continue;
        }
        let state: [Parameter<'_>; 3] = [&after.id.as_str(), &after.version.get(), &after.status.as_str()];
        entry.execute(transaction, CONFIRM, &state).await?;
    }
    rejected.sort_by(|(one, _), (other, _)| {
        (&one.room_type_id, one.stay.check_in()).cmp(&(&other.room_type_id, other.stay.check_in()))
    });
    for (after, entry) in rejected {
        give_back(transaction, &after, &entry).await?;
    }
    Ok(())
}

/// Writes a booking that has ended, with its event, and gives its nights back.
async fn give_back(transaction: &Transaction<'_>, after: &Booking, entry: &Entry) -> Result<(), database::Error> {
    let (id, room_type_id, status) = (after.id.as_str(), after.room_type_id.as_str(), after.status.as_str());
    let (version, check_in, nights) = (after.version.get(), after.stay.check_in(), nights(after.stay));
    let state: [Parameter<'_>; 8] =
        [&id, &version, &status, &after.rejection, &after.cancelled_at, &room_type_id, &check_in, &nights];
    entry.execute(transaction, GIVE_BACK, &state).await?;
    Ok(())
}

/// For how many nights a room is taken, as PostgreSQL counts.
fn nights(stay: Stay) -> i32 {
    i32::try_from(stay.taken()).unwrap_or(i32::MAX)
}

/// The values of [`MAKE`].
struct Made<'a> {
    booking: &'a Booking,
    ids: [&'a str; 3],
    version: i64,
    dates: [NaiveDate; 2],
    nights: i32,
    rooms: Option<i32>,
    guests: [i32; 3],
    currency: &'a str,
    status: &'static str,
}

impl<'a> Made<'a> {
    fn of(booking: &'a Booking, rooms: Option<i32>) -> Self {
        Self {
            booking,
            ids: [booking.room_type_id.as_str(), booking.id.as_str(), booking.account_id.as_str()],
            version: booking.version.get(),
            dates: [booking.stay.check_in(), booking.stay.check_out()],
            nights: nights(booking.stay),
            rooms,
            guests: [booking.guests.adults, booking.guests.children, booking.guests.babies].map(i32::from),
            currency: booking.total.currency.as_str(),
            status: booking.status.as_str(),
        }
    }

    fn columns(&self) -> [Parameter<'_>; 16] {
        let [room_type_id, booking_id, account_id] = &self.ids;
        let [check_in, check_out] = &self.dates;
        let [adults, children, babies] = &self.guests;
        [
            room_type_id,
            check_in,
            &self.nights,
            &self.rooms,
            booking_id,
            &self.version,
            account_id,
            check_out,
            adults,
            children,
            babies,
            &self.booking.nightly_rate.amount_minor,
            &self.booking.total.amount_minor,
            &self.currency,
            &self.booking.made_at,
            &self.status,
        ]
    }
}

fn read_booking(row: &Row) -> Result<Booking, database::Error> {
    let stay = Stay::new(row.try_get("check_in")?, row.try_get("check_out")?)
        .map_err(|error| database::Error::Unreadable { column: "check_out", reason: error.to_string() })?;
    let currency = read::<Currency, String>(row, "currency")?;
    Ok(Booking {
        id: read::<BookingId, String>(row, "booking_id")?,
        version: read::<AggregateVersion, i64>(row, "version")?,
        status: read::<BookingStatus, String>(row, "status")?,
        account_id: read::<AccountId, String>(row, "account_id")?,
        room_type_id: read::<RoomTypeId, String>(row, "room_type_id")?,
        stay,
        guests: Guests {
            adults: read::<u16, i32>(row, "adults")?,
            children: read::<u16, i32>(row, "children")?,
            babies: read::<u16, i32>(row, "babies")?,
        },
        nightly_rate: Money { amount_minor: row.try_get("nightly_rate")?, currency },
        total: Money { amount_minor: row.try_get("total")?, currency },
        made_at: row.try_get("made_at")?,
        rejection: row.try_get("rejection")?,
        cancelled_at: row.try_get("cancelled_at")?,
    })
}
