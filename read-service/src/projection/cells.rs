//! A row as PostgreSQL receives it: for each column the length of its value, then the value in binary; -1 for null.
//!
//! Binary arrays, a binary COPY and a file of rows all hold cells of this form, so a row is encoded once and from then on
//! only copied. What PostgreSQL could not hold is refused here, while there is still one message to set aside: in the
//! database it would fail its whole batch.

use bytes::{BufMut, BytesMut};
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use inbox::Undecodable;
use serde_json::Value;
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};

use crate::live::Change;

/// A row of a table, its first column the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The aggregate's version; of no meaning where a table keeps none.
    pub(crate) version: i64,
    cells: Vec<u8>,
    /// What those who follow it are told.
    pub(super) changes: Vec<Change>,
}

/// A row that is being made, column by column.
pub(super) struct Cells(Vec<u8>);

/// The length of a value, as it stands before it.
const LENGTH: usize = size_of::<i32>();
/// Most rows fit, so that they are made without moving.
const USUAL: usize = 384;
/// The longest text of a column by which rows are looked up, in bytes: an index has no place for much longer ones.
const LONGEST_KEY: usize = 256;
/// Days from the first of the common era, as chrono counts them, to the first of 2000, from which PostgreSQL counts.
const DAYS_TO_2000: i32 = 730_120;
/// Microseconds from 1970 to 2000.
const MICROS_TO_2000: i64 = 946_684_800_000_000;
/// What stands before the text of a `jsonb`.
const JSONB_VERSION: u8 = 1;

impl Cells {
    pub(super) fn new() -> Self {
        Self(Vec::with_capacity(USUAL))
    }

    /// The row that these cells make.
    pub(super) fn row(self, version: i64) -> Row {
        Row { version, cells: self.0, changes: Vec::new() }
    }

    pub(super) fn null(&mut self) {
        self.0.put_i32(-1);
    }

    /// A value where there is one, null where there is none.
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        value: Option<T>,
        write: impl FnOnce(&mut Self, &str, T) -> Result<(), Undecodable>,
    ) -> Result<(), Undecodable> {
        let Some(value) = value else {
            self.null();
            return Ok(());
        };
        write(self, name, value)
    }

    pub(super) fn bool(&mut self, name: &str, value: bool) -> Result<(), Undecodable> {
        self.value(name, &[u8::from(value)])
    }

    pub(super) fn int(&mut self, name: &str, value: i32) -> Result<(), Undecodable> {
        self.value(name, &value.to_be_bytes())
    }

    pub(super) fn long(&mut self, name: &str, value: i64) -> Result<(), Undecodable> {
        self.value(name, &value.to_be_bytes())
    }

    /// A text that PostgreSQL can store: it has no place for the character U+0000.
    pub(super) fn text(&mut self, name: &str, value: &str) -> Result<(), Undecodable> {
        if value.contains('\0') {
            return Err(refused(name, "holds the character U+0000"));
        }
        self.value(name, value.as_bytes())
    }

    /// A text by which rows are looked up.
    pub(super) fn key(&mut self, name: &str, value: &str) -> Result<(), Undecodable> {
        if value.len() > LONGEST_KEY {
            return Err(refused(name, &format!("{} bytes, more than {LONGEST_KEY}", value.len())));
        }
        self.text(name, value)
    }

    /// A day that PostgreSQL and every client can read.
    pub(super) fn day(&mut self, name: &str, value: NaiveDate) -> Result<(), Undecodable> {
        in_the_calendar(name, value)?;
        self.int(name, value.num_days_from_ce() - DAYS_TO_2000)
    }

    /// A time in the same years, to the microsecond, which is what PostgreSQL keeps.
    pub(super) fn instant(&mut self, name: &str, value: DateTime<Utc>) -> Result<(), Undecodable> {
        in_the_calendar(name, value.date_naive())?;
        self.long(name, value.timestamp_micros() - MICROS_TO_2000)
    }

    pub(super) fn json(&mut self, name: &str, value: &Value) -> Result<(), Undecodable> {
        if holds_nul(value) {
            return Err(refused(name, "holds the character U+0000"));
        }
        let mut bytes = vec![JSONB_VERSION];
        serde_json::to_writer(&mut bytes, value).map_err(|error| refused(name, &error.to_string()))?;
        self.value(name, &bytes)
    }

    fn value(&mut self, name: &str, bytes: &[u8]) -> Result<(), Undecodable> {
        let length = i32::try_from(bytes.len()).map_err(|_| refused(name, "too long"))?;
        self.0.put_i32(length);
        self.0.put_slice(bytes);
        Ok(())
    }
}

fn refused(name: &str, why: &str) -> Undecodable {
    Undecodable(format!("{name}: {why}"))
}

