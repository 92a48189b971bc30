//! Why an intake stops for good.

use crate::topics::Topic;

/// Why an intake stopped for good: going on would lose or repeat an effect. Each says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// The topic has another number of partitions than the contract fixes.
    #[error("topic {topic} has {found} partitions, the contract fixes {expected}: it was not created by its owner")]
    Partitions {
        /// The topic's name on the cluster.
        topic: String,
        /// As the contract has it.
        expected: i32,
        /// As the cluster has it.
        found: i32,
    },
    /// The offsets were stored for another cluster.
    #[error(
        "the offsets of topic {topic} were stored for cluster {stored}, this is cluster {found}: the handler has to begin anew"
    )]
    Cluster {
        /// The topic's name on the cluster.
        topic: String,
        /// The id of the cluster that the offsets are of.
        stored: String,
        /// The id of the cluster that answers now.
        found: String,
    },
    /// The offsets were stored for a topic of the same name that has been deleted.
    #[error(
        "topic {topic} was deleted and made anew: its offsets were stored for the one with id {stored}, this one has {found}; \
         the handler has to begin anew"
    )]
    Topic {
        /// The topic's name on the cluster.
        topic: String,
        /// The id of the topic that the offsets are of.
        stored: String,
        /// The id of the topic that is there now.
        found: String,
    },
    /// The partition does not hold the next offset: messages were deleted unread, or the topic was made anew.
    #[error(
        "topic {topic} partition {partition} holds offsets from {first} to before {end}, the next to apply is {next}: \
         messages were deleted unread or the topic was made anew; the handler has to begin anew"
    )]
    OutOfRange {
        /// The topic's name on the cluster.
        topic: String,
        /// The partition.
        partition: i32,
        /// The stored offset.
        next: i64,
        /// The first offset that the partition still has.
        first: i64,
        /// The offset that its next message will get.
        end: i64,
    },
    /// The Kafka client refuses its settings.
    #[error("the Kafka client refuses its settings: {0}")]
    Settings(String),
    /// The handler or the intake panicked.
    #[error("it crashed: see the log, and restart the service")]
    Crashed,
}

impl Halt {
    /// Whether it is over once the handler has begun anew, with offsets that fit.
    pub fn is_mended_by_rebuilding(&self) -> bool {
        matches!(self, Self::Cluster { .. } | Self::Topic { .. } | Self::OutOfRange { .. })
    }

    /// The halt that the cluster's number of partitions means, if it does.
    pub(crate) fn of_partitions(topic: &Topic, found: i32) -> Option<Self> {
        (found != topic.partitions).then(|| Self::Partitions {
            topic: topic.on_cluster.clone(),
            expected: topic.partitions,
            found,
        })
    }
}
