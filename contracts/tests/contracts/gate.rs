//! A released contract is kept. `released/{topic}.json` is the schema that readers rely on; `RELEASE_SCHEMAS=1 cargo test -p
//! contracts` takes over there what has come to the schemas since, if nothing breaks.

use std::collections::{BTreeMap, BTreeSet};

use contracts::{Contract, Topic, compatibility::breaks, contracts, readers::Reader};

use crate::files::{self, json, names, path};

const ADVICE: &str = "Readers and old documents rely on it. Make a new major version on a topic of its own, with an RFC: \
    docs/changing-a-contract.md";

fn readers() -> BTreeMap<String, Reader> {
    contracts::readers::readers().unwrap()
}

#[test]
fn no_released_contract_is_broken() {
    let mut broken = Vec::new();
    for contract in contracts() {
        let (name, schema) = (contract.topic.name, contract.schema());
        let file = path(&format!("released/{name}.json"));
        let found = if file.exists() { breaks(&json(&file), &schema) } else { Vec::new() };
        if found.is_empty() && std::env::var_os("RELEASE_SCHEMAS").is_some() {
            files::write(&file, &schema);
        }
        assert!(file.exists(), "{name} has not been released: RELEASE_SCHEMAS=1 cargo test -p contracts");
        broken.extend(found.iter().map(|found| format!("{name}: {found}")));
    }
    assert!(broken.is_empty(), "this breaks what is released:\n  {}\n{ADVICE}", broken.join("\n  "));
}

#[test]
fn no_released_topic_is_gone() {
    let there: BTreeSet<_> = contracts().map(|contract| format!("{}.json", contract.topic.name)).collect();
    let gone: Vec<_> = names("released").into_iter().filter(|name| !there.contains(name)).collect();
    assert!(
        gone.is_empty(),
        "released, and published no more: {gone:?}. Once nobody reads it, remove its file from contracts/released too"
    );
}

#[test]
fn nobody_reads_what_is_not_published_or_not_for_him() {
    let said = misread(&readers(), &contracts().collect::<Vec<_>>());
    assert!(said.is_empty(), "{said:#?}");
}

/// Whether a context does the commands of a topic.
fn is_own_command(context: &str, topic: &str) -> bool {
    contracts::COMMAND_TOPICS.iter().any(|(owner, it)| *owner == context && it.name == topic)
}

/// What is wrong with what readers declare, where this is published.
fn misread(readers: &BTreeMap<String, Reader>, published: &[Contract]) -> Vec<String> {
    let mut said = Vec::new();
    for (name, reader) in readers {
        for topic in &reader.reads {
            match published.iter().find(|contract| contract.topic.name == topic) {
                None if is_own_command(name, topic) => {}
                None => said.push(format!("{name} reads {topic}, which nobody publishes")),
                Some(contract) if contract.only_readers.is_some_and(|only| !only.contains(&name.as_str())) => {
                    said.push(format!("{name} may not read {topic}"));
                }
                Some(_) => {}
            }
        }
        if reader.reads.iter().collect::<BTreeSet<_>>().len() < reader.reads.len() {
            said.push(format!("{name} names a topic twice"));
        }
        let alike = readers.iter().filter(|(_, other)| other.groups.starts_with(&reader.groups)).count();
        if alike > 1 || !reader.groups.ends_with('.') {
            said.push(format!("the groups of {name}, {:?}, are not its own", reader.groups));
        }
    }
    said
}

#[test]
fn every_new_major_version_has_an_rfc_that_names_its_readers() {
    let folder = "../docs/rfc";
    let rfcs = names(folder).into_iter().filter(|name| name.ends_with(".md") && !name.starts_with("0000"));
    let rfcs: Vec<_> = rfcs.map(|name| std::fs::read_to_string(path(folder).join(name)).unwrap()).collect();
    let said: Vec<_> = contracts().filter_map(|contract| unexplained(contract.topic, &rfcs, &readers())).collect();
    assert!(said.is_empty(), "{said:#?}\nSee docs/changing-a-contract.md");
}

/// What the RFCs do not say of a topic that is a later version: that it comes, and whom that concerns.
fn unexplained(topic: Topic, rfcs: &[String], readers: &BTreeMap<String, Reader>) -> Option<String> {
    let (aggregate_type, version) = topic.aggregate_type();
    if version == 1 {
        return None;
    }
    let quoted = |text: &str| format!("`{text}`");
    let about: Vec<_> = rfcs.iter().filter(|rfc| rfc.contains(&quoted(topic.name))).collect();
    if about.is_empty() {
        return Some(format!("no RFC in docs/rfc names `{}`", topic.name));
    }
    let is_one = |name: &String| name.rsplit_once(".v").is_some_and(|(name, _)| name == aggregate_type);
    let concerned = readers.iter().filter(|(_, reader)| reader.reads.iter().any(is_one)).map(|(name, _)| name);
    let named = |name: &&String| about.iter().any(|rfc| rfc.contains(&quoted(name)));
    let missing: Vec<_> = concerned.filter(|name| !named(name)).collect();
    (!missing.is_empty()).then(|| format!("the RFC of {} does not name its readers {missing:?}", topic.name))
}

#[test]
fn a_second_version_is_refused_until_its_rfc_names_the_readers() {
    let topic = Topic { name: "hotel.direct-booking.booking.v2", ..contracts::direct_booking::BOOKING };
    let said = |rfc: &str| unexplained(topic, &[rfc.to_owned()], &readers());
    assert!(said("Something else").is_some_and(|said| said.contains("no RFC")));
    let without = "`hotel.direct-booking.booking.v2` is read by `payments`";
    assert!(said(without).is_some_and(|said| said.contains("read-service")));
    let all: Vec<_> = readers().into_keys().map(|name| format!("`{name}`")).collect();
    assert_eq!(said(&format!("{without} and {}", all.join(", "))), None);
    assert_eq!(unexplained(contracts::direct_booking::BOOKING, &[], &readers()), None);
}

#[test]
fn a_reader_of_what_is_gone_or_secret_is_refused() {
    let stranger = |topic: &str| {
        let reader = Reader { groups: "stranger.".to_owned(), reads: vec![topic.to_owned()] };
        misread(&[("stranger".to_owned(), reader)].into(), &contracts().collect::<Vec<_>>())
    };
    assert_eq!(stranger("hotel.accounts.account.v1"), Vec::<String>::new());
    assert_eq!(stranger("hotel.accounts.account.v0").len(), 1);
    assert_eq!(stranger("hotel.accounts.card-details.v1"), ["stranger may not read hotel.accounts.card-details.v1"]);
}

#[test]
fn a_version_can_be_dropped_only_when_it_has_no_reader() {
    let dropped = |topic: Topic| contracts().filter(|contract| contract.topic != topic).collect::<Vec<_>>();
    let said = |readers: &BTreeMap<String, Reader>, topic| misread(readers, &dropped(topic));
    for contract in contracts() {
        let name = contract.topic.name;
        let has_reader = readers().values().any(|reader| reader.reads.iter().any(|read| read == name));
        assert_eq!(!said(&readers(), contract.topic).is_empty(), has_reader, "{name}");
    }
    // The last one moves, and the old version may go.
    let mut moved = readers();
    let old = contracts::direct_booking::v1::ROOM_TYPE;
    for reader in moved.values_mut() {
        reader.reads.retain(|topic| topic != old.name);
    }
    assert_eq!(said(&moved, old), Vec::<String>::new());
}
