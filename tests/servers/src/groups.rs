//! Who reads what, as the broker knows it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

const PATIENCE: Duration = Duration::from_secs(30);

/// The consumer groups whose names begin so, and the topics of which their members have been given partitions.
pub async fn topics_read(bootstrap: &str, prefix: &str) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let (bootstrap, prefix) = (bootstrap.to_owned(), prefix.to_owned());
    tokio::task::spawn_blocking(move || ask(&bootstrap, &prefix)).await?
}

fn ask(bootstrap: &str, prefix: &str) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let list = client.fetch_group_list(None, PATIENCE).context("cannot ask for the groups")?;
    let groups = list.groups().iter().filter(|group| group.name().starts_with(prefix));
    groups
        .map(|group| {
            let mut topics = BTreeSet::new();
            for member in group.members() {
                let given = assigned(member.assignment().unwrap_or_default());
                topics.extend(given.with_context(|| format!("what {} was given", group.name()))?);
            }
            Ok((group.name().to_owned(), topics))
        })
        .collect()
}

/// The topics of a member's assignment, as Kafka's consumers write it: a version, then each topic with its partitions.
fn assigned(bytes: &[u8]) -> Result<Vec<String>> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut rest = bytes.get(2..).context("it is too short")?;
    let mut topics = Vec::new();
    for _ in 0..u32::from_be_bytes(take(&mut rest)?) {
        let length = usize::from(u16::from_be_bytes(take(&mut rest)?));
        let (name, after) = rest.split_at_checked(length).context("it is too short")?;
        topics.push(String::from_utf8(name.to_vec())?);
        rest = after;
        for _ in 0..u32::from_be_bytes(take(&mut rest)?) {
            take::<4>(&mut rest)?;
        }
    }
    Ok(topics)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (head, after) = rest.split_first_chunk::<N>().context("it is too short")?;
    *rest = after;
    Ok(*head)
}
