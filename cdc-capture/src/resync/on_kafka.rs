//! How far Kafka has each aggregate: topics are read from their beginning to their end.
//!
//! The whole of it, not only from the time of the oldest row on: what came before that row tells whether a version is
//! missing between what Kafka has and what the tables hold.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use contracts::envelope::{Position, names};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, ResourceSpecifier},
    client::DefaultClientContext,
    consumer::Consumer,
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Headers},
};
use telemetry::{CancellationToken, kafka::Kafka};

use super::aggregates::{Aggregates, Record};
use crate::{publisher::consumer, replication::Server};

/// How much of a partition is fetched at once, in bytes. What waits to be read costs several times that.
const FETCH: u32 = 128 << 10;
/// How long the cluster may say nothing.
const SILENCE: Duration = Duration::from_secs(10);

/// A topic to be read.
pub(super) struct Topic {
    /// Its name, with the prefix.
    pub(super) on_cluster: String,
    /// Its name as rows have it.
    pub(super) name: String,
    /// Whether it is compacted.
    pub(super) is_compacted: bool,
}

/// Whether records of a topic may go because later ones came.
pub(super) async fn is_compacted(kafka: &Kafka, topic: &str) -> bool {
    let policy = async {
        let mut config = ClientConfig::new();
        config.set("client.id", "cdc-capture");
        kafka.set_properties(&mut config);
        config.set("bootstrap.servers", &kafka.bootstrap_servers);
        let admin: AdminClient<DefaultClientContext> =
            config.create().map_err(|error| telemetry::kafka::reason(&error))?;
        let options = AdminOptions::new().request_timeout(Some(SILENCE));
        let described = admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options).await;
        let first = described.map_err(|error| error.to_string())?.into_iter().next().ok_or("no answer")?;
        let first = first.map_err(|error| error.to_string())?;
        Ok::<_, String>(first.get("cleanup.policy").and_then(|entry| entry.value.clone()).unwrap_or_default())
    };
    match policy.await {
        Ok(policy) => policy.contains("compact"),
        Err(reason) => {
            tracing::warn!(topic, reason, "its cleanup.policy cannot be read: a hole in it will not be seen");
            true
        }
    }
}

/// Takes note of all committed records of a topic, and counts them. Blocks.
///
/// # Errors
/// When it cannot be read, or the token was cancelled.
pub(super) fn read(
    kafka: &Kafka,
    topic: &Topic,
    server: &Server,
    aggregates: &mut Aggregates,
    count: &AtomicU64,
    ended: &CancellationToken,
) -> Result<(), String> {
    let name = &topic.on_cluster;
    let told = |reason: &dyn std::fmt::Display| format!("topic {name}: cannot be read: {reason}");
    let consumer = consumer(kafka, FETCH)?;
    let metadata = consumer.fetch_metadata(Some(name), SILENCE).map_err(|error| told(&error))?;
    let found = metadata.topics().iter().find(|found| found.name() == name).ok_or_else(|| told(&"no answer"))?;
    if let Some(error) = found.error() {
        let reason = RDKafkaErrorCode::from(error);
        return Err(format!("topic {name}: {reason}: create it or permit reading it"));
    }
    // Partition → whether it has its beginning, and where it ends.
    let mut open: BTreeMap<i32, (bool, i64)> = BTreeMap::new();
    let mut assignment = TopicPartitionList::new();
    for partition in found.partitions().iter().map(|partition| partition.id()) {
        let (low, high) = consumer.fetch_watermarks(name, partition, SILENCE).map_err(|error| told(&error))?;
        if high > low {
            open.insert(partition, (low == 0, high));
            assignment.add_partition_offset(name, partition, Offset::Offset(low)).map_err(|error| told(&error))?;
        }
    }
    consumer.assign(&assignment).map_err(|error| told(&error))?;
    let mut deadline = Instant::now() + SILENCE;
    while !open.is_empty() {
        if ended.is_cancelled() {
            return Err(told(&"given up"));
        }
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                deadline = Instant::now() + SILENCE;
                let Some(&(is_whole, end)) = open.get(&message.partition()) else { continue };
                if message.offset() < end {
                    note(&message, topic, is_whole, server, aggregates);
                    count.fetch_add(1, Ordering::Relaxed);
                }
                if message.offset() + 1 >= end {
                    open.remove(&message.partition());
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => _ = open.remove(&partition),
            Some(Err(error)) if Instant::now() > deadline => return Err(told(&error)),
            None if Instant::now() > deadline => return Err(told(&format!("no answer for {SILENCE:?}"))),
            Some(Err(_)) | None => {}
        }
    }
    Ok(())
}

fn note(
    message: &BorrowedMessage<'_>,
    topic: &Topic,
    log_is_whole: bool,
    server: &Server,
    aggregates: &mut Aggregates,
) {
    let (mut version, mut id, mut position) = (None, "", None);
    for header in message.headers().into_iter().flat_map(Headers::iter) {
        let text = || std::str::from_utf8(header.value?).ok();
        match header.key {
            names::SEQUENCE => version = text().and_then(|text| text.parse::<i64>().ok()),
            names::ID => id = text().unwrap_or_default(),
            names::POSITION => position = text().and_then(|text| text.parse::<Position>().ok()),
            _ => {}
        }
    }
    let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
    let (Some(version), Some(key)) = (version, key) else { return };
    let is_foreign = position.is_some_and(|at| (at.system, at.timeline) != (server.system, server.timeline));
    let record = Record { version, id, is_foreign, log_is_whole, log_is_compacted: topic.is_compacted };
    aggregates.note(&topic.name, key, &record);
}
