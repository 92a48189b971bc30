//! Which of a table's columns is what of an event.

use super::{Format, Part, Reason, source::Source};
use crate::pgoutput::{Tuple, Value};

/// A table that has not the columns of an outbox: each of its problems.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the table is no outbox: {}", .0.join("; "))]
pub struct UnusableTable(pub Vec<String>);

/// Where in a table's rows everything is.
#[derive(Clone, Debug)]
pub struct Columns {
    /// For each column, in the table's order, which part it is.
    parts: Vec<Option<Part>>,
    /// The columns' names.
    names: Vec<String>,
    /// For each further header, its column.
    headers: Vec<usize>,
    /// For each column that the topic's template names, where it is.
    places: Vec<usize>,
}

/// The values of one row. `None` is NULL, or a column that the table has not.
pub(super) struct Row<'t, 'a> {
    parts: [Option<&'a [u8]>; Part::COUNT],
    columns: &'t Columns,
    row: &'t Tuple<'a>,
}

impl Columns {
    /// Finds the parts among a table's columns, given as name and type's OID. Further columns are left alone.
    ///
    /// # Errors
    /// When a required one is missing, or one has a type that cannot be used.
    pub fn find<'c>(columns: impl IntoIterator<Item = (&'c str, u32)>, format: &Format) -> Result<Self, UnusableTable> {
        let mut problems = Vec::new();
        let (mut parts, mut names) = (Vec::new(), Vec::new());
        for (name, oid) in columns {
            let part = format.part_of(name);
            if let Some(part) = part.filter(|part| !part.types().iter().any(|(_, known)| *known == oid)) {
                let types: Vec<_> = part.types().iter().map(|(name, _)| *name).collect();
                problems.push(format!("column {name} must be {}", types.join(" or ")));
            }
            parts.push(part.filter(|part| !parts.contains(&Some(*part))));
            names.push(name.to_owned());
        }
        let missing = |name: &str| format!("column {name} is missing");
        for part in format.parts().filter(|part| format.requires(*part) && !parts.contains(&Some(*part))) {
            problems.push(missing(format.mapping.column(part)));
        }
        let mut find = |wanted: &str| {
            let at = names.iter().position(|name| name == wanted);
            if at.is_none() && !problems.contains(&missing(wanted)) {
                problems.push(missing(wanted));
            }
            at
        };
        let headers = format.headers.iter().filter_map(|extra| find(&extra.column)).collect();
        let places = format.topic.columns().filter_map(find).collect();
        if problems.is_empty() { Ok(Self { parts, names, headers, places }) } else { Err(UnusableTable(problems)) }
    }

    pub(super) fn read<'t, 'a>(&'t self, row: &'t Tuple<'a>) -> Result<Row<'t, 'a>, Reason> {
        if row.len() != self.parts.len() {
            return Err(Reason::Shape { values: row.len(), columns: self.parts.len() });
        }
        let mut read = Row { parts: [None; Part::COUNT], columns: self, row };
        for (at, (part, value)) in self.parts.iter().zip(row.values()).enumerate() {
            if let Some(part) = part {
                read.parts[*part as usize] = self.text(at, value)?;
            }
        }
        Ok(read)
    }

    fn text<'a>(&self, at: usize, value: Value<'a>) -> Result<Option<&'a [u8]>, Reason> {
        match value {
            Value::Null => Ok(None),
            Value::Text(bytes) => Ok(Some(bytes)),
            // Neither can come in an insert that was asked for as text.
            Value::Unchanged | Value::Binary(_) => {
                Err(Reason::Value(self.names[at].clone(), "was not sent as text".to_owned()))
            }
        }
    }
}

impl<'a> Row<'_, 'a> {
    fn value(&self, at: usize) -> Result<Option<&'a [u8]>, Reason> {
        self.columns.text(at, self.row.values().nth(at).unwrap_or(Value::Null))
    }
}

impl<'a> Source<'a> for Row<'_, 'a> {
    fn part(&self, part: Part) -> Option<&'a [u8]> {
        self.parts[part as usize]
    }

    fn name(&self, part: Part) -> &str {
        let at = self.columns.parts.iter().position(|found| *found == Some(part));
        at.map_or(part.name(), |at| &self.columns.names[at])
    }

    fn header(&self, number: usize) -> Result<Option<&'a [u8]>, Reason> {
        self.value(self.columns.headers[number])
    }

    fn place(&self, number: usize) -> Result<Option<&'a [u8]>, Reason> {
        self.value(self.columns.places[number])
    }
}
