//! The JSON Schemas that are checked in are those of the code.

use contracts::contracts;

use crate::files::{assert_current, names};

#[test]
fn every_topic_has_its_schema_and_it_is_current() {
    for contract in contracts() {
        let schema = contract.schema();
        jsonschema::meta::validate(&schema).unwrap();
        assert_eq!(schema["$id"], contract.topic.schema_uri());
        assert_current(&format!("schemas/{}.json", contract.topic.name), &schema);
    }
}

#[test]
fn there_is_no_schema_of_a_topic_that_is_gone() {
    let mut expected: Vec<_> = contracts().map(|contract| format!("{}.json", contract.topic.name)).collect();
    expected.sort();
    assert_eq!(names("schemas"), expected);
}
