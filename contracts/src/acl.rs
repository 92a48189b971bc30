//! Which Kafka principal may do what: what the contracts and `readers.toml` come to, and nothing beyond.
//!
//! There is one principal for the relay, which alone writes events, one for each context (a process that runs several
//! contexts has the principals' names set to the same), and one for each other reader.

use std::collections::{BTreeMap, BTreeSet};

use crate::{contracts, readers::Reader};

/// The relay's name.
pub const CAPTURE: &str = "cdc-capture";

/// What is permitted on a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acl {
    /// Who, by the name of a context, of a reader, or of the relay.
    pub who: String,
    /// On what.
    pub resource: Resource,
    /// What, as Kafka names it.
    pub operations: &'static [&'static str],
}

/// What is permitted something on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// A topic, by its name on the cluster.
    Topic(String),
    /// Consumer groups whose names begin so.
    Groups(String),
    /// Transactional ids that begin so.
    TransactionalIds(String),
    /// The cluster itself.
    Cluster,
}

/// What a cluster's topics and the relay are called where that is left open.
#[derive(Clone, Debug, Default)]
pub struct Installation {
    /// Put before every topic's and every group's name.
    pub topic_prefix: String,
    /// The relay's topics that hold no events: for dead letters, and for the positions of its transactions. Named in full.
    pub relay_topics: Vec<String>,
}

/// All that is permitted.
pub fn acls(readers: &BTreeMap<String, Reader>, installation: &Installation) -> BTreeSet<Acl> {
    let prefix = &installation.topic_prefix;
    let on_topic = |name: &str| Resource::Topic(format!("{prefix}{name}"));
    let mut acls = BTreeSet::new();
    let mut permit = |who: &str, resource: Resource, operations| {
        acls.insert(Acl { who: who.to_owned(), resource, operations });
    };
    for contract in contracts() {
        // The relay reads back what it has written, to leave out after a restart what is there.
        permit(CAPTURE, on_topic(contract.topic.name), &["Write", "Read", "DescribeConfigs"]);
        permit(contract.context(), on_topic(contract.topic.name), &["Create", "Describe"]);
    }
    for topic in &installation.relay_topics {
        permit(CAPTURE, Resource::Topic(topic.clone()), &["Write", "Read", "DescribeConfigs"]);
    }
    permit(CAPTURE, Resource::TransactionalIds("cdc-capture-".to_owned()), &["Write"]);
    permit(CAPTURE, Resource::Cluster, &["DescribeConfigs"]);
    for (name, reader) in readers {
        permit(name, Resource::Groups(format!("{prefix}{}", reader.groups)), &["Read"]);
        for topic in &reader.reads {
            permit(name, on_topic(topic), &["Read"]);
        }
    }
    acls
}

impl Acl {
    /// The arguments with which `kafka-acls.sh` adds it for a principal such as `User:payments`.
    pub fn arguments(&self, principal: &str) -> Vec<String> {
        let mut arguments = vec!["--add".to_owned(), "--allow-principal".to_owned(), principal.to_owned()];
        for operation in self.operations {
            arguments.extend(["--operation".to_owned(), (*operation).to_owned()]);
        }
        let (kind, name, pattern) = match &self.resource {
            Resource::Topic(name) => ("--topic", Some(name), None),
            Resource::Groups(prefix) => ("--group", Some(prefix), Some("prefixed")),
            Resource::TransactionalIds(prefix) => ("--transactional-id", Some(prefix), Some("prefixed")),
            Resource::Cluster => ("--cluster", None, None),
        };
        arguments.push(kind.to_owned());
        arguments.extend(name.cloned());
        arguments
            .extend(pattern.into_iter().flat_map(|pattern| ["--resource-pattern-type".to_owned(), pattern.to_owned()]));
        arguments
    }
}
