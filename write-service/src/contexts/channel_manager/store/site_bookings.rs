//! Bookings that sites have sold: the row and its event in one statement. Every decision on one is made with its row locked, so
//! that the site's cancellation and what Direct booking says exclude each other.

use std::collections::BTreeMap;

use contracts::{
    channel_manager::{SiteBookingDocument, SiteBookingEvent, SiteBookingStatus},
    direct_booking::Guests,
    envelope::AggregateVersion,
    id::{BookingId, RoomTypeId, SiteId},
    money::{Currency, Money},
};
use deadpool_postgres::{Pool, Transaction};
use tokio_postgres::Row;

use super::{
    super::domain::{
        site::Site,
        site_booking::{self, Receive, Refusal, SiteBooking, Word},
    },
    sites,
};
use crate::{
    command::{Cause, Command},
    database::{self, read},
    failure::Failure,
    outbox::{Entry, Parameter, Recorded, with_event},
    stay::Stay,
};

macro_rules! select_site_bookings {
    ($which:literal) => {
        concat!(
            "select booking_id, version, status, site_id, reference, room_type_id, check_in, check_out, adults, children, \
                babies, nightly_rate, currency, received_at, rejection \
             from channel_manager.site_booking where ",
            $which
        )
    };
}

const FIND: &str = select_site_bookings!("booking_id = $1");
const LOCK: &str = select_site_bookings!("booking_id = $1 for no key update");
const LOCK_ALL: &str = select_site_bookings!("booking_id = any($1::text[]) order by booking_id for no key update");

const OF_REFERENCE: &str = "select booking_id from channel_manager.site_booking where site_id = $1 and reference = $2";
const IS_ARRIVED: &str = "select is_arrived from channel_manager.stay where booking_id = $1";

const INSERT: &str = with_event!(
    "channel_manager",
    "insert into channel_manager.site_booking (booking_id, version, status, rejection, site_id, reference, room_type_id,
        check_in, check_out, adults, children, babies, nightly_rate, currency, received_at)
     values ($8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22) on conflict do nothing"
);

const UPDATE: &str = with_event!(
    "channel_manager",
    "update channel_manager.site_booking set version = $9, status = $10, rejection = $11 where booking_id = $8"
);

/// The booking, if a site has sold one of this id.
pub(crate) async fn find(pool: &Pool, id: &BookingId) -> Result<Option<SiteBooking>, database::Error> {
    let client = pool.get().await?;
    let statement = client.prepare_cached(FIND).await?;
    client.query_opt(&statement, &[&id.as_str()]).await?.map(|row| site_booking(&row)).transpose()
}

/// Takes what a site has sold.
pub(crate) async fn receive(
    transaction: &Transaction<'_>,
    site_id: SiteId,
    sold: Receive,
    command: &Command,
) -> Result<Recorded, Failure<Refusal>> {
    let site = sites::held(transaction, &site_id, command).await?;
    Site::may_sell(site.status).map_err(|refusal| Failure::Refused(refusal.into()))?;
    let (booking, event) = site_booking::receive(sold, site_id, command.now);
    let entry = Entry::new(&SiteBookingDocument::from(&booking), event.ty(), &command.cause);
    let [site_id, room_type_id] = [booking.site_id.as_str(), booking.room_type_id.as_str()];
    let Guests { adults, children, babies } = booking.guests;
    let guests = [adults, children, babies].map(i32::from);
    let (check_in, check_out) = (booking.stay.check_in(), booking.stay.check_out());
    let (Money { amount_minor, currency }, id) = (booking.nightly_rate, booking.id.as_str());
    let state: [Parameter<'_>; 15] = [
        &id,
        &booking.version.get(),
        &booking.status.as_str(),
        &booking.rejection,
        &site_id,
        &booking.reference,
        &room_type_id,
        &check_in,
        &check_out,
        &guests[0],
        &guests[1],
        &guests[2],
        &amount_minor,
        &currency.as_str(),
        &booking.received_at,
    ];
    if entry.execute(transaction, INSERT, &state).await? > 0 {
        return Ok(entry.recorded());
    }
    let statement = transaction.prepare_cached(OF_REFERENCE).await?;
    match transaction.query_opt(&statement, &[&site_id, &booking.reference]).await? {
        Some(row) => Err(Failure::Refused(Refusal::ReferenceTaken(row.try_get(0)?))),
        None => Err(Failure::Taken),
    }
}

