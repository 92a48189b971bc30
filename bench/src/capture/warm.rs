//! A broker as it is after a while: its JIT has seen many records. Cold, it needs several times as much CPU for each.

use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer},
};
use tokio::task::block_in_place;

use super::{backlog::PAYLOAD, progress, reader::Reader, stage::Stage};

const PATIENCE: Duration = Duration::from_secs(60);

/// A plain producer of records that look like the relay's.
pub(super) struct Producer {
    producer: ThreadedProducer<DefaultProducerContext>,
    headers: OwnedHeaders,
    payload: String,
}

impl Producer {
    pub(super) fn new(bootstrap: &str, linger_ms: &str) -> Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", linger_ms)
            .set("partitioner", "murmur2_random")
            .create()?;
        let header =
            |headers: OwnedHeaders, (key, value): (&str, &str)| headers.insert(Header { key, value: Some(value) });
        let headers = [
            ("ce_specversion", "1.0"),
            ("content-type", "application/json"),
            ("ce_id", "0193d9a4-7c3e-7f2b-9a59-2f5a0a4f1c11"),
            ("ce_source", "/bench"),
            ("ce_type", "BookingMade"),
            ("ce_time", "2026-01-01T00:00:00.000000Z"),
            ("position", "7392847298374928374/1/0/16B3748/12"),
        ];
        let headers = headers.into_iter().fold(OwnedHeaders::new(), header);
        Ok(Self { producer, headers, payload: "n".repeat(PAYLOAD) })
    }

    /// Hands a record with this number as its key to the producer; waits only for room.
    pub(super) fn send(&self, topic: &str, number: u64) -> Result<()> {
        let key = number.to_string();
        let mut record = BaseRecord::to(topic).key(&key).payload(&self.payload).headers(self.headers.clone());
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

/// Writes and reads so many records.
pub(super) async fn broker(stage: &Stage, records: u64) -> Result<()> {
    progress(format_args!("warming the broker with {records} records"));
    let target = stage.topic().await?;
    let bootstrap = stage.kafka.bootstrap_servers();
    block_in_place(|| {
        let producer = Producer::new(&bootstrap, "1")?;
        for number in 0..records {
            producer.send(&target.topic, number)?;
        }
        producer.finish()?;
        Reader::new(&bootstrap, &target.topic)?.tally(records)
    })?;
    stage.delete(&target).await
}
