//! What may follow a released schema, rule by rule; and that what may is read both ways.

use std::collections::BTreeMap;

use contracts::compatibility::breaks;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A schema of a document with an id, a status, a list, a payer of two kinds, and something optional.
fn released() -> Value {
    json!({
        "$defs": {
            "Id": {"type": "string", "pattern": "^[a-z]+$"},
            "Payer": {"oneOf": [
                {"type": "object", "required": ["kind", "account"],
                 "properties": {"kind": {"const": "ACCOUNT", "type": "string"}, "account": {"$ref": "#/$defs/Id"}}},
                {"type": "object", "required": ["kind", "guest"],
                 "properties": {"kind": {"const": "GUEST", "type": "string"}, "guest": {"$ref": "#/$defs/Id"}}},
            ]},
            "Status": {"oneOf": [{"const": "OPEN", "type": "string"}, {"const": "CLOSED", "type": "string"}]},
        },
        "type": "object",
        "description": "A thing.",
        "required": ["id", "status", "rooms", "payer"],
        "properties": {
            "id": {"$ref": "#/$defs/Id", "description": "Its id."},
            "status": {"$ref": "#/$defs/Status"},
            "rooms": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 9}},
            "payer": {"$ref": "#/$defs/Payer"},
            "colour": {"enum": ["RED", "BLUE"], "x-open": true},
            "note": {"type": ["string", "null"]},
        },
        "x-topic": {"name": "a.b.v1", "partitions": 8, "cleanup": "journal", "events": ["a.Made.v1", "a.Ended.v1"],
                    "tombstones": []},
    })
}

/// What is said of the schema with the value at `pointer` replaced, or added there.
fn said(pointer: &str, value: Value) -> Vec<String> {
    let mut changed = released();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match changed.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.insert(name.to_owned(), value)),
        Value::Array(items) if name == "-" => items.push(value),
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        other => panic!("nothing can be put into {other}"),
    }
    breaks(&released(), &changed).iter().map(ToString::to_string).collect()
}

/// The same, without it.
fn said_without(pointer: &str) -> Vec<String> {
    let mut changed = released();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match changed.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.remove(name).unwrap()),
        Value::Array(items) => drop(items.remove(name.parse().unwrap())),
        other => panic!("nothing can be taken out of {other}"),
    }
    breaks(&released(), &changed).iter().map(ToString::to_string).collect()
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn a_field_may_come_when_it_is_optional() {
    assert_eq!(said("/properties/new", json!({"type": "string"})), nothing());
    let payer = "/$defs/Payer/oneOf/1/properties/new";
    assert_eq!(said(payer, json!({"type": "string"})), nothing());
}

#[test]
fn a_new_field_that_is_required_breaks() {
    let mut changed = released();
    changed["properties"]["new"] = json!({"type": "string"});
    changed["required"] = json!(["id", "status", "rooms", "payer", "new"]);
    let said: Vec<_> = breaks(&released(), &changed).iter().map(ToString::to_string).collect();
    assert_eq!(said, ["new: is new and required: documents of before lack it. Make it optional"]);
}

#[test]
fn a_field_that_is_gone_breaks_be_it_required_or_not() {
    assert_eq!(said_without("/properties/note"), ["note: is gone: its readers would miss it"]);
    assert_eq!(said_without("/properties/id"), ["id: is gone: its readers would miss it"]);
    assert_eq!(
        said_without("/$defs/Payer/oneOf/1/properties/guest"),
        ["payer.guest: is gone: its readers would miss it"]
    );
}

#[test]
fn a_field_stays_required_or_optional() {
    assert_eq!(said_without("/required/0"), ["id: is not always there any more: readers of before rely on it"]);
    assert_eq!(said("/required/-", json!("note")), ["note: is required now: documents of before may lack it"]);
}

#[test]
fn a_type_stays_what_it_is() {
    let rooms = "/properties/rooms/items/type";
    assert_eq!(said(rooms, json!("string")), ["rooms[]: its type was integer, is string"]);
    let wider = "rooms[]: its type was integer, is integer or null: wider, readers of before may not take it";
    assert_eq!(said(rooms, json!(["integer", "null"])), [wider]);
    let narrower = "note: its type was null or string, is string: narrower, documents of before may be otherwise";
    assert_eq!(said("/properties/note/type", json!("string")), [narrower]);
    assert_eq!(said("/properties/rooms/type", json!("object")), ["rooms: its type was array, is object"]);
}

