//! From an outbox row, or a logical message, to an event: which topic, which key, which headers. Pure: bytes in, an event
//! or a reason out.
//!
//! Nothing is allocated for a row in the usual case: an event borrows the row and a list of headers that is used again.

mod columns;
pub(crate) mod dead_letter;
pub mod flags;
mod format;
mod headers;
mod mapping;
mod message;
mod source;
mod time;
mod topic;

#[cfg(test)]
mod tests;

pub use columns::{Columns, UnusableTable};
pub use dead_letter::{DeadLetter, Remains, Room};
pub use format::{ExtraHeader, Format};
pub use headers::HeaderList;
pub use mapping::{Mapping, Part, Preset, UnknownPart, UnknownPreset};
pub(crate) use time::{postgres_micros, unix_micros};
pub(crate) use topic::is_legal as is_topic_name;
pub use topic::{InvalidTemplate, TopicTemplate};

use std::fmt::Write;

use contracts::envelope::{AggregateVersion, Lsn, names};

use crate::pgoutput::{LogicalMessage, Relation, Tuple, Value};
use message::Body;
use source::Source;
use topic::Piece;

/// What is to be sent for one row or message.
#[derive(Debug)]
pub struct Event<'a> {
    /// Where it comes from: the table, or the messages.
    pub origin: &'a str,
    /// The event's id.
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

/// A row, or a message, that cannot become an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {id} of {table}: {reason}")]
pub struct Unpublishable {
    /// The table, with its schema, or the messages.
    pub table: String,
    /// The row's id, `?` when that is what cannot be read; of a message then its place in the log.
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
    Empty(String),
    /// A column's value cannot be read.
    #[error("column {0}: {1}")]
    Value(String, String),
    /// The topic that the template makes of it is none.
    #[error("{0:?} is not a topic's name (1 to 249 of a-z A-Z 0-9 . _ -)")]
    Topic(String),
    /// The topic is one that the relay keeps for itself.
    #[error("the topic {0:?} is the relay's own")]
    Reserved(String),
    /// A message's content cannot be read.
    #[error("the message: {0}")]
    Body(String),
    /// A message that belongs to no transaction: it would be published even if its writer rolls back.
    #[error("the message is not transactional: call pg_logical_emit_message with transactional = true")]
    NotTransactional,
    /// The producer takes no message of this size.
    #[error("{0}")]
    TooLarge(String),
    /// The broker has refused it, and it alone.
    #[error("the broker refused it: {0}")]
    Refused(String),
}

impl Reason {
    /// Its kind, in a word.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Table(_) => "table",
            Self::Shape { .. } | Self::Empty(_) | Self::Value(..) => "column",
            Self::Topic(_) | Self::Reserved(_) => "topic",
            Self::Body(_) => "message",
            Self::NotTransactional => "not_transactional",
            Self::TooLarge(_) => "too_large",
            Self::Refused(_) => "refused",
        }
    }
}

/// A table of the publication, as the stream has described it.
#[derive(Debug)]
pub struct Table {
    name: String,
    columns: Result<Columns, UnusableTable>,
    /// For each column, in the table's order, which part it would be, whatever its type.
    parts: Vec<Option<Part>>,
}

impl Table {
    /// Reads a description. A table that is no outbox is only an error when a row of it comes.
    pub fn new(relation: &Relation<'_>, format: &Format) -> Self {
        let columns = relation.columns.iter().map(|column| (column.name, column.type_oid));
        let parts = relation.columns.iter().map(|column| format.part_of(column.name)).collect();
        Self { name: format!("{}.{}", relation.schema, relation.table), columns: Columns::find(columns, format), parts }
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

    /// When it was committed, as in RFC 3339.
    pub fn committed_at(&self) -> &str {
        &self.committed_at
    }

    fn position(&mut self, ordinal: u32) -> &str {
        self.position.truncate(self.position_stem);
        let _ = write!(self.position, "{ordinal}");
        &self.position
    }
}

/// Makes events of rows and messages.
#[derive(Debug)]
pub struct Router {
    maker: Maker,
    /// What the messages are called.
    messages: String,
    /// The message that an event is being made of.
    body: Body,
}

/// Makes events of values, wherever they come from.
#[derive(Debug)]
struct Maker {
    format: Format,
    prefix: String,
    source: String,
    reserved: Option<String>,
    topic: String,
    scratch: String,
    headers: HeaderList,
}

impl Router {
    /// `prefix` is put before each topic; `source` is the `ce_source` of rows that name none.
    pub fn new(format: Format, prefix: String, source: String) -> Self {
        let messages = format!("messages {:?}", format.message_prefix.as_deref().unwrap_or_default());
        let (topic, scratch, headers) = (String::new(), String::new(), HeaderList::default());
        let maker = Maker { format, prefix, source, reserved: None, topic, scratch, headers };
        Self { maker, messages, body: Body::default() }
    }

