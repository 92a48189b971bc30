//! What a server could send: a frame, and in it a message of the output plugin. Nothing panics, and what was understood
//! is the same when it is written down and read again.

#![no_main]

use bytes::Bytes;
use cdc_capture::{
    pgoutput::{Message, Value, decode},
    replication::Frame,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    read(data);
    if let Ok((Frame::Data(message), _)) = Frame::read(Bytes::copy_from_slice(data)) {
        read(&message);
    }
});

fn read(data: &[u8]) {
    let Ok(message) = decode(data) else { return };
    if let Message::Insert(insert) = &message {
        assert_eq!(insert.row.values().count(), insert.row.len());
    }
    assert_eq!(decode(&encode(&message)).as_ref(), Ok(&message));
}

/// What the decoder leaves out is written as zeros.
fn encode(message: &Message<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let text = |out: &mut Vec<u8>, text: &[u8]| {
        out.extend(text);
        out.push(0);
    };
    let count = |count: usize| i16::try_from(count).unwrap().to_be_bytes();
    let length = |length: usize| i32::try_from(length).unwrap().to_be_bytes();
    match message {
        Message::Begin { commit, committed_at, xid } => {
            out.push(b'B');
            out.extend(commit.0.to_be_bytes());
            out.extend(committed_at.to_be_bytes());
            out.extend(xid.to_be_bytes());
        }
        Message::Commit { commit, end, committed_at } => {
            out.extend([b'C', 0]);
            out.extend(commit.0.to_be_bytes());
            out.extend(end.0.to_be_bytes());
            out.extend(committed_at.to_be_bytes());
        }
        Message::Relation(relation) => {
            out.push(b'R');
            out.extend(relation.id.to_be_bytes());
            text(&mut out, relation.schema.as_bytes());
            text(&mut out, relation.table.as_bytes());
            out.push(0);
            out.extend(count(relation.columns.len()));
            for column in &relation.columns {
                out.push(0);
                text(&mut out, column.name.as_bytes());
                out.extend(column.type_oid.to_be_bytes());
                out.extend([0; 4]);
            }
        }
        Message::Insert(insert) => {
            out.push(b'I');
            out.extend(insert.relation.to_be_bytes());
            out.push(b'N');
            out.extend(count(insert.row.len()));
            for value in insert.row.values() {
                let (kind, bytes) = match value {
                    Value::Null => (b'n', None),
                    Value::Unchanged => (b'u', None),
                    Value::Text(bytes) => (b't', Some(bytes)),
                    Value::Binary(bytes) => (b'b', Some(bytes)),
                };
                out.push(kind);
                if let Some(bytes) = bytes {
                    out.extend(length(bytes.len()));
                    out.extend(bytes);
                }
            }
        }
        Message::Logical(message) => {
            out.extend([b'M', u8::from(message.transactional)]);
            out.extend(message.lsn.0.to_be_bytes());
            text(&mut out, message.prefix);
            out.extend(length(message.content.len()));
            out.extend(message.content);
        }
        Message::Skipped(kind) => out.push(*kind),
    }
    out
}
