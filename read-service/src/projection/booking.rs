//! `view.booking`: who comes when, into which kind of room, on whose account if on any, for how much.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    Topic,
    direct_booking::{self, BookedBy, BookingDocument, BookingStatus, Guests},
    envelope::AggregateVersion,
    money::Money,
};
use deadpool_postgres::Transaction;
use inbox::{Delivery, Handler, Unapplied, Undecodable};
use tokio_postgres::types::Type;

use super::{Change, Document, Keys, day, instant, latest, read};

/// Fills `view.booking`.
pub struct Bookings;

/// What a row of `view.booking` holds beside its key.
#[derive(Clone, Debug, PartialEq)]
pub struct BookingRow {
    status: BookingStatus,
    account_id: Option<String>,
    room_type_id: String,
    check_in: NaiveDate,
    check_out: NaiveDate,
    guests: Guests,
    nightly_rate: Money,
    total: Money,
    made_at: DateTime<Utc>,
    cancelled_at: Option<DateTime<Utc>>,
}

impl Document for BookingDocument {
    type Row = BookingRow;

    fn identity(&self) -> (&str, AggregateVersion) {
        (self.booking_id.as_str(), self.version)
    }

    fn into_row(self) -> Result<BookingRow, Undecodable> {
        Ok(BookingRow {
            status: self.status,
            account_id: match self.booked_by {
                BookedBy::Account { account_id } => Some(account_id.into()),
                BookedBy::Guest { .. } | BookedBy::Channel { .. } => None,
            },
            room_type_id: self.room_type_id.into(),
            check_in: day("checkIn", self.check_in)?,
            check_out: day("checkOut", self.check_out)?,
            guests: self.guests,
            nightly_rate: self.nightly_rate,
            total: self.total,
            made_at: instant("madeAt", self.made_at)?,
            cancelled_at: self.cancelled_at.map(|at| instant("cancelledAt", at)).transpose()?,
        })
    }
}

const UPSERT: &str = "
INSERT INTO view.booking AS held
    (id, version, erased, changed_at, applied_at, status, account_id, room_type_id, check_in, check_out,
     adults, children, babies, nightly_rate_minor, nightly_rate_currency, total_minor, total_currency,
     made_at, cancelled_at)
SELECT id, version, erased, changed_at, clock_timestamp(), status, account_id, room_type_id, check_in, check_out,
     adults, children, babies, nightly_rate_minor, nightly_rate_currency, total_minor, total_currency,
     made_at, cancelled_at
FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
    AS given
    (id, version, erased, changed_at, status, account_id, room_type_id, check_in, check_out,
     adults, children, babies, nightly_rate_minor, nightly_rate_currency, total_minor, total_currency,
     made_at, cancelled_at)
ON CONFLICT (id) DO UPDATE SET
    (version, erased, changed_at, applied_at, status, account_id, room_type_id, check_in, check_out,
     adults, children, babies, nightly_rate_minor, nightly_rate_currency, total_minor, total_currency,
     made_at, cancelled_at) =
    (excluded.version, excluded.erased, excluded.changed_at, excluded.applied_at, excluded.status,
     excluded.account_id, excluded.room_type_id, excluded.check_in, excluded.check_out,
     excluded.adults, excluded.children, excluded.babies, excluded.nightly_rate_minor,
     excluded.nightly_rate_currency, excluded.total_minor, excluded.total_currency,
     excluded.made_at, excluded.cancelled_at)
WHERE held.version < excluded.version";

impl Handler for Bookings {
    type Event = Change<BookingRow>;

    fn name(&self) -> &'static str {
        "booking"
    }

    fn topics(&self) -> &'static [Topic] {
        &[direct_booking::BOOKING]
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<Self::Event>, Undecodable> {
        read::<BookingDocument>(delivery).map(Some)
    }

    async fn apply(&self, transaction: &Transaction<'_>, events: &[Self::Event]) -> Result<(), Unapplied> {
        let changes = latest(events);
        let keys = Keys::of(&changes);
        let rows = || changes.iter().map(|change| change.row.as_ref());
        let status: Vec<_> = rows().map(|row| row.map(|row| row.status.as_str())).collect();
        let accounts: Vec<_> = rows().map(|row| row.and_then(|row| row.account_id.as_deref())).collect();
        let room_types: Vec<_> = rows().map(|row| row.map(|row| &row.room_type_id)).collect();
        let check_in: Vec<_> = rows().map(|row| row.map(|row| row.check_in)).collect();
        let check_out: Vec<_> = rows().map(|row| row.map(|row| row.check_out)).collect();
        let guests =
            |of: fn(&Guests) -> u16| rows().map(|row| row.map(|row| i32::from(of(&row.guests)))).collect::<Vec<_>>();
        let amounts =
            |of: fn(&BookingRow) -> &Money| rows().map(|row| row.map(|row| of(row).amount_minor)).collect::<Vec<_>>();
        let currencies = |of: fn(&BookingRow) -> &Money| {
            rows().map(|row| row.map(|row| of(row).currency.as_str())).collect::<Vec<_>>()
        };
        let made_at: Vec<_> = rows().map(|row| row.map(|row| row.made_at)).collect();
        let cancelled_at: Vec<_> = rows().map(|row| row.and_then(|row| row.cancelled_at)).collect();
        transaction
            .execute_typed(
                UPSERT,
                &keys.and(&[
                    (&status, Type::TEXT_ARRAY),
                    (&accounts, Type::TEXT_ARRAY),
                    (&room_types, Type::TEXT_ARRAY),
                    (&check_in, Type::DATE_ARRAY),
                    (&check_out, Type::DATE_ARRAY),
                    (&guests(|guests| guests.adults), Type::INT4_ARRAY),
                    (&guests(|guests| guests.children), Type::INT4_ARRAY),
                    (&guests(|guests| guests.babies), Type::INT4_ARRAY),
                    (&amounts(|row| &row.nightly_rate), Type::INT8_ARRAY),
                    (&currencies(|row| &row.nightly_rate), Type::TEXT_ARRAY),
                    (&amounts(|row| &row.total), Type::INT8_ARRAY),
                    (&currencies(|row| &row.total), Type::TEXT_ARRAY),
                    (&made_at, Type::TIMESTAMPTZ_ARRAY),
                    (&cancelled_at, Type::TIMESTAMPTZ_ARRAY),
                ]),
            )
            .await?;
        Ok(())
    }
}
