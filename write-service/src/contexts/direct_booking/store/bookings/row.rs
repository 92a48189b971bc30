//! A booking as a row of its table.

use chrono::NaiveDate;
use contracts::{
    direct_booking::{BookedBy, BookingStatus, Guests},
    envelope::AggregateVersion,
    id::{AccountId, BookingId, GuestId, RatePlanId, RoomTypeId, SiteId},
    money::{Currency, Money},
};
use tokio_postgres::Row;

use super::super::super::domain::booking::Booking;
use crate::{
    database::{self, read},
    outbox::Parameter,
    stay::Stay,
};

/// A query for bookings. Columns by name: a statement that says `*` fails, where it is prepared already, once a migration
/// adds one.
macro_rules! select_bookings {
    ($which:literal) => {
        concat!(
            "select booking_id, version, status, account_id, guest_id, site_id, site_reference, room_type_id, room, \
                check_in, check_out, adults, children, babies, rate_plan_id, nightly_rate, total, currency, made_at, \
                rejection, confirmation_requested_at, cancelled_at, checked_in_at, checked_out_at \
             from direct_booking.booking ",
            $which
        )
    };
}
pub(super) use select_bookings;

/// The values of a new booking's columns, in the order of the statement that inserts it.
pub(super) struct New<'a> {
    booking: &'a Booking,
    ids: [&'a str; 2],
    version: i64,
    status: &'static str,
    booked_by: [Option<&'a str>; 4],
    check_out: NaiveDate,
    guests: [i32; 3],
    rate_plan_id: Option<&'a str>,
    currency: &'a str,
}

impl<'a> New<'a> {
    pub(super) fn of(booking: &'a Booking) -> Self {
        let booked_by = match &booking.booked_by {
            BookedBy::Account { account_id } => [Some(account_id.as_str()), None, None, None],
            BookedBy::Guest { guest_id } => [None, Some(guest_id.as_str()), None, None],
            BookedBy::Channel { site_id, reference } => [None, None, Some(site_id.as_str()), Some(reference)],
        };
        Self {
            booking,
            ids: [booking.id.as_str(), booking.room_type_id.as_str()],
            version: booking.version.get(),
            status: booking.status.as_str(),
            booked_by,
            check_out: booking.stay.check_out(),
            guests: [booking.guests.adults, booking.guests.children, booking.guests.babies].map(i32::from),
            rate_plan_id: booking.rate_plan_id.as_ref().map(RatePlanId::as_str),
            currency: booking.total.currency.as_str(),
        }
    }

    /// Booking, version, status; account, guest, site, reference; departure; adults, children, babies; rate plan, rate,
    /// total, currency; when it was made, why it is rejected.
    pub(super) fn columns(&self) -> [Parameter<'_>; 17] {
        let [account_id, guest_id, site_id, reference] = &self.booked_by;
        let [adults, children, babies] = &self.guests;
        [
            &self.ids[0],
            &self.version,
            &self.status,
            account_id,
            guest_id,
            site_id,
            reference,
            &self.check_out,
            adults,
            children,
            babies,
            &self.rate_plan_id,
            &self.booking.nightly_rate.amount_minor,
            &self.booking.total.amount_minor,
            &self.currency,
            &self.booking.made_at,
            &self.booking.rejection,
        ]
    }
}

pub(crate) fn booking(row: &Row) -> Result<Booking, database::Error> {
    let stay = Stay::new(row.try_get("check_in")?, row.try_get("check_out")?)
        .map_err(|error| database::Error::Unreadable { column: "check_out", reason: error.to_string() })?;
    let currency = read::<Currency, String>(row, "currency")?;
    let rate_plan_id = row.try_get::<_, Option<&str>>("rate_plan_id")?;
    Ok(Booking {
        id: read::<BookingId, String>(row, "booking_id")?,
        version: read::<AggregateVersion, i64>(row, "version")?,
        status: read::<BookingStatus, String>(row, "status")?,
        booked_by: booked_by(row)?,
        room_type_id: read::<RoomTypeId, String>(row, "room_type_id")?,
        room: row.try_get("room")?,
        stay,
        guests: Guests {
            adults: read::<u16, i32>(row, "adults")?,
            children: read::<u16, i32>(row, "children")?,
            babies: read::<u16, i32>(row, "babies")?,
        },
        rate_plan_id: rate_plan_id.map(|_| read::<RatePlanId, String>(row, "rate_plan_id")).transpose()?,
        nightly_rate: Money { amount_minor: row.try_get("nightly_rate")?, currency },
        total: Money { amount_minor: row.try_get("total")?, currency },
        made_at: row.try_get("made_at")?,
        rejection: row.try_get("rejection")?,
        confirmation_requested_at: row.try_get("confirmation_requested_at")?,
        cancelled_at: row.try_get("cancelled_at")?,
        checked_in_at: row.try_get("checked_in_at")?,
        checked_out_at: row.try_get("checked_out_at")?,
    })
}

fn booked_by(row: &Row) -> Result<BookedBy, database::Error> {
    let is_there = |column| row.try_get::<_, Option<&str>>(column).map(|text| text.is_some());
    Ok(if is_there("account_id")? {
        BookedBy::Account { account_id: read::<AccountId, String>(row, "account_id")? }
    } else if is_there("guest_id")? {
        BookedBy::Guest { guest_id: read::<GuestId, String>(row, "guest_id")? }
    } else {
        BookedBy::Channel {
            site_id: read::<SiteId, String>(row, "site_id")?,
            reference: row.try_get("site_reference")?,
        }
    })
}
