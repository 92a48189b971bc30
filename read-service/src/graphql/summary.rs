//! Counts and sums of bookings, by which a replay can be compared with what was posted.

use async_graphql::SimpleObject;
use tokio_postgres::types::Type;

use super::{booking::BookingStatus, filter::Filter, money::Money, scalars::Long};
use crate::view::{self, Columns, Connections, Sql};

/// How many bookings there are, and what they come to.
#[derive(Debug, Default, SimpleObject)]
pub(crate) struct BookingsSummary {
    /// How many.
    count: Long,
    /// What their stays cost together, by currency.
    totals: Vec<Money>,
    /// The same for each status that occurs.
    by_status: Vec<BookingStatusSummary>,
}

/// How many bookings of one status there are, and what they come to.
#[derive(Debug, SimpleObject)]
pub(crate) struct BookingStatusSummary {
    /// The status.
    status: BookingStatus,
    /// How many.
    count: Long,
    /// What their stays cost together, by currency.
    totals: Vec<Money>,
}

const SQL: &str = "SELECT status, count(*), sum(total_minor)::bigint, total_currency FROM view.booking b \
    WHERE NOT b.erased AND ($1::date IS NULL OR b.check_in >= $1) AND ($2::date IS NULL OR b.check_in <= $2) \
    AND ($3::text IS NULL OR b.room_type_id = $3) AND ($4::text IS NULL OR b.status = $4) \
    AND ($5::text IS NULL OR b.account_id = $5) GROUP BY status, total_currency ORDER BY status, total_currency";

impl BookingsSummary {
    pub(super) async fn load(connections: &Connections, filter: &Filter) -> Result<Self, view::Error> {
        let sql = Sql {
            summary: "SELECT view.booking summary",
            text: SQL.to_owned(),
            parameters: &[Type::DATE, Type::DATE, Type::TEXT, Type::TEXT, Type::TEXT],
        };
        let values =
            &[&filter.from as _, &filter.to as _, &filter.room_type as _, &filter.status as _, &filter.account as _];
        let mut summary = Self::default();
        for row in connections.query(&sql, values).await? {
            let columns = &mut Columns::of(&row);
            let (status, count) = (BookingStatus::read(columns)?, columns.take()?);
            summary.add(status, count, &Money::read(columns)?)?;
        }
        Ok(summary)
    }

    /// Adds a group; those of one status come one after the other.
    fn add(&mut self, status: BookingStatus, count: i64, total: &Money) -> Result<(), view::Error> {
        add_count(&mut self.count, count)?;
        add_money(&mut self.totals, total)?;
        if self.by_status.last().is_none_or(|last| last.status != status) {
            self.by_status.push(BookingStatusSummary { status, count: Long(0), totals: Vec::new() });
        }
        if let Some(last) = self.by_status.last_mut() {
            add_count(&mut last.count, count)?;
            add_money(&mut last.totals, total)?;
        }
        Ok(())
    }
}

fn add_count(to: &mut Long, count: i64) -> Result<(), view::Error> {
    to.0 = to.0.checked_add(count).ok_or(view::Error::TooLarge)?;
    Ok(())
}

fn add_money(to: &mut Vec<Money>, amount: &Money) -> Result<(), view::Error> {
    match to.iter_mut().find(|sum| sum.currency == amount.currency) {
        Some(sum) => add_count(&mut sum.amount_minor, amount.amount_minor.0),
        None => {
            to.push(amount.clone());
            Ok(())
        }
    }
}