    /// Lets no event go to this topic, named with its prefix.
    #[must_use]
    pub fn reserving(mut self, topic: Option<String>) -> Self {
        self.maker.reserved = topic;
        self
    }

    /// A table, as this router sees it.
    pub fn table(&self, relation: &Relation<'_>) -> Table {
        Table::new(relation, &self.maker.format)
    }

    /// Whether a message is meant to be an event.
    pub fn wants(&self, message: &LogicalMessage<'_>) -> bool {
        self.maker.format.message_prefix.as_ref().is_some_and(|prefix| prefix.as_bytes() == message.prefix)
    }

    /// The event of a row, the one with this number in its transaction.
    ///
    /// # Errors
    /// When the row cannot be published as it is.
    pub fn route<'a>(
        &'a mut self,
        table: &'a Table,
        row: &Tuple<'a>,
        transaction: &mut Transaction,
        ordinal: u32,
    ) -> Result<Event<'a>, Box<Unpublishable>> {
        let mut id = None;
        let columns = table.columns.as_ref().map_err(|error| Reason::Table(error.clone()));
        let filled = columns
            .and_then(|columns| columns.read(row))
            .and_then(|row| self.maker.fill(&row, transaction, ordinal, &mut id));
        match filled {
            Ok(filled) => Ok(self.maker.event(filled, &table.name)),
            Err(reason) => Err(unpublishable(&table.name, id.unwrap_or("?"), reason)),
        }
    }

    /// The event of a message that is [wanted](Self::wants), the one with this number in its transaction.
    ///
    /// # Errors
    /// When the message cannot be published as it is.
    pub fn route_message<'a>(
        &'a mut self,
        message: &LogicalMessage<'_>,
        transaction: &mut Transaction,
        ordinal: u32,
    ) -> Result<Event<'a>, Box<Unpublishable>> {
        let Self { maker, messages, body } = self;
        let refused = |id: Option<&str>, reason| match id {
            Some(id) => unpublishable(messages, id, reason),
            None => unpublishable(messages, &message.lsn.to_string(), reason),
        };
        if !message.transactional {
            return Err(refused(None, Reason::NotTransactional));
        }
        *body = Body::read(message.content, &maker.format).map_err(|reason| refused(None, reason))?;
        let body: &'a Body = body;
        match maker.fill(&body, transaction, ordinal, &mut None) {
            Ok(filled) => Ok(maker.event(filled, messages)),
            Err(reason) => Err(refused(body.id(), reason)),
        }
    }
}

/// What can be read of that of which no event could be made. Rarely asked for, so it may take its time.
impl Router {
    /// What can be read of a row, even if its table is no outbox.
    pub fn remains_of_row<'a>(&mut self, table: &Table, row: &Tuple<'a>) -> Remains<'a> {
        let mut remains = Remains { origin: table.name.clone(), ..Remains::default() };
        if row.len() != table.parts.len() {
            return remains;
        }
        for (part, value) in table.parts.iter().zip(row.values()) {
            let (Some(part), Value::Text(value)) = (part, value) else { continue };
            let text = || std::str::from_utf8(value).ok().filter(|text| !text.is_empty()).map(str::to_owned);
            match part {
                Part::Id => remains.id = text(),
                Part::AggregateId => remains.key = text(),
                Part::Payload => remains.payload = Some(value),
                _ => {}
            }
        }
        let row = table.columns.as_ref().ok().and_then(|columns| columns.read(row).ok());
        remains.topic = row.and_then(|row| self.maker.topic_of(&row));
        remains
    }

    /// What can be read of a message.
    pub fn remains_of_message<'a>(&mut self, message: &LogicalMessage<'a>) -> Remains<'a> {
        let (id, key) = message::identities(message.content, &self.maker.format);
        let body = Body::read(message.content, &self.maker.format).ok();
        let topic = body.and_then(|body| self.maker.topic_of(&&body));
        Remains { origin: self.messages.clone(), id, key, topic, payload: Some(message.content) }
    }
}

fn unpublishable(origin: &str, id: &str, reason: Reason) -> Box<Unpublishable> {
    Box::new(Unpublishable { table: origin.to_owned(), id: headers::shorten(id, 64), reason })
}

