//! The write side's own books: what each context has in its tables. Nobody reads those but the contexts, and this, which is
//! to find out whether they agree.

use std::collections::BTreeMap;

use deadpool_postgres::Pool;
use telemetry::database::Database;
use tokio_postgres::Row;

use super::{
    books::{Comparison, Record, Unit},
    post::Accepted,
    sites::{Booker, Sites},
};

// Each gives a key, a state and an amount.
const ACCOUNTS: &str =
    "select account_id, case when open then 'OPEN' else 'CLOSED' end, 0::bigint from accounts.account";
const GUESTS: &str = "select guest_id, 'GUEST', 0::bigint from direct_booking.guest where name is not null";
const BOOKINGS: &str = "select booking_id, status, total from direct_booking.booking";
const NIGHTS: &str = "select room_type_id || ' ' || night, 'taken', taken::bigint
    from direct_booking.room_night where taken > 0";
const PAYMENTS: &str = "select booking_id, status, amount from payments.payment";
const SITE_BOOKINGS: &str =
    "select booking_id, site_id || ' ' || status, nightly_rate * greatest(check_out - check_in, 1)
    from channel_manager.site_booking";
// What was cancelled was called off before or after it was scheduled.
const TASKS: &str = "select booking_id || ' ' || kind || ' ' || day, status, 0::bigint
    from housekeeping.task where status <> 'CANCELLED'";

/// The contexts' database.
pub(crate) struct WriteSide(Pool);

impl WriteSide {
    /// Reached at this URL, a superuser's.
    ///
    /// # Errors
    /// When the URL is none.
    pub(crate) fn at(url: &str) -> anyhow::Result<Self> {
        Ok(Self(Database::parse(url).map_err(anyhow::Error::msg)?.pool()?))
    }

    /// The rows of a query.
    pub(crate) async fn query(&self, query: &str) -> anyhow::Result<Vec<Row>> {
        Ok(self.0.get().await?.query(query, &[]).await?)
    }

    async fn records(&self, query: &str) -> anyhow::Result<Vec<(String, Record)>> {
        let rows = self.query(query).await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, Record::new(row.try_get::<_, String>(1)?, row.try_get(2)?))))
            .collect()
    }

    /// What each context has, beside what was posted and the accounts that were opened for it.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub(crate) async fn compare(
        &self,
        posted: &[Accepted<'_>],
        sites: &Sites,
        opened: &BTreeMap<String, String>,
    ) -> anyhow::Result<Vec<Comparison>> {
        // They were opened before it was known which rows are refused.
        let accounts = opened.keys().map(|id| (id.clone(), Record::new("OPEN", 0))).collect();
        let (mut guests, mut bookings) = (BTreeMap::new(), BTreeMap::new());
        let (mut payments, mut sold, mut tasks) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut nights: BTreeMap<String, Record> = BTreeMap::new();
        for accepted in posted {
            let (id, total, row) = (accepted.id(), accepted.total_cents(), accepted.row);
            let is_cancelled = row.cancelled_at.is_some();
            let status = |kept: &'static str, cancelled: &'static str| if is_cancelled { cancelled } else { kept };
            bookings.insert(id.clone(), Record::new(status("CONFIRMED", "CANCELLED"), total));
            if accepted.is_charged() {
                payments.insert(id.clone(), Record::new(status("TAKEN", "REFUNDED"), total));
            }
            match &accepted.booker {
                Booker::Account(_) => {}
                Booker::Guest(guest) => drop(guests.insert(guest.clone(), Record::new("GUEST", 0))),
                Booker::Site(number) => {
                    let state = format!("{} {}", sites.all[*number].id, status("ACCEPTED", "CANCELLED"));
                    sold.insert(id.clone(), Record::new(state, total));
                }
            }
            if !is_cancelled {
                for (kind, day) in [("PREPARATION", row.check_in), ("DEPARTURE_CLEANING", row.check_out)] {
                    tasks.insert(format!("{id} {kind} {day}"), Record::new("SCHEDULED", 0));
                }
                for night in row.nights() {
                    let taken = nights.entry(format!("{} {night}", row.room_type));
                    taken.or_insert_with(|| Record::new("taken", 0)).amount += 1;
                }
            }
        }
        let books = [
            ("Accounts", Unit::None, accounts, ACCOUNTS),
            ("Direct booking: guests", Unit::None, guests, GUESTS),
            ("Direct booking", Unit::Cents, bookings, BOOKINGS),
            ("Direct booking: nights", Unit::Pieces, nights, NIGHTS),
            ("Payments", Unit::Cents, payments, PAYMENTS),
            ("Channel manager", Unit::Cents, sold, SITE_BOOKINGS),
            ("Housekeeping", Unit::None, tasks, TASKS),
        ];
        let mut compared = Vec::with_capacity(books.len());
        for (place, unit, expected, query) in books {
            compared.push(Comparison::of(place, unit, expected, self.records(query).await?));
        }
        Ok(compared)
    }
}
