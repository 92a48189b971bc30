//! The messages, borrowed from the bytes that they were read from.

use contracts::envelope::Lsn;

use super::{Malformed, reader::Reader};

/// One message of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A committed transaction starts.
    Begin {
        /// LSN of its commit record.
        commit: Lsn,
        /// When it was committed, in microseconds since 2000-01-01 UTC.
        committed_at: i64,
        /// Its id.
        xid: u32,
    },
    /// The transaction is complete.
    Commit {
        /// LSN of its commit record, as in its `Begin`.
        commit: Lsn,
        /// LSN after the commit record: what may be confirmed once all of it is delivered.
        end: Lsn,
        /// When it was committed, in microseconds since 2000-01-01 UTC.
        committed_at: i64,
    },
    /// What a table looks like; comes before its first row and again after each change to it.
    Relation(Relation<'a>),
    /// A row was inserted.
    Insert(Insert<'a>),
    /// Someone called `pg_logical_emit_message`; comes only when it was asked for.
    Logical(LogicalMessage<'a>),
    /// A message that a relay of inserts has no use for (update, delete, truncate, type, origin), by its first byte.
    Skipped(u8),
}

/// A table's description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation<'a> {
    /// The number by which rows refer to it.
    pub id: u32,
    /// Its schema; empty for `pg_catalog`.
    pub schema: &'a str,
    /// Its name.
    pub table: &'a str,
    /// Its columns, in the order in which rows carry them.
    pub columns: Vec<Column<'a>>,
}

/// A column's description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column<'a> {
    /// Its name.
    pub name: &'a str,
    /// The OID of its type.
    pub type_oid: u32,
}

/// An inserted row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insert<'a> {
    /// The table's number.
    pub relation: u32,
    /// The row.
    pub row: Tuple<'a>,
}

/// What `pg_logical_emit_message` has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogicalMessage<'a> {
    /// Whether it belongs to the open transaction; if not, it comes outside of any.
    pub transactional: bool,
    /// Where it is in the log.
    pub lsn: Lsn,
    /// Its prefix. Bytes, since it may be another's and in any encoding.
    pub prefix: &'a [u8],
    /// Its content.
    pub content: &'a [u8],
}

/// A row's values. Checked when it was decoded, so that going through them cannot fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuple<'a> {
    count: usize,
    values: &'a [u8],
}

/// One value of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// A TOASTed value that was not changed and is not sent; never in an insert.
    Unchanged,
    /// The value as its type's output function writes it.
    Text(&'a [u8]),
    /// The value as its type's send function writes it.
    Binary(&'a [u8]),
}

impl<'a> Tuple<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let count = reader.count("value count")?;
        let before = reader.rest();
        for _ in 0..count {
            Value::read(reader)?;
        }
        let length = before.len() - reader.remaining();
        Ok(Self { count, values: &before[..length] })
    }

    /// The row of these values, as a stream of texts would bring it; `bytes` is what it is written to.
    pub(crate) fn of_texts<'t>(values: impl Iterator<Item = Option<&'t str>>, bytes: &'a mut Vec<u8>) -> Self {
        bytes.clear();
        let mut count = 0;
        for value in values {
            count += 1;
            match value {
                None => bytes.push(b'n'),
                Some(text) => {
                    bytes.push(b't');
                    // No value of PostgreSQL has more than 1 GiB.
                    bytes.extend((text.len() as u32).to_be_bytes());
                    bytes.extend(text.as_bytes());
                }
            }
        }
        Self { count, values: bytes }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The values, in the order of the table's columns.
    pub fn values(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let mut reader = Reader::new(self.values);
        std::iter::from_fn(move || Value::read(&mut reader).ok())
    }
}

impl<'a> Value<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let kind = reader.u8("value kind")?;
        Ok(match kind {
            b'n' => Self::Null,
            b'u' => Self::Unchanged,
            b't' | b'b' => {
                let length = reader.length("value length")?;
                let bytes = reader.bytes(length, "value")?;
                if kind == b't' { Self::Text(bytes) } else { Self::Binary(bytes) }
            }
            byte => return Err(Malformed::UnknownKind { of: "value", byte }),
        })
    }
}
