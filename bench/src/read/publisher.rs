//! Publishing to Kafka what is told of bookings, as the relay would.

use anyhow::{Context, Result};
use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::BaseRecord,
};

use super::bookings::Told;
use crate::producer::Producer;

/// A producer for one topic.
pub(super) struct Publisher {
    producer: Producer,
    topic: String,
}

impl Publisher {
    /// Waits for so long, in milliseconds, that others may go with a message.
    pub(super) fn new(bootstrap: &str, topic: &str, linger_ms: &str) -> Result<Self> {
        Ok(Self { producer: Producer::new(bootstrap, linger_ms)?, topic: topic.to_owned() })
    }

    /// Hands a message to the producer; waits only for room.
    pub(super) fn publish(&self, told: &Told) -> Result<()> {
        let document = serde_json::to_vec(&told.document).context("cannot write a document")?;
        let headers = told.envelope.to_headers();
        let mut owned = OwnedHeaders::new_with_capacity(headers.len());
        for (key, value) in &headers {
            owned = owned.insert(Header { key, value: Some(value) });
        }
        let record = BaseRecord::to(&self.topic).key(told.envelope.subject.as_str());
        self.producer.send(record.payload(document.as_slice()).headers(owned))
    }

    /// Waits until everything is acknowledged.
    pub(super) fn finish(&self) -> Result<()> {
        self.producer.finish()
    }
}
