//! Which page of a connection is meant, and the cursors by which pages follow each other.
//!
//! A cursor holds the place of its booking in the order of the list (day of arrival, then id), so it stays good while
//! bookings come and go, and finding its place costs no more on the thousandth page than on the first.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::NaiveDate;
use contracts::id::BookingId;

use super::error::Error;

/// How many bookings a page has unless it is said.
pub(super) const DEFAULT: usize = 20;
/// How many bookings a page has at most.
pub(super) const MAX: usize = 100;

/// A booking's place in the list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) check_in: NaiveDate,
    pub(super) id: String,
}

impl Place {
    /// Its cursor. Opaque to clients; inside: base64url of `day/id`.
    pub(super) fn cursor(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}/{}", self.check_in, self.id))
    }

    fn of_cursor(cursor: &str) -> Option<Self> {
        const LONGEST: usize = 128;
        if cursor.len() > LONGEST {
            return None;
        }
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (check_in, id) = text.split_once('/')?;
        let place = Self { check_in: check_in.parse().ok()?, id: id.parse::<BookingId>().ok()?.into() };
        (place.cursor() == cursor).then_some(place)
    }
}

/// A page of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// Only what comes after this place.
    pub(super) after: Option<Place>,
    /// Only what comes before this place.
    pub(super) before: Option<Place>,
    /// At most so many.
    pub(super) size: usize,
    /// The last ones, not the first ones.
    pub(super) from_end: bool,
}

impl Page {
    /// Checks the four arguments of a Relay connection.
    pub(super) fn check(
        first: Option<i32>,
        after: Option<&str>,
        last: Option<i32>,
        before: Option<&str>,
    ) -> Result<Self, Error> {
        if first.is_some() && last.is_some() {
            return Err(Error::input("first and last: give one of them, not both"));
        }
        let size = |name: &str, size: i32| {
            usize::try_from(size)
                .ok()
                .filter(|size| (1..=MAX).contains(size))
                .ok_or_else(|| Error::input(format!("{name}: must be from 1 to {MAX}, not {size}")))
        };
        let place = |name: &str, cursor: Option<&str>| {
            cursor
                .map(|cursor| {
                    Place::of_cursor(cursor).ok_or_else(|| Error::input(format!("{name}: not a cursor of this list")))
                })
                .transpose()
        };
        Ok(Self {
            after: place("after", after)?,
            before: place("before", before)?,
            size: match (first, last) {
                (Some(first), _) => size("first", first)?,
                (None, Some(last)) => size("last", last)?,
                (None, None) => DEFAULT,
            },
            from_end: last.is_some(),
        })
    }
}

/// What a page counts for in a query's complexity; used before the arguments are checked, so any number may come.
pub(super) fn weight(first: Option<i32>, last: Option<i32>) -> usize {
    let size = first.or(last).and_then(|size| usize::try_from(size).ok()).unwrap_or(DEFAULT);
    size.clamp(1, MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_is_read_back(day in 1..3_650_000_i32, id in "[A-Za-z0-9_-]{1,64}") {
            let place = Place { check_in: NaiveDate::from_num_days_from_ce_opt(day).unwrap(), id };
            prop_assert_eq!(Place::of_cursor(&place.cursor()), Some(place));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = Place::of_cursor(&text);
        }
    }

    #[test]
    fn sizes_are_limited() {
        for size in [i32::MIN, -1, 0, 101, i32::MAX] {
            assert!(Page::check(Some(size), None, None, None).is_err());
            assert!(Page::check(None, None, Some(size), None).is_err());
        }
        assert_eq!(Page::check(None, None, None, None).unwrap().size, 20);
        assert_eq!(Page::check(Some(100), None, None, None).unwrap().size, 100);
        assert!(Page::check(Some(1), None, Some(1), None).is_err());
    }
}
