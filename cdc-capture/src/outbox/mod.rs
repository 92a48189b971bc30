//! From an outbox row to an event: which topic, which key, which headers. Pure: bytes in, an event or a reason out.
//!
//! Nothing is allocated for a row in the usual case: an event borrows the row and a list of headers that is used again.

mod columns;
mod headers;
mod time;
mod topic;

#[cfg(test)]
mod tests;

pub use columns::{Columns, MAPPED, UnusableTable};
pub use headers::HeaderList;
pub(crate) use time::unix_micros;
pub(crate) use topic::is_legal as is_topic_name;
pub use topic::{InvalidTemplate, TopicTemplate};

use std::fmt::Write;

use contracts::envelope::{AggregateVersion, Lsn, names};

use crate::pgoutput::{Relation, Tuple};

/// What is to be sent for one row.
#[derive(Debug)]
pub struct Event<'a> {
    /// The row's id.
    pub id: &'a str,
    /// The topic, with the installation's prefix.
    pub topic: &'a str,
    /// The aggregate's id.
    pub key: &'a str,
    /// The document; `None` is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// All headers.
    pub headers: &'a HeaderList,
}

/// A row that cannot become an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {id} of {table}: {reason}")]
pub struct Unpublishable {
    /// The table, with its schema.
    pub table: String,
    /// The row's id, `?` when that is what cannot be read.
    pub id: String,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The table's columns are not an outbox's.
    #[error(transparent)]
    Table(#[from] UnusableTable),
    /// The row has another number of values than the table has columns.
    #[error("{values} values for {columns} columns")]
    Shape {
        /// How many values came.
        values: usize,
        /// How many columns were described.
        columns: usize,
    },
    /// A column that every event needs is NULL or empty.
    #[error("column {0} is empty")]
    Empty(&'static str),
    /// A column's value cannot be read.
    #[error("column {0}: {1}")]
    Value(&'static str, String),
    /// The topic that the template makes of it is none.
    #[error("{0:?} is not a topic's name (1 to 249 of a-z A-Z 0-9 . _ -)")]
    Topic(String),
    /// The `headers` column cannot be used.
    #[error("column headers: {0}")]
    Headers(String),
    /// The producer or the broker takes no message of this size.
    #[error("{0}")]
    TooLarge(String),
}

/// A table of the publication, as the stream has described it.
#[derive(Debug)]
pub struct Table {
    name: String,
    columns: Result<Columns, UnusableTable>,
}

impl Table {
    /// Reads a description. A table that is no outbox is only an error when a row of it comes.
    pub fn new(relation: &Relation<'_>) -> Self {
        let columns = relation.columns.iter().map(|column| (column.name, column.type_oid));
        Self { name: format!("{}.{}", relation.schema, relation.table), columns: Columns::find(columns) }
    }

    /// Its name, with its schema.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// What all rows of one transaction have in common.
#[derive(Debug, Default)]
pub struct Transaction {
    position: String,
    position_stem: usize,
    committed_at: String,
}

impl Transaction {
    /// Takes the place of the transaction before.
    pub fn restart(&mut self, system: u64, timeline: u32, commit: Lsn, committed_at: i64) {
        self.position.clear();
        // Writing to a String cannot fail.
        let _ = write!(self.position, "{system}:{timeline}:{commit}:");
        self.position_stem = self.position.len();
        self.committed_at.clear();
        time::write_committed_at(&mut self.committed_at, committed_at);
    }

    fn position(&mut self, ordinal: u32) -> &str {
        self.position.truncate(self.position_stem);
        let _ = write!(self.position, "{ordinal}");
        &self.position
    }
}

/// Makes events of rows.
#[derive(Debug)]
pub struct Router {
    template: TopicTemplate,
    prefix: String,
    source: String,
    topic: String,
    scratch: String,
    headers: HeaderList,
}

impl Router {
    /// `prefix` is put before each topic; `source` is the `ce_source` of rows that name none.
    pub fn new(template: TopicTemplate, prefix: String, source: String) -> Self {
        let (topic, scratch, headers) = (String::new(), String::new(), HeaderList::default());
        Self { template, prefix, source, topic, scratch, headers }
    }

    /// The event of a row, the one with this number in its transaction.
    ///
    /// # Errors
    /// When the row cannot be published as it is.
    pub fn route<'a>(
        &'a mut self,
        table: &Table,
        row: &Tuple<'a>,
        transaction: &mut Transaction,
        ordinal: u32,
    ) -> Result<Event<'a>, Box<Unpublishable>> {
        let mut id = None;
        self.fill(table, row, transaction, ordinal, &mut id)
            .map_err(|reason| {
                let id = id.map_or_else(|| "?".to_owned(), |id| headers::shorten(id, 64));
                Box::new(Unpublishable { table: table.name.clone(), id, reason })
            })
            .map(|filled| Event {
                id: filled.id,
                topic: &self.topic,
                key: filled.key,
                payload: filled.payload,
                headers: &self.headers,
            })
    }

    fn fill<'a>(
        &mut self,
        table: &Table,
        row: &Tuple<'a>,
        transaction: &mut Transaction,
        ordinal: u32,
        known_id: &mut Option<&'a str>,
    ) -> Result<Filled<'a>, Reason> {
        let columns = table.columns.as_ref().map_err(|error| Reason::Table(error.clone()))?;
        let row = columns.read(row)?;
        let id = row.required_text("id", row.id)?;
        *known_id = Some(id);
        let ty = row.required_text("type", row.ty)?;
        let key = row.required_text("aggregateid", row.aggregate_id)?;
        let aggregate_type = row.required_text("aggregatetype", row.aggregate_type)?;

        self.topic.clear();
        self.topic.push_str(&self.prefix);
        self.template.write(&mut self.topic, aggregate_type, ty);
        if !topic::is_legal(&self.topic) {
            return Err(Reason::Topic(headers::shorten(&self.topic, 64)));
        }

        let headers = &mut self.headers;
        headers.clear();
        headers.push(names::SPECVERSION, b"1.0");
        headers.push(names::CONTENT_TYPE, b"application/json");
        headers.push(names::ID, id.as_bytes());
        headers.push(names::TYPE, ty.as_bytes());
        headers.push(names::SUBJECT, key.as_bytes());
        if let Some(version) = row.version {
            let version = row.text("aggregateversion", version)?;
            let version: AggregateVersion =
                version.parse().map_err(|error| Reason::Value("aggregateversion", format!("{error}")))?;
            self.scratch.clear();
            let _ = write!(self.scratch, "{:020}", version.get());
            headers.push(names::SEQUENCE, self.scratch.as_bytes());
        }
        match row.created_at {
            None => headers.push(names::TIME, transaction.committed_at.as_bytes()),
            Some(created_at) => {
                self.scratch.clear();
                time::write_timestamptz(&mut self.scratch, created_at)
                    .map_err(|error| Reason::Value("createdat", error))?;
                headers.push(names::TIME, self.scratch.as_bytes());
            }
        }
        if let Some(json) = row.headers {
            headers.push_json(json)?;
        }
        if !headers.contains(names::SOURCE) {
            headers.push(names::SOURCE, self.source.as_bytes());
        }
        headers.push(names::POSITION, transaction.position(ordinal).as_bytes());
        Ok(Filled { id, key, payload: row.payload })
    }
}

/// What an event takes from the row itself.
struct Filled<'a> {
    id: &'a str,
    key: &'a str,
    payload: Option<&'a [u8]>,
}
