//! librdkafka's settings: what the guarantees need, then the operator's own.

use std::time::Duration;

use rdkafka::{ClientConfig, error::KafkaError};
use telemetry::{kafka::Kafka, settings::Problems};

/// The most events in flight. What an event's bit and a transaction's entry cost is bounded by it.
pub const MAX_IN_FLIGHT: usize = 8_192;

/// What the guarantees rest on; an operator cannot set it otherwise.
const FIXED: [(&str, &str); 3] =
    [("enable.idempotence", "true"), ("acks", "all"), ("enable.gapless.guarantee", "true")];
/// Other names, and settings that would turn the producer into another kind.
const NOT_OURS: [&str; 5] =
    ["request.required.acks", "transactional.id", "bootstrap.servers", "delivery.timeout.ms", "partitioner"];

/// librdkafka refuses the settings. The message holds no value, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnusableSettings(String);

impl From<KafkaError> for UnusableSettings {
    fn from(error: KafkaError) -> Self {
        Self(telemetry::kafka::reason(&error))
    }
}

/// Notes which of the operator's properties are not for them to set.
pub fn check(setting: &str, kafka: &Kafka, problems: &mut Problems) {
    for (key, _) in &kafka.properties {
        if FIXED.iter().any(|(fixed, _)| fixed == key) || NOT_OURS.contains(&key.as_str()) {
            problems.add(setting, format!("{key} is for cdc-capture to set"));
        }
    }
}

/// How long an event may take: what the operator wants, within `longest`.
pub fn delivery(kafka: &Kafka, longest: Duration) -> Duration {
    let wanted = kafka.property("message.timeout.ms");
    let wanted = wanted.and_then(|millis| millis.parse().ok()).filter(|millis| *millis > 0);
    wanted.map_or(longest, |millis| Duration::from_millis(millis).min(longest))
}

pub(super) fn client_config(
    kafka: &Kafka,
    linger: Duration,
    longest_delivery: Duration,
    transactional_id: Option<&str>,
) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("client.id", "cdc-capture")
        .set("linger.ms", (linger.min(longest_delivery / 3).as_secs_f64() * 1000.0).to_string())
        .set("queue.buffering.max.kbytes", "16384")
        .set("queue.buffering.max.messages", MAX_IN_FLIGHT.to_string())
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000");
    kafka.set_properties(&mut config);
    config.set("bootstrap.servers", &kafka.bootstrap_servers);
    config.set("message.timeout.ms", delivery(kafka, longest_delivery).as_millis().to_string());
    for (key, value) in FIXED {
        config.set(key, value);
    }
    if let Some(id) = transactional_id {
        config.set("transactional.id", id);
    }
    config
}

/// How many bytes of values the producer may hold.
pub(super) fn queue_bytes(config: &ClientConfig) -> u64 {
    let kbytes = config.get("queue.buffering.max.kbytes").and_then(|kbytes| kbytes.parse::<u64>().ok());
    kbytes.map_or(u64::MAX, |kbytes| kbytes.saturating_mul(1024))
}

/// The largest message that the producer takes, in bytes, with key and headers.
pub(super) fn largest_message(config: &ClientConfig) -> usize {
    let bytes = config.get("message.max.bytes").and_then(|bytes| bytes.parse().ok()).unwrap_or(1_000_000_u64);
    usize::try_from(bytes.min(queue_bytes(config))).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(key: &str, value: &str) -> String {
        let mut kafka = Kafka::at("localhost:9092");
        kafka.properties.push((key.to_owned(), value.to_owned()));
        let mut problems = Problems::new();
        check("--kafka-config", &kafka, &mut problems);
        problems.finish(Some(())).map_or_else(|problems| problems.to_string(), |()| String::new())
    }

    #[test]
    fn what_the_guarantees_rest_on_cannot_be_set() {
        assert!(problems("acks", "1").contains("acks is for cdc-capture to set"));
        assert!(problems("enable.idempotence", "false").contains("is for cdc-capture"));
        assert_eq!(problems("linger.ms", "5"), "");
    }

    #[test]
    fn the_guarantees_come_last() {
        let mut kafka = Kafka::at("localhost:9092");
        kafka.properties.push(("acks".to_owned(), "0".to_owned()));
        let config = client_config(&kafka, Duration::from_micros(500), Duration::from_secs(30), None);
        assert_eq!((config.get("acks"), config.get("linger.ms")), (Some("all"), Some("0.5")));
    }

    #[test]
    fn no_event_may_take_longer_than_the_slot_is_ours_for_sure() {
        let longest = |wanted: Option<&str>| {
            let mut kafka = Kafka::at("localhost:9092");
            kafka.properties.extend(wanted.map(|wanted| ("message.timeout.ms".to_owned(), wanted.to_owned())));
            let config = client_config(&kafka, Duration::from_millis(1), Duration::from_secs(1), None);
            config.get("message.timeout.ms").map(str::to_owned).unwrap()
        };
        assert_eq!((longest(None), longest(Some("300"))), ("1000".to_owned(), "300".to_owned()));
        assert_eq!((longest(Some("60000")), longest(Some("0"))), ("1000".to_owned(), "1000".to_owned()));
    }
}