#[test]
fn a_value_becomes_neither_narrower_nor_wider() {
    let (narrower, wider) =
        ("narrower, documents of before may lie outside", "wider, readers of before may not take it");
    let items = "/properties/rooms/items";
    let at = |keyword: &str| format!("{items}/{keyword}");
    assert_eq!(said(&at("minimum"), json!(2)), [format!("rooms[]: `minimum` was 1, is 2: {narrower}")]);
    assert_eq!(said(&at("minimum"), json!(0)), [format!("rooms[]: `minimum` was 1, is 0: {wider}")]);
    assert_eq!(said(&at("maximum"), json!(10)), [format!("rooms[]: `maximum` was 9, is 10: {wider}")]);
    assert_eq!(said(&at("maximum"), json!(8)), [format!("rooms[]: `maximum` was 9, is 8: {narrower}")]);
    assert_eq!(said_without(&at("maximum")), [format!("rooms[]: `maximum` was 9, is nothing: {wider}")]);
    assert_eq!(
        said("/properties/note/maxLength", json!(9)),
        [format!("note: `maxLength` was nothing, is 9: {narrower}")]
    );
    assert_eq!(
        said("/$defs/Id/pattern", json!("^[a-z0-9]+$"))[0],
        "id: `pattern` was \"^[a-z]+$\", is \"^[a-z0-9]+$\""
    );
    assert_eq!(
        said("/additionalProperties", json!(false)),
        ["the document: `additionalProperties` was nothing, is false"]
    );
}

#[test]
fn a_keyword_that_is_not_understood_stays() {
    assert_eq!(said("/properties/note/unheardOf", json!(1)), ["note: `unheardOf` was nothing, is 1"]);
}

#[test]
fn a_word_neither_comes_nor_goes() {
    let status = "/$defs/Status/oneOf";
    assert_eq!(
        said(&format!("{status}/-"), json!({"const": "HIDDEN", "type": "string"})),
        ["status: \"HIDDEN\" is new: readers of before do not know it"]
    );
    assert_eq!(said_without(&format!("{status}/1")), ["status: \"CLOSED\" is gone: documents of before may hold it"]);
}

#[test]
fn a_word_comes_where_readers_were_told_to_expect_others() {
    assert_eq!(said("/properties/colour/enum/-", json!("GREEN")), nothing());
    assert_eq!(
        said("/properties/colour/enum", json!(["RED"])),
        ["colour: \"BLUE\" is gone: documents of before may hold it"]
    );
    // Nobody was told before.
    assert_eq!(said("/$defs/Status/x-open", json!(true)), ["status: `x-open` was nothing, is true"]);
    assert_eq!(said_without("/properties/colour/x-open"), ["colour: `x-open` was true, is nothing"]);
}

#[test]
fn words_may_be_written_in_another_way() {
    assert_eq!(said("/$defs/Status", json!({"type": "string", "enum": ["CLOSED", "OPEN"]})), nothing());
}

#[test]
fn a_variant_neither_comes_nor_goes_and_is_compared() {
    let variants = "/$defs/Payer/oneOf";
    let site = json!({"type": "object", "properties": {"kind": {"const": "SITE", "type": "string"}}});
    assert_eq!(said(&format!("{variants}/-"), site), ["payer: kind \"SITE\" is new: readers of before do not know it"]);
    assert_eq!(
        said_without(&format!("{variants}/0")),
        ["payer: kind \"ACCOUNT\" is gone: documents of before may hold it"]
    );
    assert_eq!(
        said(&format!("{variants}/1/properties/guest"), json!({"type": "integer"}))[0],
        "payer.guest: its type was string, is integer"
    );
}

#[test]
fn a_choice_stays_one() {
    let free = "status: is not one of some values only any more: readers of before may not take others";
    assert_eq!(said("/properties/status", json!({})), [free]);
    let bound = "note: is one of some values only: narrower, documents of before may be others";
    assert_eq!(said("/properties/note/enum", json!(["A"])), [bound]);
}

#[test]
fn words_for_people_may_change() {
    for pointer in ["/description", "/title", "/properties/id/description", "/$id"] {
        assert_eq!(said(pointer, json!("In other words.")), nothing());
    }
    let inlined = json!({"type": "string", "pattern": "^[a-z]+$"});
    assert_eq!(said("/properties/id", inlined), nothing());
}

