//! The list of bookings, as a Relay connection.

use async_graphql::{Object, SimpleObject};
use chrono::NaiveDate;
use tokio_postgres::types::{Date, Type};

use super::{
    booking::{Booking, Joins},
    filter::Filter,
    page::{MAX, Page, Place},
};
use crate::view::{self, Connections, Sql};

/// A page of bookings.
pub(crate) struct BookingConnection {
    bookings: Vec<Booking>,
    has_previous_page: bool,
    has_next_page: bool,
}

/// A booking and its place in the list.
pub(crate) struct BookingEdge<'a> {
    booking: &'a Booking,
}

/// What is around a page.
#[derive(SimpleObject)]
pub(crate) struct PageInfo {
    /// Whether the list goes on after this page. Known exactly when paging forwards; when paging backwards by `before`,
    /// true.
    has_next_page: bool,
    /// Whether the list begins before this page. Known exactly when paging backwards; when paging forwards by `after`,
    /// true.
    has_previous_page: bool,
    /// The cursor of the page's first edge.
    start_cursor: Option<String>,
    /// The cursor of the page's last edge, to be given as `after`.
    end_cursor: Option<String>,
}

fn cursor(booking: &Booking) -> String {
    Place { check_in: booking.check_in.0, id: booking.id.0.clone() }.cursor()
}

/// A page of bookings.
#[Object]
impl BookingConnection {
    /// The bookings with their cursors.
    async fn edges(&self) -> Vec<BookingEdge<'_>> {
        self.bookings.iter().map(|booking| BookingEdge { booking }).collect()
    }

    /// The bookings.
    async fn nodes(&self) -> &[Booking] {
        &self.bookings
    }

    /// What is around this page.
    async fn page_info(&self) -> PageInfo {
        PageInfo {
            has_next_page: self.has_next_page,
            has_previous_page: self.has_previous_page,
            start_cursor: self.bookings.first().map(cursor),
            end_cursor: self.bookings.last().map(cursor),
        }
    }
}

/// A booking and its place in the list.
#[Object]
impl BookingEdge<'_> {
    /// Its place, to be given as `after` or `before`.
    async fn cursor(&self) -> String {
        cursor(self.booking)
    }

    /// The booking.
    async fn node(&self) -> &Booking {
        self.booking
    }
}

/// The limits that statements are written with. A literal, since PostgreSQL plans again for each execution of a limit
/// that is a parameter; few, so that few statements are prepared.
const LIMITS: [usize; 4] = [10, 20, 50, MAX];

/// Where a page begins or ends: the day may lie outside the calendar, the id is empty when the whole day is meant.
type Bound = (Date<NaiveDate>, String);

fn bound(place: Place) -> Bound {
    (Date::Value(place.check_in), place.id)
}

/// Everything after it is on the page, as far as `filter` and `page` say. No id is empty, so the bound of a day lies
/// before all its bookings.
fn lower(filter: &Filter, page: &Page) -> Bound {
    let day = filter.from.map(|check_in| Place { check_in, id: String::new() });
    day.max(page.after.clone()).map_or((Date::NegInfinity, String::new()), bound)
}

/// Everything before it is on the page.
fn upper(filter: &Filter, page: &Page) -> Bound {
    let day = filter.to.and_then(|day| day.succ_opt()).map(|check_in| Place { check_in, id: String::new() });
    let nearest = match (day, page.before.clone()) {
        (Some(day), Some(place)) => Some(day.min(place)),
        (day, place) => day.or(place),
    };
    nearest.map_or((Date::PosInfinity, String::new()), bound)
}

fn statement(joins: Joins, filter: &Filter, page: &Page) -> Sql {
    let account = if filter.account.is_some() { "b.account_id = $7" } else { "$7::text IS NULL" };
    let direction = if page.from_end { "DESC" } else { "ASC" };
    // One more than the page has tells whether the list goes on.
    let limit = LIMITS.into_iter().find(|limit| page.size <= *limit).unwrap_or(MAX) + 1;
    let select = joins.select();
    Sql {
        summary: "SELECT view.booking",
        text: format!(
            "{select} WHERE (b.check_in, b.id) > ($1, $2) AND (b.check_in, b.id) < ($3, $4) \
             AND ($5::text IS NULL OR b.room_type_id = $5) AND ($6::text IS NULL OR b.status = $6) AND {account} \
             ORDER BY b.check_in {direction}, b.id {direction} LIMIT {limit}"
        ),
        parameters: &[Type::DATE, Type::TEXT, Type::DATE, Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT],
    }
}

impl BookingConnection {
    pub(super) async fn load(
        connections: &Connections,
        filter: &Filter,
        page: &Page,
        joins: Joins,
    ) -> Result<Self, view::Error> {
        let (lower, upper) = (lower(filter, page), upper(filter, page));
        let rows = connections
            .query(
                &statement(joins, filter, page),
                &[&lower.0, &lower.1, &upper.0, &upper.1, &filter.room_type, &filter.status, &filter.account],
            )
            .await?;
        let more = rows.len() > page.size;
        let mut bookings = rows.iter().take(page.size).map(|row| joins.read(row)).collect::<Result<Vec<_>, _>>()?;
        if page.from_end {
            bookings.reverse();
        }
        let (has_previous_page, has_next_page) =
            if page.from_end { (more, page.before.is_some()) } else { (page.after.is_some(), more) };
        Ok(Self { bookings, has_previous_page, has_next_page })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn page(after: Option<Place>, before: Option<Place>) -> Page {
        Page { after, before, size: 20, from_end: false }
    }

    #[test]
    fn the_narrower_of_filter_and_cursor_bounds_a_page() {
        let place = |text, id: &str| Place { check_in: day(text), id: id.to_owned() };
        let value = |text, id: &str| (Date::Value(day(text)), id.to_owned());
        let filter = Filter { from: Some(day("2026-03-01")), to: Some(day("2026-03-31")), ..Filter::default() };
        assert_eq!(lower(&filter, &page(None, None)), value("2026-03-01", ""));
        assert_eq!(lower(&filter, &page(Some(place("2026-03-01", "7")), None)), value("2026-03-01", "7"));
        assert_eq!(lower(&filter, &page(Some(place("2026-02-01", "7")), None)), value("2026-03-01", ""));
        assert_eq!(upper(&filter, &page(None, None)), value("2026-04-01", ""));
        assert_eq!(upper(&filter, &page(None, Some(place("2026-03-31", "7")))), value("2026-03-31", "7"));
        assert_eq!(lower(&Filter::default(), &page(None, None)).0, Date::NegInfinity);
        assert_eq!(upper(&Filter::default(), &page(None, None)).0, Date::PosInfinity);
    }
}
