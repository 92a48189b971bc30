//! The decoder against an encoder of its own, and against anything.

use contracts::envelope::Lsn;
use proptest::{collection::vec, prelude::*};

use super::{Malformed, Message, Value, decode};

/// A message that owns what it holds: what the encoder takes and the decoder must give back.
#[derive(Clone, Debug)]
enum Sent {
    Begin(u64, i64, u32),
    Commit(u64, u64, i64),
    Relation(u32, String, String, Vec<(String, u32)>),
    Insert(u32, Vec<Cell>),
    Logical(bool, u64, String, Vec<u8>),
    Skipped(u8, Vec<u8>),
}

#[derive(Clone, Debug)]
enum Cell {
    Null,
    Unchanged,
    Text(Vec<u8>),
    Binary(Vec<u8>),
}

fn encode(message: &Sent) -> Vec<u8> {
    let mut out = Vec::new();
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend(text.as_bytes());
        out.push(0);
    };
    match message {
        Sent::Begin(commit, time, xid) => {
            out.push(b'B');
            out.extend(commit.to_be_bytes());
            out.extend(time.to_be_bytes());
            out.extend(xid.to_be_bytes());
        }
        Sent::Commit(commit, end, time) => {
            out.extend([b'C', 0]);
            out.extend(commit.to_be_bytes());
            out.extend(end.to_be_bytes());
            out.extend(time.to_be_bytes());
        }
        Sent::Relation(id, schema, table, columns) => {
            out.push(b'R');
            out.extend(id.to_be_bytes());
            text(&mut out, schema);
            text(&mut out, table);
            out.push(b'd');
            out.extend(i16::try_from(columns.len()).unwrap().to_be_bytes());
            for (name, oid) in columns {
                out.push(0);
                text(&mut out, name);
                out.extend(oid.to_be_bytes());
                out.extend((-1_i32).to_be_bytes());
            }
        }
        Sent::Insert(relation, cells) => {
            out.push(b'I');
            out.extend(relation.to_be_bytes());
            out.push(b'N');
            out.extend(i16::try_from(cells.len()).unwrap().to_be_bytes());
            for cell in cells {
                let (kind, bytes) = match cell {
                    Cell::Null => (b'n', None),
                    Cell::Unchanged => (b'u', None),
                    Cell::Text(bytes) => (b't', Some(bytes)),
                    Cell::Binary(bytes) => (b'b', Some(bytes)),
                };
                out.push(kind);
                if let Some(bytes) = bytes {
                    out.extend(i32::try_from(bytes.len()).unwrap().to_be_bytes());
                    out.extend(bytes);
                }
            }
        }
        Sent::Logical(transactional, lsn, prefix, content) => {
            out.extend([b'M', u8::from(*transactional)]);
            out.extend(lsn.to_be_bytes());
            text(&mut out, prefix);
            out.extend(i32::try_from(content.len()).unwrap().to_be_bytes());
            out.extend(content);
        }
        Sent::Skipped(kind, rest) => {
            out.push(*kind);
            out.extend(rest);
        }
    }
    out
}

fn any_message() -> impl Strategy<Value = Sent> {
    let cell = prop_oneof![
        Just(Cell::Null),
        Just(Cell::Unchanged),
        vec(any::<u8>(), 0..40).prop_map(Cell::Text),
        vec(any::<u8>(), 0..40).prop_map(Cell::Binary),
    ];
    let name = "[a-zé_]{0,12}";
    prop_oneof![
        any::<(u64, i64, u32)>().prop_map(|(commit, time, xid)| Sent::Begin(commit, time, xid)),
        any::<(u64, u64, i64)>().prop_map(|(commit, end, time)| Sent::Commit(commit, end, time)),
        (any::<u32>(), name, name, vec((name, any::<u32>()), 0..12))
            .prop_map(|(id, schema, table, columns)| Sent::Relation(id, schema, table, columns)),
        (any::<u32>(), vec(cell, 0..12)).prop_map(|(relation, cells)| Sent::Insert(relation, cells)),
        (any::<(bool, u64)>(), name, vec(any::<u8>(), 0..40))
            .prop_map(|((transactional, lsn), prefix, content)| Sent::Logical(transactional, lsn, prefix, content)),
        (prop::sample::select(b"UDTYO".to_vec()), vec(any::<u8>(), 0..40))
            .prop_map(|(kind, rest)| Sent::Skipped(kind, rest)),
    ]
}

