//! Which Kafka principal may do what: what the contracts and `readers.toml` come to, and nothing beyond.
//!
//! There is one principal for the relay, which alone writes events, one for each context (a process that runs several
//! contexts has one for all of them), and one for each other reader.

use std::collections::{BTreeMap, BTreeSet};

use crate::{COMMAND_TOPICS, contracts, readers::Reader};

/// The relay's name.
pub const CAPTURE: &str = "cdc-capture";

/// What is permitted to one principal: one call of `kafka-acls.sh`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acl {
    /// Who, by the name of a context, of a reader, or of the relay.
    pub who: String,
    /// On what.
    pub resource: Resource,
    /// What, as Kafka names it.
    pub operations: &'static [&'static str],
}

/// On what something is permitted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Topics, by their names on the cluster.
    Topics(BTreeSet<String>),
    /// Consumer groups whose names begin so.
    Groups(String),
    /// Transactional ids that begin so.
    TransactionalIds(String),
    /// The cluster itself.
    Cluster,
}

/// What an installation has beside the contracts.
#[derive(Clone, Debug, Default)]
pub struct Installation {
    /// Put before every topic's and every group's name.
    pub topic_prefix: String,
    /// The relay's topics that hold no events: for dead letters, and for the positions of its transactions.
    pub relay_topics: Vec<String>,
}

/// All that is permitted.
pub fn acls(readers: &BTreeMap<String, Reader>, installation: &Installation) -> Vec<Acl> {
    let prefix = &installation.topic_prefix;
    let topics =
        |names: &mut dyn Iterator<Item = &str>| Resource::Topics(names.map(|name| format!("{prefix}{name}")).collect());
    let acl = |who: &str, resource, operations| Acl { who: who.to_owned(), resource, operations };

    let written = contracts().map(|contract| contract.topic.name);
    let of_relay = installation.relay_topics.iter().map(String::as_str);
    let mut acls = vec![
        // It reads back what it has written, to leave out after a restart what is there.
        acl(CAPTURE, topics(&mut written.chain(of_relay)), &["Write", "Read", "DescribeConfigs"]),
        acl(CAPTURE, Resource::TransactionalIds("cdc-capture-".to_owned()), &["Write"]),
        acl(CAPTURE, Resource::Cluster, &["DescribeConfigs"]),
    ];
    for context in contracts().map(|contract| contract.context()).collect::<BTreeSet<_>>() {
        let own = contracts().filter(|contract| contract.context() == context).map(|contract| contract.topic.name);
        let commands = COMMAND_TOPICS.iter().filter(|(owner, _)| *owner == context).map(|(_, topic)| topic.name);
        // It creates them where they are missing; what is written there goes by way of its outbox.
        acls.push(acl(context, topics(&mut own.chain(commands)), &["Create", "Describe"]));
    }
    for (name, reader) in readers {
        acls.push(acl(name, topics(&mut reader.reads.iter().map(String::as_str)), &["Read"]));
        acls.push(acl(name, Resource::Groups(format!("{prefix}{}", reader.groups)), &["Read"]));
    }
    acls
}

impl Acl {
    /// The arguments with which `kafka-acls.sh` adds it for a principal such as `User:payments`.
    pub fn arguments(&self, principal: &str) -> Vec<String> {
        let mut arguments = vec!["--add", "--force", "--allow-principal", principal];
        arguments.extend(self.operations.iter().flat_map(|operation| ["--operation", operation]));
        match &self.resource {
            Resource::Topics(names) => arguments.extend(names.iter().flat_map(|name| ["--topic", name])),
            Resource::Groups(prefix) => arguments.extend(["--group", prefix, "--resource-pattern-type", "prefixed"]),
            Resource::TransactionalIds(prefix) => {
                arguments.extend(["--transactional-id", prefix, "--resource-pattern-type", "prefixed"]);
            }
            Resource::Cluster => arguments.push("--cluster"),
        }
        arguments.into_iter().map(str::to_owned).collect()
    }
}
