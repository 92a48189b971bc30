//! Questions to the cluster. librdkafka blocks while it asks, so each runs on a thread for such work.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rdkafka::{
    consumer::Consumer,
    types::{RDKafkaErrorCode, RDKafkaRespErr},
};

use crate::{
    Halt,
    consumer::GroupConsumer,
    obstacle::Obstacle,
    topic_ids,
    topics::{Partition, Topics},
};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// The first offset that a partition still has, and the one that its next message will get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) first: i64,
    pub(crate) end: i64,
}

/// The id of each topic, where known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicIds(Vec<Option<String>>);

impl TopicIds {
    pub(crate) fn of(&self, partition: Partition) -> Option<&str> {
        self.0.get(partition.topic)?.as_deref()
    }
}

/// Checks that every topic is there as the contract has it, and gives the cluster's id where the brokers tell it.
pub(crate) async fn check(client: Arc<GroupConsumer>, topics: Arc<Topics>) -> Result<Option<String>, Obstacle> {
    blocking(move || {
        for topic in topics.iter() {
            let metadata = client.fetch_metadata(Some(&topic.on_cluster), PATIENCE)?;
            let found = metadata.topics().iter().find(|found| found.name() == topic.on_cluster);
            let missing = || Obstacle::Kafka(format!("topic {} does not exist yet", topic.on_cluster));
            let found = found.ok_or_else(missing)?;
            match found.error() {
                None => {}
                Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => return Err(missing()),
                Some(other) => {
                    let code = RDKafkaErrorCode::from(other);
                    return Err(Obstacle::Kafka(format!("topic {}: {code}", topic.on_cluster)));
                }
            }
            match i32::try_from(found.partitions().len()) {
                Ok(0) | Err(_) => return Err(missing()),
                Ok(partitions) => Halt::of_partitions(topic, partitions).map_or(Ok(()), Err)?,
            }
        }
        Ok(client.client().fetch_cluster_id(PATIENCE))
    })
    .await
}

/// The bounds of each of these partitions.
pub(crate) async fn bounds(
    client: Arc<GroupConsumer>,
    topics: Arc<Topics>,
    partitions: Vec<Partition>,
) -> Result<BTreeMap<Partition, Bounds>, Obstacle> {
    blocking(move || {
        let mut bounds = BTreeMap::new();
        for partition in partitions {
            let topic = &topics.of(partition).on_cluster;
            let (first, end) = client.fetch_watermarks(topic, partition.number, PATIENCE)?;
            bounds.insert(partition, Bounds { first, end });
        }
        Ok(bounds)
    })
    .await
}

/// The ids of the topics, where the brokers tell them.
pub(crate) async fn topic_ids(client: Arc<GroupConsumer>, topics: Arc<Topics>) -> Result<TopicIds, Obstacle> {
    blocking(move || {
        let names: Vec<&str> = topics.iter().map(|topic| topic.on_cluster.as_str()).collect();
        // Any broker knows them; by itself the client would ask the controller, which not every cluster shows.
        let broker = client.fetch_metadata(names.first().copied(), PATIENCE)?.orig_broker_id();
        let mut ids = topic_ids::ask(client.client().native_ptr(), broker, &names, PATIENCE)?;
        Ok(TopicIds(names.iter().map(|name| ids.remove(*name)).collect()))
    })
    .await
}

async fn blocking<T: Send + 'static>(
    question: impl FnOnce() -> Result<T, Obstacle> + Send + 'static,
) -> Result<T, Obstacle> {
    let answer = tokio::task::spawn_blocking(question).await;
    answer.unwrap_or_else(|error| Err(Obstacle::Kafka(error.to_string())))
}
