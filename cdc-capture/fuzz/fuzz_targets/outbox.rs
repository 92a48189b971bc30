//! What a writer could put into the outbox: a row's `headers`, and the body of a message. It becomes an event within its
//! limits, or is refused; nothing panics.

#![no_main]

use cdc_capture::{
    outbox::{Format, Router, Transaction},
    pgoutput::{Message, decode},
};
use libfuzzer_sys::fuzz_target;

/// As many as a row may bring, and those that the relay sets itself.
const MOST: usize = 32 + 9;
const LONGEST: usize = 4096;
const PREFIX: &str = "outbox";

fuzz_target!(|data: &[u8]| {
    let format = Format { message_prefix: Some(PREFIX.to_owned()), ..Format::default() };
    let mut router = Router::new(format, String::new(), "/fuzz".to_owned());
    let mut transaction = Transaction::default();

    let columns =
        [("id", 25), ("aggregatetype", 25), ("aggregateid", 25), ("type", 25), ("payload", 114), ("headers", 114)];
    let (relation, row, message) =
        (relation(&columns), row(&[b"1", b"order", b"a", b"Made", b"{}", data]), message(data));
    let (Ok(Message::Relation(relation)), Ok(Message::Insert(insert)), Ok(Message::Logical(message))) =
        (decode(&relation), decode(&row), decode(&message))
    else {
        panic!("what is written here can be read");
    };
    let table = router.table(&relation);
    if let Ok(event) = router.route(&table, &insert.row, &mut transaction, 0) {
        assert!(event.headers.len() <= MOST, "{event:?}");
        assert!(event.headers.iter().all(|(name, value)| !name.is_empty() && value.len() <= LONGEST), "{event:?}");
        assert_eq!(event.headers.iter().filter(|(name, _)| *name == "ce_id").count(), 1, "{event:?}");
    }
    if let Ok(event) = router.route_message(&message, &mut transaction, 1) {
        assert!(!event.id.is_empty() && !event.key.is_empty() && event.headers.len() <= MOST, "{event:?}");
    }
});

fn relation(columns: &[(&str, u32)]) -> Vec<u8> {
    let mut out = vec![b'R', 0, 0, 0, 1];
    out.extend(b"public\0outbox\0d");
    out.extend((columns.len() as i16).to_be_bytes());
    for (name, oid) in columns {
        out.push(0);
        out.extend(name.as_bytes());
        out.push(0);
        out.extend(oid.to_be_bytes());
        out.extend([0; 4]);
    }
    out
}

fn row(values: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![b'I', 0, 0, 0, 1, b'N'];
    out.extend((values.len() as i16).to_be_bytes());
    for value in values {
        out.push(b't');
        out.extend((value.len() as i32).to_be_bytes());
        out.extend(*value);
    }
    out
}

fn message(content: &[u8]) -> Vec<u8> {
    let mut out = vec![b'M', 1, 0, 0, 0, 0, 0, 0, 0, 1];
    out.extend(PREFIX.as_bytes());
    out.push(0);
    out.extend((content.len() as i32).to_be_bytes());
    out.extend(content);
    out
}
