//! The AsyncAPI document is that of the code, is one by AsyncAPI's own schema, and what it refers to is there.

use contracts::{asyncapi, contracts};
use serde_json::Value;

use crate::files::{assert_current, json, path};

fn document() -> Value {
    asyncapi::document(&contracts::readers::readers().unwrap())
}

#[test]
fn the_document_that_is_checked_in_is_current() {
    assert_current("asyncapi.json", &document());
}

#[test]
fn the_document_is_valid_asyncapi() {
    let schema = json(&path("tests/asyncapi-3.0.0.schema.json"));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problems = |document: &Value| -> Vec<String> {
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
    };
    assert_eq!(problems(&document()), Vec::<String>::new());
    // It would say so.
    let topic = "hotel.direct-booking.booking.v1";
    for (pointer, wrong) in [
        (format!("/channels/{topic}/bindings/kafka/partitions"), Value::from("eight")),
        (format!("/operations/payments.receive.{topic}/action"), Value::from("listen")),
    ] {
        let mut document = document();
        *document.pointer_mut(&pointer).unwrap() = wrong;
        assert!(!problems(&document).is_empty(), "{pointer}");
    }
}

#[test]
fn what_the_document_refers_to_is_there() {
    let document = document();
    let mut references = Vec::new();
    collect(&document, &mut references);
    for reference in references {
        match reference.strip_prefix('#') {
            Some(pointer) => assert!(document.pointer(pointer).is_some(), "{reference}"),
            None => assert!(path(&reference).exists(), "{reference}"),
        }
    }
    let described = document["channels"].as_object().unwrap().len();
    assert_eq!(described, contracts().count());
}

fn collect(value: &Value, references: &mut Vec<String>) {
    if let Some(reference) = value["$ref"].as_str() {
        references.push(reference.to_owned());
    }
    match value {
        Value::Object(members) => members.values().for_each(|value| collect(value, references)),
        Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}
