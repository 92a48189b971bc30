//! A column: its name, its SQL type and where its value is, in one place, so that they cannot disagree.

use chrono::{DateTime, NaiveDate, Utc};
use inbox::Undecodable;
use serde_json::Value;
use tokio_postgres::types::Type;

use super::cells::Cells;

/// A column of a table that is filled from a `D`.
pub(super) struct Column<D> {
    pub(super) name: &'static str,
    of: Of<D>,
}

/// Where a column's value is, by its type. `None` is null.
enum Of<D> {
    Text(fn(&D) -> Option<&str>),
    Key(fn(&D) -> Option<&str>),
    Int(fn(&D) -> Option<i32>),
    Long(fn(&D) -> Option<i64>),
    Day(fn(&D) -> Option<NaiveDate>),
    Instant(fn(&D) -> Option<DateTime<Utc>>),
    Json(fn(&D) -> Option<Value>),
}

/// A column of type `text`.
pub(super) const fn text<D>(name: &'static str, of: fn(&D) -> Option<&str>) -> Column<D> {
    Column { name, of: Of::Text(of) }
}

/// A column of type `text` by which rows are looked up, whose length anyone may choose. (An id's is bounded by its type.)
pub(super) const fn key<D>(name: &'static str, of: fn(&D) -> Option<&str>) -> Column<D> {
    Column { name, of: Of::Key(of) }
}

/// A column of type `integer`.
pub(super) const fn int<D>(name: &'static str, of: fn(&D) -> Option<i32>) -> Column<D> {
    Column { name, of: Of::Int(of) }
}

/// A column of type `bigint`.
pub(super) const fn long<D>(name: &'static str, of: fn(&D) -> Option<i64>) -> Column<D> {
    Column { name, of: Of::Long(of) }
}

/// A column of type `date`.
pub(super) const fn day<D>(name: &'static str, of: fn(&D) -> Option<NaiveDate>) -> Column<D> {
    Column { name, of: Of::Day(of) }
}

/// A column of type `timestamptz`.
pub(super) const fn instant<D>(name: &'static str, of: fn(&D) -> Option<DateTime<Utc>>) -> Column<D> {
    Column { name, of: Of::Instant(of) }
}

/// A column of type `jsonb`: what has no columns of its own, such as a list.
pub(super) const fn json<D>(name: &'static str, of: fn(&D) -> Option<Value>) -> Column<D> {
    Column { name, of: Of::Json(of) }
}

impl<D> Column<D> {
    /// The type of an array of its values.
    pub(super) fn array_type(&self) -> Type {
        match self.of {
            Of::Text(_) | Of::Key(_) => Type::TEXT_ARRAY,
            Of::Int(_) => Type::INT4_ARRAY,
            Of::Long(_) => Type::INT8_ARRAY,
            Of::Day(_) => Type::DATE_ARRAY,
            Of::Instant(_) => Type::TIMESTAMPTZ_ARRAY,
            Of::Json(_) => Type::JSONB_ARRAY,
        }
    }

    /// Adds the column's value to a row's cells.
    ///
    /// # Errors
    /// When PostgreSQL could not hold it.
    pub(super) fn write(&self, document: &D, cells: &mut Cells) -> Result<(), Undecodable> {
        match self.of {
            Of::Text(of) => cells.optional(self.name, of(document), Cells::text),
            Of::Key(of) => cells.optional(self.name, of(document), Cells::key),
            Of::Int(of) => cells.optional(self.name, of(document), Cells::int),
            Of::Long(of) => cells.optional(self.name, of(document), Cells::long),
            Of::Day(of) => cells.optional(self.name, of(document), Cells::day),
            Of::Instant(of) => cells.optional(self.name, of(document), Cells::instant),
            Of::Json(of) => cells.optional(self.name, of(document), |cells, name, value| cells.json(name, &value)),
        }
    }
}
