//! The decoder of PostgreSQL's logical replication messages, protocol version 1: bytes in, typed messages out.
//!
//! No sockets and no async here. It allocates nothing but the columns of a table's description, and that only as far as
//! bytes for them are there. Whatever it is given, it answers with a message or a typed error, never a panic.

mod message;
mod reader;

#[cfg(test)]
mod tests;

pub use message::{Column, Insert, LogicalMessage, Message, Relation, Tuple, Value};

use contracts::envelope::Lsn;
use reader::Reader;

/// Why bytes are not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The message ends in the middle of a field.
    #[error("a message of {length} bytes ends inside its {field}")]
    Truncated {
        /// What was being read.
        field: &'static str,
        /// How long the message is.
        length: usize,
    },
    /// The message goes on after its last field.
    #[error("{0} bytes follow the end of a message")]
    Trailing(usize),
    /// A name is not UTF-8.
    #[error("the {0} is not UTF-8")]
    NotUtf8(&'static str),
    /// A byte that says what comes next is not one of those that the protocol knows.
    #[error("{byte:#04x} is not a known kind of {of}")]
    UnknownKind {
        /// What it should tell the kind of.
        of: &'static str,
        /// The byte.
        byte: u8,
    },
    /// A count or a length is negative.
    #[error("the {0} is negative")]
    Negative(&'static str),
}

/// Decodes one message.
///
/// # Errors
/// When the bytes are not exactly one message of protocol version 1.
pub fn decode(bytes: &[u8]) -> Result<Message<'_>, Malformed> {
    let mut reader = Reader::new(bytes);
    let kind = reader.u8("kind")?;
    let message = match kind {
        b'B' => Message::Begin {
            commit: Lsn(reader.u64("final LSN")?),
            committed_at: reader.i64("commit time")?,
            xid: reader.u32("transaction id")?,
        },
        b'C' => {
            let _flags = reader.u8("flags")?;
            Message::Commit {
                commit: Lsn(reader.u64("commit LSN")?),
                end: Lsn(reader.u64("end LSN")?),
                committed_at: reader.i64("commit time")?,
            }
        }
        b'R' => Message::Relation(relation(&mut reader)?),
        b'I' => {
            let relation = reader.u32("relation id")?;
            match reader.u8("tuple kind")? {
                b'N' => Message::Insert(Insert { relation, row: Tuple::read(&mut reader)? }),
                byte => return Err(Malformed::UnknownKind { of: "tuple in an insert", byte }),
            }
        }
        b'M' => Message::Logical(LogicalMessage {
            transactional: reader.u8("message flags")? & 1 == 1,
            lsn: Lsn(reader.u64("message LSN")?),
            prefix: reader.until_zero("message prefix")?,
            content: {
                let length = reader.length("message length")?;
                reader.bytes(length, "message content")?
            },
        }),
        b'U' | b'D' | b'T' | b'Y' | b'O' => {
            reader.skip_rest();
            Message::Skipped(kind)
        }
        byte => return Err(Malformed::UnknownKind { of: "message", byte }),
    };
    reader.end()?;
    Ok(message)
}

fn relation<'a>(reader: &mut Reader<'a>) -> Result<Relation<'a>, Malformed> {
    let id = reader.u32("relation id")?;
    let schema = reader.text("schema name")?;
    let table = reader.text("table name")?;
    let _replica_identity = reader.u8("replica identity")?;
    let count = reader.count("column count")?;
    // A column takes 10 bytes at least, so a count that is not true reserves nothing that is not there.
    let mut columns = Vec::with_capacity(count.min(reader.remaining() / 10));
    for _ in 0..count {
        let _flags = reader.u8("column flags")?;
        let name = reader.text("column name")?;
        let type_oid = reader.u32("column type")?;
        let _modifier = reader.u32("column type modifier")?;
        columns.push(Column { name, type_oid });
    }
    Ok(Relation { id, schema, table, columns })
}