/// The site cancels what it has sold.
pub(crate) async fn cancel(
    transaction: &Transaction<'_>,
    id: &BookingId,
    command: &Command,
) -> Result<Recorded, Failure<Refusal>> {
    let statement = transaction.prepare_cached(LOCK).await?;
    let row = transaction.query_opt(&statement, &[&id.as_str()]).await?.ok_or(Failure::Missing)?;
    let before = site_booking(&row)?;
    command.check_version(&SiteBookingDocument::from(&before))?;
    let row = transaction.query_opt(&transaction.prepare_cached(IS_ARRIVED).await?, &[&id.as_str()]).await?;
    let is_arrived = row.map(|row| row.try_get(0)).transpose()?.unwrap_or(false);
    let (after, event) = before.cancel(is_arrived).map_err(Failure::Refused)?;
    Ok(write(transaction, &after, event, &command.cause).await?)
}

/// Takes up what Direct booking has said of bookings, in the order given. Gives those of which the sites are to be told.
pub(crate) async fn heard(
    transaction: &Transaction<'_>,
    said: &[(&BookingId, &SiteId, Word, &Cause)],
) -> Result<Vec<SiteBooking>, database::Error> {
    let ids: Vec<&str> = said.iter().map(|(id, ..)| id.as_str()).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut bookings = BTreeMap::new();
    for row in transaction.query(&transaction.prepare_cached(LOCK_ALL).await?, &[&ids]).await? {
        let booking = site_booking(&row)?;
        bookings.insert(booking.id.clone(), (booking, false));
    }
    for (id, site_id, word, cause) in said {
        // What this context has not sold is none of its own.
        let Some((booking, is_changed)) = bookings.get_mut(*id).filter(|(booking, _)| booking.site_id == **site_id)
        else {
            continue;
        };
        if let Some((after, event)) = booking.heard(word) {
            write(transaction, &after, event, cause).await?;
            (*booking, *is_changed) = (after, true);
        }
    }
    let told =
        bookings.into_values().filter(|(booking, is_changed)| *is_changed && SiteBooking::is_told(booking.status));
    Ok(told.map(|(booking, _)| booking).collect())
}

async fn write(
    transaction: &Transaction<'_>,
    after: &SiteBooking,
    event: SiteBookingEvent,
    cause: &Cause,
) -> Result<Recorded, database::Error> {
    let entry = Entry::new(&SiteBookingDocument::from(after), event.ty(), cause);
    let (id, version, status) = (after.id.as_str(), after.version.get(), after.status.as_str());
    entry.execute(transaction, UPDATE, &[&id, &version, &status, &after.rejection]).await?;
    Ok(entry.recorded())
}

pub(crate) fn site_booking(row: &Row) -> Result<SiteBooking, database::Error> {
    let stay = Stay::new(row.try_get("check_in")?, row.try_get("check_out")?)
        .map_err(|error| database::Error::Unreadable { column: "check_out", reason: error.to_string() })?;
    let currency = read::<Currency, String>(row, "currency")?;
    Ok(SiteBooking {
        id: read::<BookingId, String>(row, "booking_id")?,
        version: read::<AggregateVersion, i64>(row, "version")?,
        status: read::<SiteBookingStatus, String>(row, "status")?,
        site_id: read::<SiteId, String>(row, "site_id")?,
        reference: row.try_get("reference")?,
        room_type_id: read::<RoomTypeId, String>(row, "room_type_id")?,
        stay,
        guests: Guests {
            adults: read::<u16, i32>(row, "adults")?,
            children: read::<u16, i32>(row, "children")?,
            babies: read::<u16, i32>(row, "babies")?,
        },
        nightly_rate: Money { amount_minor: row.try_get("nightly_rate")?, currency },
        received_at: row.try_get("received_at")?,
        rejection: row.try_get("rejection")?,
    })
}
