//! A document of each event that was ever published: it can be read for ever.
//!
//! `samples/{topic}/{Event}.json` is what such an event carries; `{Event}.{what-is-special}.json` is a further one. When a
//! document gets another field, a new sample shows it, and the old ones stay as they are.

use std::collections::BTreeSet;

use contracts::{Contract, contracts};
use serde_json::Value;

use crate::files::{json, names, path};

/// The samples of a topic, with their files' names.
fn samples(contract: &Contract) -> Vec<(String, Value)> {
    let folder = format!("samples/{}", contract.topic.name);
    names(&folder).into_iter().map(|name| (name.clone(), json(&path(&folder).join(name)))).collect()
}

/// `BookingConfirmed` of `hotel.direct-booking.BookingConfirmed.v1`.
fn fact(ty: &str) -> &str {
    ty.rsplit('.').nth(1).unwrap()
}

#[test]
fn every_event_has_a_sample_and_every_sample_is_an_event_s() {
    for contract in contracts() {
        let with_document = contract.events.iter().filter(|ty| !contract.tombstones.contains(ty));
        let expected: BTreeSet<_> = with_document.map(|ty| fact(ty).to_owned()).collect();
        let found = samples(&contract).into_iter().map(|(name, _)| name.split('.').next().unwrap().to_owned());
        assert_eq!(found.collect::<BTreeSet<_>>(), expected, "in contracts/samples/{}", contract.topic.name);
    }
}

#[test]
fn every_sample_satisfies_the_schema() {
    for contract in contracts() {
        // The one that is checked in, as another test sees to.
        let schema = contract.schema();
        let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        for (name, sample) in samples(&contract) {
            let problems: Vec<_> =
                validator.iter_errors(&sample).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert!(problems.is_empty(), "{}/{name}: {problems:?}", contract.topic.name);
        }
    }
}

#[test]
fn every_sample_is_read_and_nothing_in_it_is_lost() {
    for contract in contracts() {
        for (name, sample) in samples(&contract) {
            let what = format!("{}/{name}", contract.topic.name);
            let read = contract.reread(&sample).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(holds(&read, &sample), "{what}: read as {read}");
        }
    }
}

#[test]
fn every_word_that_a_document_may_hold_is_in_a_sample() {
    for contract in contracts() {
        let mut words = BTreeSet::new();
        collect_words(&contract.schema(), &mut words);
        let told: String = samples(&contract).iter().map(|(_, sample)| sample.to_string()).collect();
        let missing: Vec<_> = words.iter().filter(|word| !told.contains(&format!("\"{word}\""))).collect();
        assert!(missing.is_empty(), "no sample of {} has {missing:?}", contract.topic.name);
    }
}

/// Whether all that `less` says, `more` says too.
fn holds(more: &Value, less: &Value) -> bool {
    match (more, less) {
        (Value::Object(more), Value::Object(less)) => {
            less.iter().all(|(name, value)| more.get(name).is_some_and(|found| holds(found, value)))
        }
        (Value::Array(more), Value::Array(less)) => {
            more.len() == less.len() && more.iter().zip(less).all(|(more, less)| holds(more, less))
        }
        _ => more == less,
    }
}

/// The texts that a schema names one by one.
fn collect_words(schema: &Value, words: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            words.extend(members.get("const").and_then(Value::as_str).map(str::to_owned));
            let listed = members.get("enum").and_then(Value::as_array).into_iter().flatten();
            words.extend(listed.filter_map(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| collect_words(member, words));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_words(item, words)),
        _ => {}
    }
}
