//! Publishing to Kafka what is told of bookings, as the relay would.

use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer},
};

use super::bookings::Told;

const PATIENCE: Duration = Duration::from_secs(60);

/// A producer for one topic.
pub(super) struct Publisher {
    producer: ThreadedProducer<DefaultProducerContext>,
    topic: String,
}

impl Publisher {
    /// Waits for so long, in milliseconds, that others may go with a message.
    pub(super) fn new(bootstrap: &str, topic: &str, linger_ms: &str) -> Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", linger_ms)
            .set("partitioner", "murmur2_random")
            .create()?;
        Ok(Self { producer, topic: topic.to_owned() })
    }

    /// Hands a message to the producer; waits only for room.
    pub(super) fn publish(&self, told: &Told) -> Result<()> {
        let document = serde_json::to_vec(&told.document).context("cannot write a document")?;
        let headers = told.envelope.to_headers();
        let mut owned = OwnedHeaders::new_with_capacity(headers.len());
        for (key, value) in &headers {
            owned = owned.insert(Header { key, value: Some(value) });
        }
        let mut record = BaseRecord::to(&self.topic).key(&told.envelope.subject).payload(&document).headers(owned);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => record = back,
                Err((error, _)) => return Err(error).context("cannot produce"),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until everything is acknowledged.
    pub(super) fn finish(&self) -> Result<()> {
        self.producer.flush(PATIENCE).context("not everything was acknowledged in time")
    }
}
