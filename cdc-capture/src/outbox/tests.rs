//! Rows to events, exactly.

use bytes::{BufMut, BytesMut};
use contracts::envelope::{Envelope, Lsn};
use proptest::prelude::*;

use super::{Reason, Router, Table, TopicTemplate, Transaction, Unpublishable};
use crate::pgoutput::{Column, Message, Relation, decode};

const COLUMNS: [(&str, u32); 8] = [
    ("id", 2950),
    ("aggregatetype", 25),
    ("aggregateid", 25),
    ("type", 25),
    ("payload", 114),
    ("aggregateversion", 20),
    ("headers", 114),
    ("createdat", 1184),
];
const ID: &str = "0199aaaa-0000-7000-8000-000000000001";

type Values<'a> = [Option<&'a str>; 8];
const ROW: Values<'_> = [
    Some(ID),
    Some("shop.order.v1"),
    Some("order-1"),
    Some("shop.OrderPlaced.v1"),
    Some(r#"{"total":3}"#),
    Some("7"),
    Some(r#"{"ce_source":"/shop","traceparent":"00-a-b-01","note":"h\u00e9"}"#),
    Some("2026-11-21 10:02:40.5+00"),
];

fn table(columns: &[(&str, u32)]) -> Table {
    let columns = columns.iter().map(|(name, type_oid)| Column { name, type_oid: *type_oid }).collect();
    Table::new(&Relation { id: 1, schema: "shop", table: "outbox", columns })
}

fn insert(values: &[Option<&str>]) -> Vec<u8> {
    let mut out = BytesMut::from(&b"I\0\0\0\x01N"[..]);
    out.put_i16(i16::try_from(values.len()).unwrap());
    for value in values {
        match value {
            None => out.put_u8(b'n'),
            Some(text) => {
                out.put_u8(b't');
                out.put_i32(i32::try_from(text.len()).unwrap());
                out.put_slice(text.as_bytes());
            }
        }
    }
    out.to_vec()
}

/// Topic, key, payload, headers.
type Routed = (String, String, Option<Vec<u8>>, Vec<(String, String)>);

fn route_in(table: &Table, values: &[Option<&str>]) -> Result<Routed, Unpublishable> {
    let mut router = Router::new(TopicTemplate::default(), "test.".to_owned(), "/orders".to_owned());
    let mut transaction = Transaction::default();
    transaction.restart(42, 1, Lsn(0x16_0000_00FF), 0);
    let bytes = insert(values);
    let Message::Insert(insert) = decode(&bytes).unwrap() else { panic!("an insert") };
    let event = router.route(table, &insert.row, &mut transaction, 3).map_err(|row| *row)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let headers = event.headers.iter().map(|(name, value)| (name.to_owned(), text(value))).collect();
    Ok((event.topic.to_owned(), event.key.to_owned(), event.payload.map(<[u8]>::to_vec), headers))
}

fn route(change: impl FnOnce(&mut Values<'_>)) -> Result<Routed, Unpublishable> {
    let mut values = ROW;
    change(&mut values);
    route_in(&table(&COLUMNS), &values)
}

fn refusal(change: impl FnOnce(&mut Values<'_>)) -> String {
    route(change).unwrap_err().to_string()
}

#[test]
fn a_row_becomes_exactly_this_event() {
    let (topic, key, payload, headers) = route(|_| {}).unwrap();
    assert_eq!((topic.as_str(), key.as_str()), ("test.shop.order.v1", "order-1"));
    assert_eq!(payload.unwrap(), br#"{"total":3}"#);
    let expected = [
        ("ce_specversion", "1.0"),
        ("content-type", "application/json"),
        ("ce_id", ID),
        ("ce_type", "shop.OrderPlaced.v1"),
        ("ce_subject", "order-1"),
        ("ce_sequence", "00000000000000000007"),
        ("ce_time", "2026-11-21T10:02:40.500000Z"),
        ("ce_source", "/shop"),
        ("note", "hé"),
        ("traceparent", "00-a-b-01"),
        ("position", "42:1:16/FF:3"),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn the_contract_s_envelope_reads_it() {
    let (_, _, _, headers) = route(|_| {}).unwrap();
    let read = Envelope::from_headers(headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_bytes()))));
    let read = read.unwrap();
    assert_eq!((read.sequence.unwrap().get(), read.position.unwrap().ordinal), (7, 3));
}

#[test]
fn debezium_s_five_columns_are_enough() {
    let (_, _, payload, headers) = route_in(&table(&COLUMNS[..5]), &ROW[..5]).unwrap();
    assert!(payload.is_some());
    let header = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    assert_eq!(header("ce_source"), Some("/orders"));
    assert_eq!(header("ce_time"), Some("2000-01-01T00:00:00.000000Z"), "the commit's");
    assert_eq!(header("ce_sequence"), None);
}

#[test]
fn a_null_payload_is_a_tombstone_and_an_empty_one_is_not() {
    assert_eq!(route(|row| row[4] = None).unwrap().2, None);
    assert_eq!(route(|row| row[4] = Some("")).unwrap().2, Some(Vec::new()));
}

#[test]
fn an_unusable_row_is_named_with_its_reason() {
    let named = format!("row {ID} of shop.outbox: ");
    for (refusal, reason) in [
        (refusal(|row| row[2] = None), "column aggregateid is empty"),
        (refusal(|row| row[3] = Some("")), "column type is empty"),
        (refusal(|row| row[5] = Some("0")), "column aggregateversion: not a version"),
        (refusal(|row| row[7] = Some("infinity")), "column createdat: \"infinity\" is not a time"),
        (refusal(|row| row[1] = Some("a/b")), "\"test.a/b\" is not a topic's name"),
        (refusal(|row| row[6] = Some("[]")), "column headers: expected an object of texts"),
        (refusal(|row| row[6] = Some(r#"{"a":1}"#)), "column headers: \"a\" is not a text"),
        (refusal(|row| row[6] = Some(r#"{"ce_id":"x"}"#)), "column headers: \"ce_id\" is for the relay to set"),
        (refusal(|row| row[6] = Some(r#"{"":"x"}"#)), "column headers: \"\" is not a header's name"),
        (refusal(|row| row[6] = Some(r#"{"a\u0000":"x"}"#)), "is not a header's name"),
        (refusal(|row| row[6] = Some(r#"{"ce_source":""}"#)), "\"ce_source\" is empty"),
    ] {
        assert!(refusal.starts_with(&named) && refusal.contains(reason), "{refusal}");
    }
    assert!(refusal(|row| row[0] = None).starts_with("row ? of shop.outbox: column id is empty"));
}

#[test]
fn headers_are_bounded_in_number_and_size() {
    let many = (0..33).map(|at| format!(r#""h{at}":"x""#)).collect::<Vec<_>>().join(",");
    assert!(refusal(|row| row[6] = Some(&format!("{{{many}}}").leak()[..])).contains("more than 32 members"));
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(4097));
    assert!(refusal(|row| row[6] = Some(&long.leak()[..])).contains("4097 bytes, more than 4096"));
}

#[test]
fn a_null_member_is_no_header_and_escapes_are_read() {
    let headers = route(|row| row[6] = Some(r#"{"a":null,"b":"x\"y"}"#)).unwrap().3;
    assert!(headers.iter().all(|(name, _)| name != "a"));
    assert!(headers.contains(&("b".to_owned(), "x\"y".to_owned())));
}

#[test]
fn a_table_that_is_no_outbox_says_all_that_is_wrong() {
    let wrong = [("id", 2950), ("aggregatetype", 16), ("aggregateid", 25), ("type", 25)];
    let refused = route_in(&table(&wrong), &ROW[..4]).unwrap_err();
    let Reason::Table(problems) = refused.reason else { panic!("{refused}") };
    assert_eq!(problems.0, ["column aggregatetype must be text or varchar", "column payload is missing"]);
}

#[test]
fn a_row_of_another_shape_is_refused() {
    let refused = route_in(&table(&COLUMNS), &ROW[..5]).unwrap_err();
    assert_eq!(refused.reason, Reason::Shape { values: 5, columns: 8 });
}

proptest! {
    #[test]
    fn never_panics_on_any_values(values in prop::array::uniform8(prop::option::of(".{0,30}"))) {
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        let _ = route_in(&table(&COLUMNS), &values);
    }

    #[test]
    fn never_panics_on_any_headers(json in r#"[{}\[\]",:a-z0-9\\u]{0,40}"#) {
        let _ = route(|row| row[6] = Some(json.leak()));
    }
}
