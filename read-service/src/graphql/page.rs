//! Which page of a connection is meant, and the cursors by which pages follow each other.
//!
//! A cursor holds the place of its node in the order of the list (the column that it is ordered by, then the id), so it stays
//! good while others come and go, and finding its place costs no more on the thousandth page than on the first.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};

use super::{
    arguments::{self, Arguments},
    error::Error,
    model::Leaf,
    parameters::Value,
};

/// How many nodes a page has unless it is said.
const DEFAULT: usize = 20;
/// How many nodes a page has at most.
pub(super) const MAX: usize = 100;

/// Pages are read with one of these limits in the statement's text, so that there are few statements. A parameter would have
/// PostgreSQL plan anew each time.
const LIMITS: [usize; 4] = [1, 10, DEFAULT, MAX];

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
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

/// A place in the list: the value of the column by which it is ordered, and the id.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) value: Value,
    pub(super) id: String,
}

impl Place {
    /// Its cursor in the order of this name. Opaque to clients; inside: base64url of `order/value/id`.
    pub(super) fn cursor(&self, order: &str) -> String {
        let value = match &self.value {
            Value::Text(text) => text.clone(),
            Value::Long(number) => number.to_string(),
            Value::Date(day) => day.to_string(),
            Value::Instant(instant) => instant.timestamp_micros().to_string(),
        };
        URL_SAFE_NO_PAD.encode(format!("{order}/{value}/{}", self.id))
    }

    fn of_cursor(cursor: &str, order: &str, leaf: Leaf) -> Option<Self> {
        const LONGEST: usize = 256;
        if cursor.len() > LONGEST {
            return None;
        }
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (value, id) = text.strip_prefix(order)?.strip_prefix('/')?.split_once('/')?;
        let value = match leaf {
            Leaf::Date => Value::Date(arguments::day(value)?),
            Leaf::Instant => Value::Instant(DateTime::<Utc>::from_timestamp_micros(value.parse().ok()?)?),
            _ => Value::Text(value.to_owned()),
        };
        let place = Self { value, id: id.to_owned() };
        (place.cursor(order) == cursor && !text.contains('\0')).then_some(place)
    }
}

impl Page {
    /// Checks the four arguments of a Relay connection.
    pub(super) fn of(arguments: &Arguments, order: &str, leaf: Leaf) -> Result<Self, Error> {
        let (first, last) = (arguments.int("first"), arguments.int("last"));
        if first.is_some() && last.is_some() {
            return Err(Error::input("first and last: give one of them, not both"));
        }
        let size = |name: &str, size: i32| {
            usize::try_from(size)
                .ok()
                .filter(|size| (1..=MAX).contains(size))
                .ok_or_else(|| Error::input(format!("{name}: must be from 1 to {MAX}, not {size}")))
        };
        let place = |name: &str| {
            let read = |cursor: &str| {
                Place::of_cursor(cursor, order, leaf)
                    .ok_or_else(|| Error::input(format!("{name}: not a cursor of this list in this order")))
            };
            arguments.text(name).map(read).transpose()
        };
        Ok(Self {
            after: place("after")?,
            before: place("before")?,
            size: match (first, last) {
                (Some(first), _) => size("first", first)?,
                (None, Some(last)) => size("last", last)?,
                (None, None) => DEFAULT,
            },
            from_end: last.is_some(),
        })
    }

    /// How many rows are read: one more than the page has tells whether the list goes on.
    pub(super) fn limit(&self) -> usize {
        LIMITS.into_iter().find(|limit| self.size <= *limit).unwrap_or(MAX) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDate;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_is_read_back(day in 1..3_650_000_i32, micros in -62_135_596_800_000_000..253_402_300_799_000_000_i64, id in "[A-Za-z0-9_-]{1,64}") {
            let day = Value::Date(NaiveDate::from_num_days_from_ce_opt(day).unwrap());
            let instant = Value::Instant(DateTime::from_timestamp_micros(micros).unwrap());
            for (value, leaf) in [(day, Leaf::Date), (instant, Leaf::Instant), (Value::Text(id.clone()), Leaf::Id)] {
                let place = Place { value, id: id.clone() };
                prop_assert_eq!(Place::of_cursor(&place.cursor("A"), "A", leaf), Some(place.clone()));
                prop_assert_eq!(Place::of_cursor(&place.cursor("A"), "B", leaf), None);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = Place::of_cursor(&text, "A", Leaf::Date);
        }
    }
}
