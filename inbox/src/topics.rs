//! A handler's topics: their names in the contract and on this cluster.

use std::sync::Arc;

use telemetry::kafka::Kafka;

/// One partition of one of a handler's topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Partition {
    /// The topic's place in [`Topics`].
    pub(crate) topic: usize,
    /// The partition's number.
    pub(crate) number: i32,
}

/// A topic under both its names.
#[derive(Debug)]
pub(crate) struct Topic {
    /// As the contract has it.
    pub(crate) name: Arc<str>,
    /// With the installation's prefix.
    pub(crate) on_cluster: String,
    /// As many partitions the contract fixes.
    pub(crate) partitions: i32,
}

/// The topics that a handler reads.
#[derive(Debug)]
pub(crate) struct Topics(Vec<Topic>);

impl Topics {
    pub(crate) fn new(contract: &[contracts::Topic], kafka: &Kafka) -> Self {
        let topic = |topic: &contracts::Topic| Topic {
            name: topic.name.into(),
            on_cluster: kafka.topic(topic.name),
            partitions: topic.partitions,
        };
        Self(contract.iter().map(topic).collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.0.iter()
    }

    /// Every partition that the contract fixes.
    pub(crate) fn partitions(&self) -> Vec<Partition> {
        let of = |(topic, found): (usize, &Topic)| (0..found.partitions).map(move |number| Partition { topic, number });
        self.0.iter().enumerate().flat_map(of).collect()
    }

    /// The topic of a partition.
    pub(crate) fn of(&self, partition: Partition) -> &Topic {
        &self.0[partition.topic]
    }

    /// The partition of that number of the topic that has this name on the cluster.
    pub(crate) fn partition(&self, on_cluster: &str, number: i32) -> Option<Partition> {
        let topic = self.0.iter().position(|topic| topic.on_cluster == on_cluster)?;
        Some(Partition { topic, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::Cleanup;

    #[test]
    fn a_topic_is_found_by_its_name_on_the_cluster() {
        const CONTRACT: &[contracts::Topic] = &[
            contracts::Topic { name: "a.v1", partitions: 1, cleanup: Cleanup::Journal },
            contracts::Topic { name: "b.v1", partitions: 2, cleanup: Cleanup::Collection },
        ];
        let topics = Topics::new(CONTRACT, &Kafka { topic_prefix: "staging.".into(), ..Kafka::at("localhost:1") });
        let partition = topics.partition("staging.b.v1", 1).unwrap();
        assert_eq!(partition, Partition { topic: 1, number: 1 });
        assert_eq!((&*topics.of(partition).name, topics.of(partition).partitions), ("b.v1", 2));
        assert_eq!(topics.partition("b.v1", 1), None);
    }
}