/// The years 1 to 9999.
fn in_the_calendar(name: &str, day: NaiveDate) -> Result<(), Undecodable> {
    let year = day.year();
    if (1..=9999).contains(&year) { Ok(()) } else { Err(refused(name, &format!("the year {year}"))) }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(holds_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl Row {
    /// Those who follow what it changes are told so.
    pub(super) fn changing(self, changes: impl Iterator<Item = Change>) -> Self {
        Self { changes: changes.collect(), ..self }
    }

    /// The bytes of its id, by which rows are ordered as `COLLATE "C"` does.
    pub(super) fn id(&self) -> &[u8] {
        self.cells().next().map_or(&[], |cell| &cell[LENGTH..])
    }

    /// A row of texts, for tests that care for nothing else.
    #[cfg(test)]
    pub(crate) fn of_text(version: i64, texts: &[&str]) -> Self {
        let mut cells = Cells::new();
        texts.iter().for_each(|text| cells.text("text", text).unwrap_or_default());
        cells.row(version)
    }

    /// All of its cells, in one piece.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.cells
    }

    /// Its cells, each with its length before it.
    fn cells(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.cells.as_slice();
        std::iter::from_fn(move || {
            let length = i32::from_be_bytes(*rest.first_chunk::<LENGTH>()?);
            let (cell, after) = rest.split_at_checked(LENGTH + usize::try_from(length).unwrap_or(0))?;
            rest = after;
            Some(cell)
        })
    }
}

/// A column of many rows: a parameter that is an array.
#[derive(Debug)]
pub(super) struct Array {
    length: i32,
    cells: Vec<u8>,
}

impl Array {
    /// The columns of these rows, which have so many.
    pub(super) fn columns_of(rows: &[&Row], columns: usize) -> Vec<Self> {
        let length = i32::try_from(rows.len()).unwrap_or(i32::MAX);
        let mut arrays: Vec<_> = (0..columns).map(|_| Self { length, cells: Vec::new() }).collect();
        for row in rows {
            for (array, cell) in arrays.iter_mut().zip(row.cells()) {
                array.cells.extend_from_slice(cell);
            }
        }
        arrays
    }
}

impl ToSql for Array {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Kind::Array(element) = ty.kind() else { return Err(format!("{ty} is no array").into()) };
        out.reserve(20 + self.cells.len());
        // One dimension, which may hold nulls; the type; then its length, and that it is counted from 1.
        out.put_i32(1);
        out.put_i32(1);
        out.put_u32(element.oid());
        out.put_i32(self.length);
        out.put_i32(1);
        out.put_slice(&self.cells);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(ty.kind(), Kind::Array(_))
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, option, prelude::*};

    proptest! {
        #[test]
        fn a_row_is_taken_apart_into_what_it_was_made_of(id in "[a-z]{0,9}", texts in vec(option::of("[^\0]{0,9}"), 0..9)) {
            let mut cells = Cells::new();
            cells.text("id", &id).unwrap();
            for text in &texts {
                cells.optional("text", text.as_deref(), Cells::text).unwrap();
            }
            let row = cells.row(1);
            prop_assert_eq!(row.id(), id.as_bytes());
            let found: Vec<_> = row.cells().skip(1).collect();
            let expected = texts.iter().map(|text| match text {
                None => (-1_i32).to_be_bytes().to_vec(),
                Some(text) => [&i32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat(),
            });
            prop_assert_eq!(found, expected.collect::<Vec<_>>());
        }

        /// The client's own encoding of the same values.
        #[test]
        fn days_and_times_are_as_the_client_writes_them(seconds in -62_000_000_000_i64..253_000_000_000, nanos in 0_u32..1_000_000) {
            let instant = DateTime::from_timestamp(seconds, nanos * 1000).unwrap();
            let (mut cells, mut expected) = (Cells::new(), BytesMut::new());
            cells.instant("at", instant).unwrap();
            cells.day("on", instant.date_naive()).unwrap();
            let row = cells.row(1);
            instant.to_sql(&Type::TIMESTAMPTZ, &mut expected).unwrap();
            instant.date_naive().to_sql(&Type::DATE, &mut expected).unwrap();
            prop_assert_eq!(row.cells().flat_map(|cell| &cell[LENGTH..]).copied().collect::<Vec<_>>(), expected.to_vec());
        }
    }

    #[test]
    fn what_postgres_could_not_hold_is_refused_with_the_columns_name() {
        let refusal = |write: &dyn Fn(&mut Cells) -> Result<(), Undecodable>| write(&mut Cells::new()).unwrap_err().0;
        assert_eq!(refusal(&|cells| cells.text("name", "a\0b")), "name: holds the character U+0000");
        for json in [serde_json::json!([{"number": "\0"}]), serde_json::json!({"\0": 1})] {
            assert_eq!(refusal(&|cells| cells.json("rooms", &json)), "rooms: holds the character U+0000");
        }
        assert_eq!(refusal(&|cells| cells.key("id", &"x".repeat(257))), "id: 257 bytes, more than 256");
        for (year, day) in [(0, NaiveDate::from_ymd_opt(0, 12, 31)), (10_000, NaiveDate::from_ymd_opt(10_000, 1, 1))] {
            assert_eq!(refusal(&|cells| cells.day("on", day.unwrap())), format!("on: the year {year}"));
            let instant = day.unwrap().and_hms_opt(0, 0, 0).unwrap().and_utc();
            assert_eq!(refusal(&|cells| cells.instant("at", instant)), format!("at: the year {year}"));
        }
    }
}
