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
    topics::{Partition, Topic, Topics},
};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// The first offset that a partition still has, and the one that its next message will get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) first: i64,
    pub(crate) end: i64,
}

/// The ids of the cluster and of each topic, where the brokers keep such.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) cluster: Option<String>,
    topics: Vec<Option<String>>,
}

impl Ids {
    /// The id of a partition's topic.
    pub(crate) fn of_topic(&self, partition: Partition) -> Option<&str> {
        self.topics.get(partition.topic)?.as_deref()
    }
}

/// Checks that every topic is there as the contract has it.
pub(crate) async fn check(client: Arc<GroupConsumer>, topics: Arc<Topics>) -> Result<(), Obstacle> {
    blocking(move || {
        for topic in topics.iter() {
            let metadata = client.fetch_metadata(Some(&topic.on_cluster), PATIENCE)?;
            let found = metadata.topics().iter().find(|found| found.name() == topic.on_cluster);
            let missing = || Obstacle::Topic(format!("topic {} does not exist yet", topic.on_cluster));
            let found = found.ok_or_else(missing)?;
            match found.error() {
                None => {}
                Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => return Err(missing()),
                Some(other) => {
                    let code = RDKafkaErrorCode::from(other);
                    return Err(Obstacle::Topic(format!("topic {}: {code}", topic.on_cluster)));
                }
            }
            match i32::try_from(found.partitions().len()) {
                Ok(0) | Err(_) => return Err(missing()),
                Ok(partitions) => Halt::of_partitions(topic, partitions).map_or(Ok(()), Err)?,
            }
        }
        Ok(())
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

/// The ids of the cluster and the topics, which still have as many partitions as the contract fixes. That a broker does not know a
/// topic, or not yet, does not mean that it has no id: it is asked again.
pub(crate) async fn ids(client: Arc<GroupConsumer>, topics: Arc<Topics>) -> Result<Ids, Obstacle> {
    blocking(move || {
        let names: Vec<&str> = topics.iter().map(|topic| topic.on_cluster.as_str()).collect();
        // Any broker knows them; by itself the client would ask the controller, which not every cluster shows.
        let broker = client.fetch_metadata(names.first().copied(), PATIENCE)?.orig_broker_id();
        let mut told = topic_ids::ask(client.client().native_ptr(), broker, &names, PATIENCE)?;
        let id = |topic: &Topic| match told.remove(&topic.on_cluster) {
            Some(Err(code)) => Err(Obstacle::Topic(format!("topic {}: {code}", topic.on_cluster))),
            Some(Ok(found)) => {
                match i32::try_from(found.partitions).ok().and_then(|count| Halt::of_partitions(topic, count)) {
                    Some(halt) => Err(halt.into()),
                    None => Ok(found.id),
                }
            }
            None => Ok(None),
        };
        let topics = topics.iter().map(id).collect::<Result<_, _>>()?;
        // The client has it from the metadata that were just fetched.
        Ok(Ids { cluster: client.client().fetch_cluster_id(PATIENCE), topics })
    })
    .await
}

async fn blocking<T: Send + 'static>(
    question: impl FnOnce() -> Result<T, Obstacle> + Send + 'static,
) -> Result<T, Obstacle> {
    let answer = tokio::task::spawn_blocking(question).await;
    answer.unwrap_or_else(|error| Err(Obstacle::Kafka(error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::Subscription;
    use contracts::Cleanup;
    use rdkafka::mocking::MockCluster;
    use std::time::Instant;
    use telemetry::kafka::Kafka;

    const ONE: &[contracts::Topic] = &[contracts::Topic { name: "a.v1", partitions: 1, cleanup: Cleanup::Journal }];

    #[tokio::test]
    async fn a_topic_that_a_broker_does_not_know_yet_is_not_taken_for_one_without_an_id() {
        let broker = MockCluster::new(1).unwrap();
        broker.create_topic("a.v1", 1, 1).unwrap();
        let kafka = Kafka::at(broker.bootstrap_servers());
        let topics = Arc::new(Topics::new(ONE, &kafka));
        let subscription = Subscription::connect(&kafka, "group", &topics, false).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        let ask = async || loop {
            match ids(subscription.member.client(), topics.clone()).await {
                // It may not be connected yet.
                Err(Obstacle::Kafka(_)) if Instant::now() < deadline => {}
                answer => return answer,
            }
        };
        let whole = ask().await.unwrap();
        assert!(whole.cluster.is_some());
        broker.topic_error("a.v1", RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).unwrap();
        let refused = ask().await;
        assert!(matches!(&refused, Err(Obstacle::Topic(reason)) if reason.contains("a.v1")), "{refused:?}");
        broker.topic_error("a.v1", RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).unwrap();
        assert_eq!(ask().await.unwrap(), whole);
    }
}
