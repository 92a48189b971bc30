//! The cluster: whether it answers, whether the topics are there, and whether their limits fit the producer's.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier},
    client::DefaultClientContext,
    error::RDKafkaErrorCode,
};

use super::Report;
use crate::{Settings, publisher::LONGEST_DELIVERY};

/// How long the cluster may take to answer one question.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the whole of it may take.
const ALTOGETHER: Duration = Duration::from_secs(30);

type Admin = Arc<AdminClient<DefaultClientContext>>;

/// What the cluster says of a topic beside its settings.
struct Shape {
    partitions: usize,
    /// The fewest of any partition.
    replicas: usize,
}

pub(super) async fn check(settings: &Settings, topics: BTreeSet<String>, report: &mut Report) {
    if tokio::time::timeout(ALTOGETHER, check_all(settings, topics, report)).await.is_err() {
        report.problem(format!("Kafka gave no answer within {ALTOGETHER:?}"), "see what keeps it busy");
    }
}

async fn check_all(settings: &Settings, mut topics: BTreeSet<String>, report: &mut Report) {
    let servers = &settings.kafka.bootstrap_servers;
    if let Err(reason) = reach(settings).await {
        let remedy = "check --kafka-bootstrap-servers, and security and SASL in --kafka-config";
        return report.problem(format!("Kafka at {servers} cannot be reached: {reason}"), remedy);
    }
    report.ok(format!("Kafka at {servers} answers"));
    let admin = match admin(settings) {
        Ok(admin) => admin,
        Err(reason) => return report.problem("Kafka: no client can be made", reason),
    };
    broker(settings, &admin, report).await;

    let template = settings.format.topic.to_string();
    if !template.contains('{') {
        topics.insert(template);
    }
    if topics.is_empty() {
        report.warning(
            "which topics are needed is not known, for the tables hold no rows that could be read",
            "make sure that there is one for each aggregatetype; the relay waits for a missing one",
        );
    }
    for topic in topics {
        check_topic(settings, &admin, &settings.kafka.topic(&topic), report).await;
    }
    if let Some(topic) = &settings.dead_letter_topic {
        check_dead_letter_topic(settings, &admin, &settings.kafka.topic(topic), report).await;
    }
    if let Some(topic) = settings.delivery.position_topic() {
        check_position_topic(settings, &admin, &settings.kafka.topic(topic), report).await;
    }
}

async fn check_position_topic(settings: &Settings, admin: &Admin, topic: &str, report: &mut Report) {
    check_topic(settings, admin, topic, report).await;
    if let Ok(Shape { partitions: 2.., .. }) = shape(admin, topic).await {
        report.warning(
            format!(
                "position topic {topic} has several partitions, so an old position may be read when more are added"
            ),
            "create it with one partition",
        );
    }
    if policy(admin, topic).await.is_some_and(|policy| !policy.contains("compact")) {
        report.warning(
            format!("position topic {topic} is not compacted, so it keeps each transaction's position"),
            "set cleanup.policy=compact",
        );
    }
}

async fn check_dead_letter_topic(settings: &Settings, admin: &Admin, topic: &str, report: &mut Report) {
    check_topic(settings, admin, topic, report).await;
    if policy(admin, topic).await.is_some_and(|policy| policy.contains("compact")) {
        report.warning(
            format!("dead-letter topic {topic} is compacted, so of each aggregate only the last dead letter stays"),
            "set cleanup.policy=delete",
        );
    }
}

/// By the client that `run` uses, in its words.
async fn reach(settings: &Settings) -> Result<(), String> {
    let publisher = settings.publisher(settings.linger, LONGEST_DELIVERY, None).map_err(|error| error.to_string())?;
    let answer = publisher.reach(PATIENCE).await;
    publisher.discard().await;
    answer
}

fn admin(settings: &Settings) -> Result<Admin, String> {
    let mut config = ClientConfig::new();
    config.set("client.id", "cdc-capture check");
    settings.kafka.set_properties(&mut config);
    config.set("bootstrap.servers", &settings.kafka.bootstrap_servers);
    config.create().map(Arc::new).map_err(|error| telemetry::kafka::reason(&error))
}

fn largest_message(settings: &Settings) -> u64 {
    size(settings, "message.max.bytes")
}

/// A limit of the producer's, in bytes; librdkafka's default is the same for all that are asked for.
fn size(settings: &Settings, name: &str) -> u64 {
    settings.kafka.property(name).and_then(|value| value.parse().ok()).unwrap_or(1_000_000)
}

/// What holds for topics that say nothing of their own.
async fn broker(settings: &Settings, admin: &Admin, report: &mut Report) {
    let asked = Arc::clone(admin);
    let metadata = blocking(move || asked.inner().fetch_metadata(None, PATIENCE)).await;
    let id = metadata.ok().and_then(|metadata| metadata.brokers().first().map(rdkafka::metadata::MetadataBroker::id));
    let Some(id) = id else { return };
    let configuration = match describe(admin, ResourceSpecifier::Broker(id)).await {
        Ok(configuration) => configuration,
        Err(reason) => return unreadable(&format!("broker {id}"), &reason, report),
    };
    let largest = largest_message(settings);
    match number(&configuration, "message.max.bytes") {
        Some(limit) if limit < largest => report.warning(
            format!("broker {id}: message.max.bytes is {limit}, below the producer's {largest}"),
            format!("raise it there or per topic, or --kafka-config message.max.bytes={limit}"),
        ),
        Some(limit) => report.ok(format!("broker {id}: message.max.bytes is {limit}, the producer's {largest}")),
        None => {}
    }
}

