//! How events reach Kafka, and the flags that choose it.

use std::time::Duration;

use clap::{Args, ValueEnum};
use telemetry::{kafka::Kafka, settings::Problems};

use crate::outbox::is_topic_name;

/// How events reach Kafka.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Each by itself: after a crash those that were in flight may come twice.
    #[default]
    AtLeastOnce,
    /// In Kafka's transactions, so that a `read_committed` consumer sees each once.
    Transactional {
        /// The compacted topic in which the last position of each slot is kept, without the installation's prefix.
        position_topic: String,
        /// The longest time that a transaction is open; less, where events must be delivered sooner.
        commit_interval: Duration,
    },
}

impl Delivery {
    /// The topic of the positions, without the installation's prefix, if there is one.
    pub fn position_topic(&self) -> Option<&str> {
        match self {
            Self::AtLeastOnce => None,
            Self::Transactional { position_topic, .. } => Some(position_topic),
        }
    }
}

/// How events reach Kafka, as a flag says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DeliveryMode {
    /// Each by itself: after a crash those that were in flight may come twice.
    AtLeastOnce,
    /// In Kafka's transactions, so that a consumer with isolation.level=read_committed sees each once.
    Transactional,
}

/// The flags; flatten them into a command's own.
#[derive(Debug, Args)]
pub struct DeliveryArgs {
    /// How events reach Kafka.
    #[arg(long, env = "DELIVERY", value_enum, default_value = "at-least-once", value_name = "MODE")]
    delivery: DeliveryMode,

    /// The compacted topic in which transactions keep the last position of each slot.
    #[arg(long, env = "POSITION_TOPIC", default_value = "cdc-capture-positions", value_name = "TOPIC")]
    position_topic: String,

    /// The longest time that a transaction is open, in milliseconds, 1 to 2500. One with few events is committed after 5 ms;
    /// where the server's wal_sender_timeout is below 60 s, none is open for longer than a 24th of it.
    #[arg(long, env = "COMMIT_INTERVAL_MS", default_value = "250", value_name = "MS")]
    commit_interval_ms: String,
}

impl DeliveryArgs {
    /// Checks the flags, noting each problem.
    pub(crate) fn check(self, kafka: Option<&Kafka>, problems: &mut Problems) -> Option<Delivery> {
        let interval = problems.parse::<u64>("--commit-interval-ms / COMMIT_INTERVAL_MS", &self.commit_interval_ms)?;
        if !(1..=2_500).contains(&interval) {
            problems.add("--commit-interval-ms / COMMIT_INTERVAL_MS", "expected 1 to 2500");
        }
        let topic = &self.position_topic;
        if !is_topic_name(topic) || kafka.is_some_and(|kafka| !is_topic_name(&kafka.topic(topic))) {
            let expected = "is not a topic's name (with the prefix 1 to 249 of a-z A-Z 0-9 . _ -)";
            problems.add("--position-topic / POSITION_TOPIC", format!("{topic:?} {expected}"));
        }
        Some(match self.delivery {
            DeliveryMode::AtLeastOnce => Delivery::AtLeastOnce,
            DeliveryMode::Transactional => Delivery::Transactional {
                position_topic: self.position_topic,
                commit_interval: Duration::from_millis(interval),
            },
        })
    }
}