fn same(sent: &Sent, received: &Message<'_>) -> bool {
    match (sent, received) {
        (Sent::Begin(a, b, c), Message::Begin { commit, committed_at, xid }) => {
            (Lsn(*a), b, c) == (*commit, committed_at, xid)
        }
        (Sent::Commit(a, b, c), Message::Commit { commit, end, committed_at }) => {
            (Lsn(*a), Lsn(*b), c) == (*commit, *end, committed_at)
        }
        (Sent::Relation(id, schema, table, columns), Message::Relation(relation)) => {
            let received = relation.columns.iter().map(|column| (column.name.to_owned(), column.type_oid));
            (*id, schema.as_str(), table.as_str()) == (relation.id, relation.schema, relation.table)
                && received.eq(columns.iter().cloned())
        }
        (Sent::Insert(id, cells), Message::Insert(insert)) => {
            let cells = cells.iter().map(|cell| match cell {
                Cell::Null => Value::Null,
                Cell::Unchanged => Value::Unchanged,
                Cell::Text(bytes) => Value::Text(bytes),
                Cell::Binary(bytes) => Value::Binary(bytes),
            });
            *id == insert.relation && insert.row.len() == cells.len() && cells.eq(insert.row.values())
        }
        (Sent::Logical(transactional, lsn, prefix, content), Message::Logical(message)) => {
            (*transactional, Lsn(*lsn), prefix.as_bytes(), &content[..])
                == (message.transactional, message.lsn, message.prefix, message.content)
        }
        (Sent::Skipped(kind, _), Message::Skipped(received)) => kind == received,
        _ => false,
    }
}

proptest! {
    #[test]
    fn gives_back_what_was_encoded(message in any_message()) {
        let bytes = encode(&message);
        let decoded = decode(&bytes).unwrap();
        prop_assert!(same(&message, &decoded), "{decoded:?}");
    }

    #[test]
    fn refuses_every_truncation(message in any_message(), cut in any::<prop::sample::Index>()) {
        let bytes = encode(&message);
        let cut = cut.index(bytes.len());
        let whole_is_optional = matches!(message, Sent::Skipped(..)) && cut > 0;
        prop_assert_eq!(decode(&bytes[..cut]).is_ok(), whole_is_optional);
    }

    #[test]
    fn refuses_trailing_bytes(message in any_message(), more in vec(any::<u8>(), 1..8)) {
        prop_assume!(!matches!(message, Sent::Skipped(..)));
        let mut bytes = encode(&message);
        bytes.extend(&more);
        prop_assert_eq!(decode(&bytes), Err(Malformed::Trailing(more.len())));
    }

    #[test]
    fn never_panics_on_any_bytes(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn never_panics_on_a_damaged_message(
        message in any_message(), at in any::<prop::sample::Index>(), byte: u8
    ) {
        let mut bytes = encode(&message);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(Message::Insert(insert)) = decode(&bytes) {
            prop_assert_eq!(insert.row.values().count(), insert.row.len());
        }
    }
}

#[test]
fn a_count_that_is_not_true_reserves_nothing() {
    let mut bytes = encode(&Sent::Relation(1, "s".into(), "t".into(), vec![]));
    let count = bytes.len() - 2;
    bytes[count..].copy_from_slice(&i16::MAX.to_be_bytes());
    assert!(matches!(decode(&bytes), Err(Malformed::Truncated { .. })));
    bytes[count..].copy_from_slice(&(-1_i16).to_be_bytes());
    assert_eq!(decode(&bytes), Err(Malformed::Negative("column count")));
}
