//! The projections: what a document becomes in its view.
//!
//! Each is a pure function from a document to a row, and one statement that takes a whole batch of rows. The statement
//! takes a row only over a lower version, so that a message that comes twice, or late, changes nothing.

mod account;
mod booking;
mod room_type;

pub use account::Accounts;
pub use booking::Bookings;
pub use room_type::RoomTypes;

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use contracts::envelope::AggregateVersion;
use inbox::{Delivery, Undecodable};
use serde::de::DeserializeOwned;
use tokio_postgres::types::{ToSql, Type};

/// What a message says about one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Change<R> {
    /// The aggregate's id.
    pub id: String,
    /// Its version.
    pub version: i64,
    /// When its context recorded that version.
    pub changed_at: DateTime<Utc>,
    /// The row; `None` when the aggregate is gone (a tombstone).
    pub row: Option<R>,
}

/// A document that a row is made of.
trait Document: DeserializeOwned {
    type Row;

    /// The aggregate's id and version, as the document has them.
    fn identity(&self) -> (&str, AggregateVersion);

    /// The row.
    fn into_row(self) -> Result<Self::Row, Undecodable>;
}

/// Reads a message. The document must be about the aggregate and the version that the envelope names: the order of
/// events is by the envelope's key.
fn read<D: Document>(delivery: &Delivery) -> Result<Change<D::Row>, Undecodable> {
    let envelope = &delivery.envelope;
    let document: Option<D> = delivery.decode()?;
    let (id, version) = match document.as_ref().map(D::identity) {
        Some((id, version)) => {
            if id != envelope.subject {
                return Err(Undecodable(format!("the document is about {id:?}, the message about another")));
            }
            if envelope.sequence.is_some_and(|sequence| sequence != version) {
                return Err(Undecodable(format!("the document has version {version}, the message another")));
            }
            (id, version)
        }
        None => {
            let version = envelope.sequence.ok_or_else(|| Undecodable("a tombstone without a version".to_owned()))?;
            (envelope.subject.as_str(), version)
        }
    };
    let (id, version) = (text("ce_subject", id.to_owned())?, version.get());
    let changed_at = instant("ce_time", envelope.time)?;
    Ok(Change { id, version, changed_at, row: document.map(D::into_row).transpose()? })
}

/// Of each row the change with the highest version, in the order of the ids, so that two who write the same rows take
/// their locks in the same order.
fn latest<R>(changes: &[Change<R>]) -> Vec<&Change<R>> {
    let mut latest = BTreeMap::<&str, &Change<R>>::new();
    for change in changes {
        let kept = latest.entry(&change.id).or_insert(change);
        if kept.version < change.version {
            *kept = change;
        }
    }
    latest.into_values().collect()
}

/// The columns that every view has beside its own, as arrays: the statement's first four parameters.
struct Keys<'a> {
    ids: Vec<&'a str>,
    versions: Vec<i64>,
    erased: Vec<bool>,
    changed_at: Vec<DateTime<Utc>>,
}

/// A statement's parameter and its type.
type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

impl<'a> Keys<'a> {
    fn of<R>(changes: &[&'a Change<R>]) -> Self {
        Self {
            ids: changes.iter().map(|change| change.id.as_str()).collect(),
            versions: changes.iter().map(|change| change.version).collect(),
            erased: changes.iter().map(|change| change.row.is_none()).collect(),
            changed_at: changes.iter().map(|change| change.changed_at).collect(),
        }
    }

    /// All parameters: these, then the view's own.
    fn and<'p>(&'p self, own: &[Parameter<'p>]) -> Vec<Parameter<'p>> {
        let keys: [Parameter<'p>; 4] = [
            (&self.ids, Type::TEXT_ARRAY),
            (&self.versions, Type::INT8_ARRAY),
            (&self.erased, Type::BOOL_ARRAY),
            (&self.changed_at, Type::TIMESTAMPTZ_ARRAY),
        ];
        keys.into_iter().chain(own.iter().cloned()).collect()
    }
}

/// A text that PostgreSQL can store: it has no place for the character U+0000.
fn text(name: &str, value: String) -> Result<String, Undecodable> {
    if value.contains('\0') { Err(Undecodable(format!("{name}: holds the character U+0000"))) } else { Ok(value) }
}

/// A day that PostgreSQL and every client can read: the years 1 to 9999.
fn day(name: &str, value: NaiveDate) -> Result<NaiveDate, Undecodable> {
    let year = value.year();
    if (1..=9999).contains(&year) { Ok(value) } else { Err(Undecodable(format!("{name}: the year {year}"))) }
}

/// A time in the same years, to the microsecond, which is what PostgreSQL keeps.
fn instant(name: &str, value: DateTime<Utc>) -> Result<DateTime<Utc>, Undecodable> {
    day(name, value.date_naive()).map(|_| value)
}
