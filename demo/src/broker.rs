//! The broker: a real Kafka where one is named, else librdkafka's own test cluster, in memory and in this process.

use anyhow::Context;
use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};
use telemetry::kafka::Kafka;

/// A broker, for as long as this lives.
pub(crate) struct Broker {
    /// How to reach it.
    pub(crate) kafka: Kafka,
    _in_memory: Option<MockCluster<'static, DefaultProducerContext>>,
}

impl Broker {
    /// A broker in memory, which has the contracts' topics already: it creates none over the wire. It keeps about 5 MB
    /// a partition and forgets all when it ends, so it is good for a demonstration and for nothing else.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn in_memory() -> anyhow::Result<Self> {
        let cluster = MockCluster::new(1).context("starting the broker in memory")?;
        let commands = contracts::COMMAND_TOPICS.iter().map(|(_, topic)| *topic);
        for topic in contracts::topics().chain(commands) {
            cluster.create_topic(topic.name, topic.partitions, 1).with_context(|| format!("topic {}", topic.name))?;
        }
        let mut kafka = Kafka::at(cluster.bootstrap_servers());
        // A fetch that finds nothing waits its time out here, whatever is produced meanwhile; a real broker answers at once.
        kafka.properties.push(("fetch.wait.max.ms".to_owned(), "5".to_owned()));
        Ok(Self { kafka, _in_memory: Some(cluster) })
    }

    /// A real one. The run's name, before every topic's, keeps apart what earlier runs left there.
    pub(crate) fn at(bootstrap_servers: &str, run: &str) -> Self {
        let topic_prefix = format!("{run}.");
        Self { kafka: Kafka { topic_prefix, ..Kafka::at(bootstrap_servers) }, _in_memory: None }
    }
}
