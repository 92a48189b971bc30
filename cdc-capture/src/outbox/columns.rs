//! Which of a table's columns is which part of an event.

use super::Reason;
use crate::pgoutput::{Tuple, Value};

/// The parts of an event that a column can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Id,
    AggregateType,
    AggregateId,
    Type,
    Payload,
    Version,
    Headers,
    CreatedAt,
}

/// A column that is looked for.
#[derive(Debug)]
pub struct Mapped {
    part: Part,
    /// The name, and another that will do.
    pub names: &'static [&'static str],
    /// The types that will do, by name and OID.
    types: &'static [(&'static str, u32)],
    /// Whether a table without it is no outbox.
    pub required: bool,
}

const TEXT: [(&str, u32); 2] = [("text", 25), ("varchar", 1043)];
const ID: [(&str, u32); 5] = [("uuid", 2950), TEXT[0], TEXT[1], ("bigint", 20), ("integer", 23)];
const DOCUMENT: [(&str, u32); 4] = [("json", 114), ("jsonb", 3802), TEXT[0], TEXT[1]];
const JSON: [(&str, u32); 2] = [DOCUMENT[0], DOCUMENT[1]];
const NUMBER: [(&str, u32); 2] = [("bigint", 20), ("integer", 23)];
const TIME: [(&str, u32); 1] = [("timestamptz", 1184)];

/// The columns of an outbox table. The first five are those that Debezium's outbox router expects.
pub const MAPPED: [Mapped; 8] = [
    Mapped { part: Part::Id, names: &["id"], types: &ID, required: true },
    Mapped { part: Part::AggregateType, names: &["aggregatetype"], types: &TEXT, required: true },
    Mapped { part: Part::AggregateId, names: &["aggregateid"], types: &ID, required: true },
    Mapped { part: Part::Type, names: &["type"], types: &TEXT, required: true },
    Mapped { part: Part::Payload, names: &["payload"], types: &DOCUMENT, required: true },
    Mapped { part: Part::Version, names: &["aggregateversion"], types: &NUMBER, required: false },
    Mapped { part: Part::Headers, names: &["headers"], types: &JSON, required: false },
    Mapped { part: Part::CreatedAt, names: &["createdat", "created_at"], types: &TIME, required: false },
];

/// A table that has not the columns of an outbox: each of its problems.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the table is no outbox: {}", .0.join("; "))]
pub struct UnusableTable(pub Vec<String>);

/// For each column of a table, in its order, which part it is.
#[derive(Clone, Debug)]
pub struct Columns(Vec<Option<Part>>);

/// The values of one row, by part. `None` is NULL, or a column that the table has not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Row<'a> {
    pub(super) id: Option<&'a [u8]>,
    pub(super) aggregate_type: Option<&'a [u8]>,
    pub(super) aggregate_id: Option<&'a [u8]>,
    pub(super) ty: Option<&'a [u8]>,
    pub(super) payload: Option<&'a [u8]>,
    pub(super) version: Option<&'a [u8]>,
    pub(super) headers: Option<&'a [u8]>,
    pub(super) created_at: Option<&'a [u8]>,
}

impl Columns {
    /// Finds the parts among a table's columns, given as name and type's OID. Further columns are left alone.
    ///
    /// # Errors
    /// When a required one is missing, or one has a type that cannot be used.
    pub fn find<'c>(columns: impl IntoIterator<Item = (&'c str, u32)>) -> Result<Self, UnusableTable> {
        let mut problems = Vec::new();
        let mut found: Vec<Option<Part>> = Vec::new();
        for (name, oid) in columns {
            let mapped = MAPPED.iter().find(|mapped| mapped.names.contains(&name));
            if let Some(mapped) = mapped.filter(|mapped| !mapped.types.iter().any(|(_, known)| *known == oid)) {
                let types: Vec<_> = mapped.types.iter().map(|(name, _)| *name).collect();
                problems.push(format!("column {name} must be {}", types.join(" or ")));
            }
            let part = mapped.map(|mapped| mapped.part).filter(|part| !found.contains(&Some(*part)));
            found.push(part);
        }
        let missing = MAPPED.iter().filter(|mapped| mapped.required && !found.contains(&Some(mapped.part)));
        problems.extend(missing.map(|mapped| format!("column {} is missing", mapped.names[0])));
        if problems.is_empty() { Ok(Self(found)) } else { Err(UnusableTable(problems)) }
    }

    pub(super) fn read<'a>(&self, row: &Tuple<'a>) -> Result<Row<'a>, Reason> {
        if row.len() != self.0.len() {
            return Err(Reason::Shape { values: row.len(), columns: self.0.len() });
        }
        let mut read = Row::default();
        for (part, value) in self.0.iter().zip(row.values()) {
            let Some(part) = part else { continue };
            let (name, field) = match part {
                Part::Id => ("id", &mut read.id),
                Part::AggregateType => ("aggregatetype", &mut read.aggregate_type),
                Part::AggregateId => ("aggregateid", &mut read.aggregate_id),
                Part::Type => ("type", &mut read.ty),
                Part::Payload => ("payload", &mut read.payload),
                Part::Version => ("aggregateversion", &mut read.version),
                Part::Headers => ("headers", &mut read.headers),
                Part::CreatedAt => ("createdat", &mut read.created_at),
            };
            *field = match value {
                Value::Null => None,
                Value::Text(bytes) => Some(bytes),
                // Neither can come in an insert that was asked for as text.
                Value::Unchanged | Value::Binary(_) => {
                    return Err(Reason::Value(name, "was not sent as text".to_owned()));
                }
            };
        }
        Ok(read)
    }
}

impl<'a> Row<'a> {
    pub(super) fn text(&self, name: &'static str, value: &'a [u8]) -> Result<&'a str, Reason> {
        std::str::from_utf8(value).map_err(|error| Reason::Value(name, error.to_string()))
    }

    pub(super) fn required_text(&self, name: &'static str, value: Option<&'a [u8]>) -> Result<&'a str, Reason> {
        let value = value.filter(|value| !value.is_empty()).ok_or(Reason::Empty(name))?;
        self.text(name, value)
    }
}
