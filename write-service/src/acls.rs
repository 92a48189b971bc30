//! `write-service acls`: the cluster's ACLs as a script, for whoever may set them.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use contracts::acl::{self, Installation};
use telemetry::settings::Problems;

const PRINCIPAL: &str = "--principal";

/// `write-service acls`.
#[derive(Clone, Debug, Args)]
pub struct AclArgs {
    /// Put before every topic's name, as with the services.
    #[arg(long, env = "TOPIC_PREFIX", default_value = "")]
    topic_prefix: String,

    /// Whose principal is which: `payments=User:CN=payments`; repeat it. Contexts that run in one process have the same.
    /// `User:` and the name unless set.
    #[arg(long, value_name = "NAME=PRINCIPAL")]
    principal: Vec<String>,

    /// A topic of the relay's own, for dead letters or positions, without the prefix; repeat it.
    #[arg(long, value_name = "TOPIC")]
    relay_topic: Vec<String>,
}

impl AclArgs {
    /// A shell script of calls of `kafka-acls.sh`, each with the script's own arguments before its own.
    ///
    /// # Errors
    /// With every problem that was found.
    pub fn script(self) -> Result<String, Problems> {
        let mut problems = Problems::new();
        let readers =
            contracts::readers::readers().map_err(|error| problems.add("contracts", error)).unwrap_or_default();
        let acls =
            acl::acls(&readers, &Installation { topic_prefix: self.topic_prefix, relay_topics: self.relay_topic });
        let names: BTreeSet<_> = acls.iter().map(|acl| acl.who.as_str()).collect();
        let mut principals = BTreeMap::new();
        for setting in &self.principal {
            match setting.split_once('=') {
                Some((name, principal)) if names.contains(name) && principal.contains(':') => {
                    principals.insert(name, principal);
                }
                _ => problems
                    .add(PRINCIPAL, format!("{setting:?}: expected NAME=TYPE:PRINCIPAL, with a name of {names:?}")),
            }
        }
        let mut script =
            "# write-service acls | sh -s -- --bootstrap-server HOST:PORT --command-config FILE\nset -e\n".to_owned();
        for acl in &acls {
            let default = format!("User:{}", acl.who);
            let principal = principals.get(acl.who.as_str()).copied().unwrap_or(&default);
            let arguments: Vec<_> = acl.arguments(principal).iter().map(|argument| quoted(argument)).collect();
            script.push_str(&format!("kafka-acls.sh \"$@\" {}\n", arguments.join(" ")));
        }
        problems.finish(Some(script))
    }
}

/// An argument as the shell takes it, whatever is in it.
fn quoted(argument: &str) -> String {
    let is_plain = argument.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte));
    if is_plain { argument.to_owned() } else { format!("'{}'", argument.replace('\'', r"'\''")) }
}