impl Maker {
    fn event<'a>(&'a self, filled: Filled<'a>, origin: &'a str) -> Event<'a> {
        let Filled { id, key, payload } = filled;
        Event { origin, id, topic: &self.topic, key, payload, headers: &self.headers }
    }

    fn fill<'a>(
        &mut self,
        row: &impl Source<'a>,
        transaction: &mut Transaction,
        ordinal: u32,
        known_id: &mut Option<&'a str>,
    ) -> Result<Filled<'a>, Reason> {
        let id = row.required_text(Part::Id)?;
        *known_id = Some(id);
        let key = row.required_text(Part::AggregateId)?;
        let aggregate_type = row.required_text(Part::AggregateType)?;
        self.fill_topic(row, aggregate_type)?;
        self.headers.clear();
        match self.format.preset {
            Preset::Waybill => self.fill_cloud_event(row, id, key, transaction)?,
            Preset::Debezium => {
                self.headers.push(headers::DEBEZIUM_ID, id.as_bytes());
                self.fill_columns(row)?;
            }
        }
        if self.format.position_header {
            self.headers.push(names::POSITION, transaction.position(ordinal).as_bytes());
        }
        Ok(Filled { id, key, payload: row.part(Part::Payload) })
    }

    /// The topic of a row that may lack anything else.
    fn topic_of<'a>(&mut self, row: &impl Source<'a>) -> Option<String> {
        self.fill_topic(row, row.required_text(Part::AggregateType).ok()?).ok()?;
        Some(self.topic.clone())
    }

    fn fill_topic<'a>(&mut self, row: &impl Source<'a>, aggregate_type: &str) -> Result<(), Reason> {
        self.topic.clear();
        self.topic.push_str(&self.prefix);
        let mut number = 0;
        for piece in self.format.topic.pieces() {
            self.topic.push_str(match piece {
                Piece::Text(text) => text,
                Piece::AggregateType => aggregate_type,
                Piece::Type => row.required_text(Part::Type)?,
                Piece::Column(name) => {
                    number += 1;
                    source::required(|| name, row.place(number - 1)?)?
                }
            });
        }
        if !topic::is_legal(&self.topic) {
            return Err(Reason::Topic(headers::shorten(&self.topic, 64)));
        }
        if self.reserved.as_ref() == Some(&self.topic) {
            return Err(Reason::Reserved(self.topic.clone()));
        }
        Ok(())
    }

    /// The headers of a CloudEvent in Kafka's binary mode.
    fn fill_cloud_event<'a>(
        &mut self,
        row: &impl Source<'a>,
        id: &str,
        key: &str,
        transaction: &Transaction,
    ) -> Result<(), Reason> {
        let ty = row.required_text(Part::Type)?;
        let headers = &mut self.headers;
        headers.push(names::SPECVERSION, b"1.0");
        headers.push(names::CONTENT_TYPE, b"application/json");
        headers.push(names::ID, id.as_bytes());
        headers.push(names::TYPE, ty.as_bytes());
        headers.push(names::SUBJECT, key.as_bytes());
        let refused = |part, reason| Reason::Value(row.name(part).to_owned(), reason);
        if let Some(version) = row.text(Part::Version)? {
            let version: AggregateVersion =
                version.parse().map_err(|error| refused(Part::Version, format!("{error}")))?;
            self.scratch.clear();
            let _ = write!(self.scratch, "{:020}", version.get());
            headers.push(names::SEQUENCE, self.scratch.as_bytes());
        }
        match row.part(Part::CreatedAt) {
            None => headers.push(names::TIME, transaction.committed_at.as_bytes()),
            Some(created_at) => {
                self.scratch.clear();
                time::write_timestamptz(&mut self.scratch, created_at)
                    .map_err(|error| refused(Part::CreatedAt, error))?;
                headers.push(names::TIME, self.scratch.as_bytes());
            }
        }
        let before = self.headers.len();
        self.fill_columns(row)?;
        if let Some(json) = row.part(Part::Headers) {
            let extra = self.headers.len() - before;
            self.headers.push_json(json, extra).map_err(|reason| refused(Part::Headers, reason))?;
        }
        if !self.headers.contains(names::SOURCE) {
            self.headers.push(names::SOURCE, self.source.as_bytes());
        }
        Ok(())
    }

    /// The headers that columns become; NULL is none.
    fn fill_columns<'a>(&mut self, row: &impl Source<'a>) -> Result<(), Reason> {
        for (number, extra) in self.format.headers.iter().enumerate() {
            if let Some(value) = row.header(number)? {
                let pushed = self.headers.push_column(&extra.header, value);
                pushed.map_err(|reason| Reason::Value(extra.column.clone(), reason))?;
            }
        }
        Ok(())
    }
}

/// What an event takes from the row itself.
#[derive(Clone, Copy)]
struct Filled<'a> {
    id: &'a str,
    key: &'a str,
    payload: Option<&'a [u8]>,
}
