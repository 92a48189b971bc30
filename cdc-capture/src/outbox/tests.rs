//! Rows to events, exactly.

use bytes::{BufMut, BytesMut};
use contracts::envelope::{Envelope, Lsn};
use proptest::prelude::*;

use super::{Event, ExtraHeader, Format, Part, Preset, Reason, Router, Table, Transaction, Unpublishable};
use crate::pgoutput::{Column, LogicalMessage, Message, Relation, decode};

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
    table_for(columns, &Format::default())
}

fn table_for(columns: &[(&str, u32)], format: &Format) -> Table {
    let columns = columns.iter().map(|(name, type_oid)| Column { name, type_oid: *type_oid }).collect();
    Table::new(&Relation { id: 1, schema: "shop", table: "outbox", columns }, format)
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
    route_as(Format::default(), table, values)
}

fn route_as(format: Format, table: &Table, values: &[Option<&str>]) -> Result<Routed, Unpublishable> {
    let mut router = Router::new(format, "test.".to_owned(), "/orders".to_owned());
    let bytes = insert(values);
    let Message::Insert(insert) = decode(&bytes).unwrap() else { panic!("an insert") };
    router.route(table, &insert.row, &mut transaction(), 3).map(|event| routed(&event)).map_err(|row| *row)
}

fn route_message(format: Format, content: &str, transactional: bool) -> Result<Routed, Unpublishable> {
    let format = Format { message_prefix: Some("events".to_owned()), ..format };
    let mut router = Router::new(format, "test.".to_owned(), "/orders".to_owned());
    let message =
        LogicalMessage { transactional, lsn: Lsn(0x16_0000_00AA), prefix: b"events", content: content.as_bytes() };
    assert!(router.wants(&message) && !router.wants(&LogicalMessage { prefix: b"event", ..message.clone() }));
    router.route_message(&message, &mut transaction(), 3).map(|event| routed(&event)).map_err(|row| *row)
}

fn transaction() -> Transaction {
    let mut transaction = Transaction::default();
    transaction.restart(42, 1, Lsn(0x16_0000_00FF), 0);
    transaction
}

fn routed(event: &Event<'_>) -> Routed {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let headers = event.headers.iter().map(|(name, value)| (name.to_owned(), text(value))).collect();
    (event.topic.to_owned(), event.key.to_owned(), event.payload.map(<[u8]>::to_vec), headers)
}