async fn check_topic(settings: &Settings, admin: &Admin, topic: &str, report: &mut Report) {
    let shape = match shape(admin, topic).await {
        Ok(shape) => shape,
        Err(reason) => {
            let remedy = format!("create it (kafka-topics.sh --create --topic {topic} …) or permit writing to it");
            return report.problem(format!("topic {topic}: {reason}"), remedy);
        }
    };
    if let Err(wrong) = settings.topic_partitions.expects(topic, shape.partitions) {
        report.problem(format!("topic {topic}: {wrong}"), "or correct --topic-partitions");
    }
    let configuration = match describe(admin, ResourceSpecifier::Topic(topic)).await {
        Ok(configuration) => configuration,
        Err(reason) => {
            report.ok(format!("topic {topic}: {} partitions, {} replicas", shape.partitions, shape.replicas));
            return unreadable(&format!("topic {topic}"), &reason, report);
        }
    };
    let policy = configuration.get("cleanup.policy").and_then(|entry| entry.value.as_deref()).unwrap_or("?");
    let in_sync = number(&configuration, "min.insync.replicas").unwrap_or(1);
    report.ok(format!(
        "topic {topic}: {} partitions, {} replicas, min.insync.replicas={in_sync}, cleanup.policy={policy}",
        shape.partitions, shape.replicas
    ));
    let replicas = shape.replicas as u64;
    if in_sync > replicas {
        report.problem(
            format!("topic {topic}: min.insync.replicas is {in_sync} and there are {replicas} replicas, so nothing can be written"),
            "give it more replicas, or lower min.insync.replicas",
        );
    } else if replicas == 1 {
        report.warning(
            format!("topic {topic} has one replica, so events are lost with its broker"),
            "give it three, and min.insync.replicas=2",
        );
    } else if in_sync == 1 {
        report.warning(
            format!("topic {topic}: min.insync.replicas is 1, so an acknowledged event may be on one broker only"),
            "set min.insync.replicas=2",
        );
    } else if in_sync == replicas {
        report.warning(
            format!("topic {topic}: min.insync.replicas is the number of replicas, so the relay stops with any broker"),
            "give it one replica more",
        );
    }
    let largest = largest_message(settings);
    let batch = size(settings, "batch.size");
    if let Some(limit) = number(&configuration, "max.message.bytes").filter(|limit| *limit < largest.max(batch)) {
        report.warning(
            format!(
                "topic {topic}: max.message.bytes is {limit}, below the producer's message.max.bytes {largest} or \
                 batch.size {batch}, so the broker may refuse what the producer sends"
            ),
            format!("raise it to {}, or lower those with --kafka-config", largest.max(batch)),
        );
    }
}

async fn shape(admin: &Admin, topic: &str) -> Result<Shape, String> {
    let (asked, name) = (Arc::clone(admin), topic.to_owned());
    let metadata = blocking(move || asked.inner().fetch_metadata(Some(&name), PATIENCE)).await?;
    let found = metadata.topics().iter().find(|found| found.name() == topic).ok_or("no answer about it")?;
    match found.error().map(RDKafkaErrorCode::from) {
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            return Err("does not exist".to_owned());
        }
        Some(error) => return Err(error.to_string()),
        None => {}
    }
    let replicas = found.partitions().iter().map(|partition| partition.replicas().len()).min();
    Ok(Shape { partitions: found.partitions().len(), replicas: replicas.unwrap_or_default() })
}

/// How a topic is cleaned up, if that may be known.
async fn policy(admin: &Admin, topic: &str) -> Option<String> {
    let configuration = describe(admin, ResourceSpecifier::Topic(topic)).await.ok()?;
    configuration.get("cleanup.policy")?.value.clone()
}

async fn describe(admin: &Admin, resource: ResourceSpecifier<'_>) -> Result<ConfigResource, String> {
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let described = admin.describe_configs([&resource], &options).await.map_err(|error| error.to_string())?;
    let first = described.into_iter().next().ok_or("no answer")?.map_err(|error| error.to_string())?;
    // That it is not permitted comes as a resource without settings.
    if first.entries.is_empty() { Err("none are told".to_owned()) } else { Ok(first) }
}

fn unreadable(what: &str, reason: &str, report: &mut Report) {
    report.warning(
        format!("{what}: its settings cannot be read: {reason}"),
        "permit DescribeConfigs, or compare its size limits with the producer's by hand",
    );
}

fn number(configuration: &ConfigResource, name: &str) -> Option<u64> {
    configuration.get(name)?.value.as_ref()?.parse().ok()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> rdkafka::error::KafkaResult<T> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer.map_err(|error| telemetry::kafka::reason(&error)),
        Err(error) => Err(error.to_string()),
    }
}