#[test]
fn a_topic_keeps_its_partitions_its_events_and_its_documents() {
    assert_eq!(said("/x-topic/partitions", json!(9)), ["the document: its topic's partitions was 8, is 9"]);
    assert_eq!(said("/x-topic/cleanup", json!("collection")).len(), 1);
    assert_eq!(said("/x-topic/events/-", json!("a.Changed.v1")), nothing());
    assert_eq!(
        said_without("/x-topic/events/0"),
        ["the document: the event a.Made.v1 is gone: what it triggered would not happen any more"]
    );
    assert_eq!(
        said("/x-topic/tombstones/-", json!("a.Ended.v1")),
        ["the document: the event a.Ended.v1 is a tombstone now: readers of before expect a document"]
    );
}

#[test]
fn a_type_that_holds_itself_comes_to_an_end() {
    let mut schema = released();
    schema["$defs"]["Tree"] = json!({"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}}});
    schema["properties"]["tree"] = json!({"$ref": "#/$defs/Tree"});
    let mut other = schema.clone();
    other["$defs"]["Tree"]["properties"]["left"] = json!({"type": "string"});
    assert!(breaks(&schema, &schema).is_empty());
    assert!(!breaks(&schema, &other).is_empty());
}

/// What a field is, in a schema and in a document.
#[derive(Clone, Debug)]
struct Field {
    required: bool,
    schema: Value,
    /// A value that the schema takes, at the edge of what it takes.
    value: Value,
}

type Fields = BTreeMap<&'static str, Field>;

fn a_field() -> impl Strategy<Value = Field> {
    let number = (0..3i64, 5..8i64, any::<bool>()).prop_map(|(minimum, maximum, low)| {
        let value = if low { minimum } else { maximum };
        (json!({"type": "integer", "minimum": minimum, "maximum": maximum}), json!(value))
    });
    let word = prop::sample::subsequence(vec!["A", "B", "C"], 1..=3)
        .prop_flat_map(|words| (Just(words.clone()), prop::sample::select(words)))
        .prop_map(|(words, word)| (json!({"enum": words}), json!(word)));
    let text = any::<bool>().prop_map(|null| match null {
        true => (json!({"type": ["string", "null"]}), Value::Null),
        false => (json!({"type": "string"}), json!("text")),
    });
    (any::<bool>(), prop_oneof![number, word, text]).prop_map(|(required, (schema, value))| Field {
        required,
        schema,
        value,
    })
}

/// Fields as they were and as they are: most stay.
fn two_versions() -> impl Strategy<Value = (Fields, Fields)> {
    let field = (a_field(), a_field(), 0..12u8, any::<bool>());
    prop::collection::vec(field, 3).prop_map(|fields| {
        let (mut old, mut new) = (Fields::new(), Fields::new());
        for (name, (before, after, fate, optional)) in ["a", "b", "c"].into_iter().zip(fields) {
            if fate != 0 {
                old.insert(name, before.clone());
            }
            match fate {
                0 => drop(new.insert(name, Field { required: !optional, ..after })),
                1 => {}
                2 => drop(new.insert(name, after)),
                3 => drop(new.insert(name, Field { required: !before.required, ..before })),
                _ => drop(new.insert(name, before)),
            }
        }
        (old, new)
    })
}

fn schema(fields: &Fields) -> Value {
    let required: Vec<_> = fields.iter().filter(|(_, field)| field.required).map(|(name, _)| name).collect();
    let properties: BTreeMap<_, _> = fields.iter().map(|(name, field)| (name, &field.schema)).collect();
    json!({"type": "object", "required": required, "properties": properties})
}

/// The document with all fields, and that with the required ones only.
fn documents(fields: &Fields) -> [Value; 2] {
    let with = |wanted: &dyn Fn(&Field) -> bool| {
        let members = fields.iter().filter(|(_, field)| wanted(field));
        members.map(|(name, field)| ((*name).to_owned(), field.value.clone())).collect::<serde_json::Map<_, _>>()
    };
    [with(&|_| true).into(), with(&|field| field.required).into()]
}

proptest! {
    #[test]
    fn what_does_not_break_is_read_both_ways((old, new) in two_versions()) {
        let (before, after) = (schema(&old), schema(&new));
        let is_read = documents(&old).iter().all(|document| jsonschema::is_valid(&after, document))
            && documents(&new).iter().all(|document| jsonschema::is_valid(&before, document));
        prop_assert!(is_read || !breaks(&before, &after).is_empty());
    }
}
