//! Names are of one form, since others are made from them.

use std::{collections::BTreeSet, fs};

use contracts::{Cleanup, contracts, topics};

use crate::files::path;

#[test]
fn a_contract_s_names_agree() {
    let mut topics = BTreeSet::new();
    for contract in contracts() {
        let (name, context) = (contract.topic.name, contract.context());
        assert!(topics.insert(name), "{name} is there twice");
        assert_eq!(contract.source, format!("/hotel/{context}"));
        assert!(name.starts_with(&format!("hotel.{context}.")), "{name} is of {context}");
        let (_, version) = contract.topic.aggregate_type();
        assert!(version >= 1 && name.ends_with(&format!(".v{version}")), "{name}");
        assert_eq!(contract.events.iter().collect::<BTreeSet<_>>().len(), contract.events.len(), "{name}");
        for ty in contract.events {
            let fact = ty.strip_prefix(&format!("hotel.{context}."));
            let fact = fact.and_then(|fact| fact.strip_suffix(&format!(".v{version}")));
            assert!(fact.is_some_and(|fact| fact.chars().all(char::is_alphanumeric)), "{ty} on {name}");
        }
        assert!(contract.tombstones.iter().all(|ty| contract.events.contains(ty)), "{name}");
        // On a journal nothing is ever removed.
        assert!(contract.tombstones.is_empty() || contract.topic.cleanup == Cleanup::Collection, "{name}");
    }
}

/// The relay knows no contract, so it is told there how many partitions each topic has.
#[test]
fn the_compose_file_names_every_topic_s_partitions() {
    let compose = fs::read_to_string(path("../docker-compose.yml")).unwrap();
    let named: BTreeSet<&str> = compose.lines().map(|line| line.trim().trim_end_matches(',')).collect();
    for topic in topics() {
        let expected = format!("{}={}", topic.name, topic.partitions);
        assert!(named.contains(&*expected), "{expected} in TOPIC_PARTITIONS of docker-compose.yml");
    }
}
