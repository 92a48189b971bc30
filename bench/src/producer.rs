//! A plain producer of records, as fast as the broker takes them.

use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// The producer.
pub(crate) struct Producer(ThreadedProducer<DefaultProducerContext>);

impl Producer {
    /// Waits for so long, in milliseconds, that others may go with a record.
    pub(crate) fn new(bootstrap: &str, linger_ms: &str) -> Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", linger_ms)
            .set("partitioner", "murmur2_random")
            .create()?;
        Ok(Self(producer))
    }

    /// Hands over a record; waits only for room.
    pub(crate) fn send(&self, mut record: BaseRecord<'_, str, [u8]>) -> Result<()> {
        loop {
            match self.0.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => record = back,
                Err((error, _)) => return Err(error).context("cannot produce"),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until everything is acknowledged.
    pub(crate) fn finish(&self) -> Result<()> {
        self.0.flush(PATIENCE).context("not everything was acknowledged in time")
    }
}