fn owned(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn extra(column: &str, header: &str) -> ExtraHeader {
    ExtraHeader { column: column.to_owned(), header: header.to_owned() }
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

/// A table whose columns are named otherwise, with two that are no parts.
const RENAMED: [(&str, u32); 8] = [
    ("event_id", 20),
    ("kind", 25),
    ("order_id", 20),
    ("type", 25),
    ("document", 3802),
    ("tenant", 25),
    ("cost", 1700),
    ("meta", 114),
];
const RENAMED_ROW: Values<'_> = [
    Some("17"),
    Some("order"),
    Some("4"),
    Some("Placed"),
    Some(r#"{"a": 1}"#),
    Some("acme"),
    Some("1.50"),
    Some(r#"{"note":"x"}"#),
];

fn renamed() -> Format {
    let mut format = Format::default();
    for (part, column) in [
        (Part::Id, "event_id"),
        (Part::AggregateType, "kind"),
        (Part::AggregateId, "order_id"),
        (Part::Payload, "document"),
        (Part::Headers, "meta"),
    ] {
        format.mapping.set(part, column.to_owned());
    }
    format.headers = vec![extra("tenant", "tenant"), extra("cost", "x-cost")];
    format.topic = "{tenant}.{aggregatetype}.{type}".parse().unwrap();
    format
}

#[test]
fn columns_may_be_named_otherwise_and_become_headers_and_topics() {
    let (topic, key, payload, headers) = route_as(renamed(), &table_for(&RENAMED, &renamed()), &RENAMED_ROW).unwrap();
    assert_eq!((topic.as_str(), key.as_str()), ("test.acme.order.Placed", "4"));
    assert_eq!(payload.unwrap(), br#"{"a": 1}"#);
    let expected = [
        ("ce_specversion", "1.0"),
        ("content-type", "application/json"),
        ("ce_id", "17"),
        ("ce_type", "Placed"),
        ("ce_subject", "4"),
        ("ce_time", "2000-01-01T00:00:00.000000Z"),
        ("tenant", "acme"),
        ("x-cost", "1.50"),
        ("note", "x"),
        ("ce_source", "/orders"),
        ("position", "42:1:16/FF:3"),
    ];
    assert_eq!(headers, owned(&expected));
}

#[test]
fn reasons_name_the_real_columns() {
    let table = table_for(&RENAMED, &renamed());
    let refusal = |at: usize, value: Option<&str>| {
        let mut row = RENAMED_ROW;
        row[at] = value;
        route_as(renamed(), &table, &row).unwrap_err().reason.to_string()
    };
    assert_eq!(refusal(0, None), "column event_id is empty");
    assert_eq!(refusal(2, Some("")), "column order_id is empty");
    assert_eq!(refusal(5, None), "column tenant is empty");
    assert!(refusal(7, Some("[]")).starts_with("column meta: expected an object"));
    assert_eq!(refusal(7, Some(r#"{"tenant":"x"}"#)), "column meta: \"tenant\" is a column's header already");
    assert_eq!(refusal(6, Some(&"1".repeat(4097))), "column cost: has 4097 bytes, more than 4096");
    let row = [&RENAMED_ROW[..6], &[None], &RENAMED_ROW[7..]].concat();
    let headers = route_as(renamed(), &table, &row).unwrap().3;
    assert!(headers.iter().all(|(name, _)| name != "x-cost"), "NULL is no header");
}

#[test]
fn a_table_that_lacks_what_was_named_is_no_outbox() {
    let refused = route_as(renamed(), &table_for(&COLUMNS[..5], &renamed()), &ROW[..5]).unwrap_err();
    let Reason::Table(problems) = refused.reason else { panic!("{refused}") };
    let missing = ["event_id", "kind", "order_id", "document", "meta", "tenant", "cost"];
    assert_eq!(problems.0, missing.map(|column| format!("column {column} is missing")));
}

#[test]
fn the_debezium_preset_makes_what_debezium_makes() {
    let format = Format::of(Preset::Debezium);
    let table = table_for(&COLUMNS, &format);
    let (topic, key, payload, headers) = route_as(format.clone(), &table, &ROW).unwrap();
    assert_eq!((topic.as_str(), key.as_str()), ("test.outbox.event.shop.order.v1", "order-1"));
    assert_eq!(payload.unwrap(), br#"{"total":3}"#);
    assert_eq!(headers, owned(&[("id", ID), ("position", "42:1:16/FF:3")]));

    let placed = Format { headers: vec![extra("type", "eventType")], position_header: false, ..format.clone() };
    let (_, _, _, headers) = route_as(placed.clone(), &table_for(&COLUMNS, &placed), &ROW).unwrap();
    assert_eq!(headers, owned(&[("id", ID), ("eventType", "shop.OrderPlaced.v1")]));

    // It reads the type only where it is placed.
    let without = [&COLUMNS[..3], &COLUMNS[4..5]].concat();
    let row = [ROW[0], ROW[1], ROW[2], None];
    assert_eq!(route_as(format.clone(), &table_for(&without, &format), &row).unwrap().2, None, "a tombstone");
}

const MESSAGE: &str = r#" {"id": "m-1", "aggregatetype": "shop.order.v1", "aggregateid": 12, "type": "Pl\u0061ced",
    "payload": {"total": 3,  "note": "h\u00e9"}, "aggregateversion": 7, "headers": {"ce_source": "/shop"},
    "createdat": "2026-11-21T11:02:40.5+01:00", "tenant": "acme", "none": null} "#;

#[test]
fn a_message_becomes_an_event_like_a_row() {
    let (topic, key, payload, headers) = route_message(Format::default(), MESSAGE, true).unwrap();
    assert_eq!((topic.as_str(), key.as_str()), ("test.shop.order.v1", "12"));
    assert_eq!(payload.unwrap(), br#"{"total": 3,  "note": "h\u00e9"}"#, "byte for byte");
    let expected = [
        ("ce_specversion", "1.0"),
        ("content-type", "application/json"),
        ("ce_id", "m-1"),
        ("ce_type", "Placed"),
        ("ce_subject", "12"),
        ("ce_sequence", "00000000000000000007"),
        ("ce_time", "2026-11-21T10:02:40.500000Z"),
        ("ce_source", "/shop"),
        ("position", "42:1:16/FF:3"),
    ];
    assert_eq!(headers, owned(&expected));

    let format = Format {
        headers: vec![extra("type", "eventType"), extra("none", "none"), extra("other", "other")],
        topic: "{tenant}".parse().unwrap(),
        ..Format::of(Preset::Debezium)
    };
    let (topic, _, _, headers) = route_message(format, MESSAGE, true).unwrap();
    assert_eq!(topic, "test.acme");
    assert_eq!(headers, owned(&[("id", "m-1"), ("eventType", "Placed"), ("position", "42:1:16/FF:3")]));
}

#[test]
fn an_unusable_message_is_named_with_its_reason() {
    let refusal = |content: &str| route_message(Format::default(), content, true).unwrap_err().to_string();
    let place = "row 16/AA of messages \"events\": ";
    for (content, reason) in [
        ("", "the message: expected a JSON object"),
        ("[1]", "the message: expected a JSON object"),
        (r#"{"id": "m-1""#, "the message: expected a JSON object"),
        ("\u{0}", "the message: expected a JSON object"),
        (r#"{"aggregatetype": "a"}"#, "the message: member id is missing"),
        (&MESSAGE.replace("payload", "paylod"), "the message: member payload is missing"),
        (&MESSAGE.replace(r#""m-1""#, "[]"), "column id: is neither a text nor a number"),
        (&MESSAGE.replace("2026-11-21T", "2026-11-21 at "), "is not a time as in RFC 3339"),
        (&MESSAGE.replace(r#""m-1""#, "null"), "column id is empty"),
    ] {
        let refusal = refusal(content);
        assert!(refusal.starts_with(place) && refusal.contains(reason), "{refusal}");
    }
    let known = refusal(&MESSAGE.replace("12", "null"));
    assert_eq!(known, "row m-1 of messages \"events\": column aggregateid is empty");
    let refused = route_message(Format::default(), MESSAGE, false).unwrap_err();
    assert_eq!((refused.id.as_str(), refused.reason), ("16/AA", Reason::NotTransactional));
}

#[test]
fn a_message_with_a_null_payload_is_a_tombstone() {
    let content =
        r#"{"id": "1", "aggregatetype": "a", "aggregateid": "b", "type": "c", "payload": null, "headers": null}"#;
    assert_eq!(route_message(Format::default(), content, true).unwrap().2, None);
}

proptest! {
    #[test]
    fn never_panics_on_any_message(content in ".{0,60}", part in 0..8_usize, value in r#"[{}\[\]",:a-z0-9\\]{0,20}"#) {
        let _ = route_message(renamed(), &content, true);
        let names = ["id", "aggregatetype", "aggregateid", "type", "payload", "aggregateversion", "headers", "createdat"];
        let _ = route_message(Format::default(), &MESSAGE.replacen(&format!("{:?}: ", names[part]), &format!("{:?}: {value}", names[part]), 1), true);
    }

    #[test]
    fn a_message_and_a_row_of_the_same_values_are_the_same_event(
        id in "[a-z0-9]{1,12}", kind in "[a-z.]{3,12}", key in "\\PC{1,12}", ty in "\\PC{1,12}",
        n in any::<i64>(), version in 1..i64::MAX, value in "\\PC{0,12}",
    ) {
        let payload = serde_json::json!({ "n": n, "text": value }).to_string();
        let headers = serde_json::json!({ "h": value }).to_string();
        let content = format!(
            r#"{{"id":{},"aggregatetype":{},"aggregateid":{},"type":{},"payload":{payload},"aggregateversion":{version},"headers":{headers}}}"#,
            serde_json::json!(id), serde_json::json!(kind), serde_json::json!(key), serde_json::json!(ty),
        );
        let version = version.to_string();
        let row = [&id, &kind, &key, &ty, &payload, &version, &headers].map(|value| Some(value.as_str()));
        prop_assert_eq!(
            route_message(Format::default(), &content, true).unwrap(),
            route_in(&table(&COLUMNS[..7]), &row).unwrap()
        );
    }


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
