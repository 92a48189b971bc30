//! A broker as it is after a while: its JIT has seen many records. Cold, it needs several times as much CPU for each.

use anyhow::Result;
use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::BaseRecord,
};
use servers::topics;
use tokio::task::block_in_place;

use crate::{effort::progress, producer, reader::Reader};

/// Bytes of a record's payload.
pub(crate) const PAYLOAD: usize = 440;

/// A plain producer of records that look like the relay's.
pub(crate) struct Producer {
    producer: producer::Producer,
    headers: OwnedHeaders,
    payload: String,
}

impl Producer {
    pub(crate) fn new(bootstrap: &str, linger_ms: &str) -> Result<Self> {
        let producer = producer::Producer::new(bootstrap, linger_ms)?;
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
    pub(crate) fn send(&self, topic: &str, number: u64) -> Result<()> {
        let key = number.to_string();
        let record = BaseRecord::to(topic).key(key.as_str()).payload(self.payload.as_bytes());
        self.producer.send(record.headers(self.headers.clone()))
    }

    /// Waits until everything is acknowledged.
    pub(crate) fn finish(&self) -> Result<()> {
        self.producer.finish()
    }
}

/// Writes and reads so many records.
pub(crate) async fn broker(bootstrap: &str, records: u64) -> Result<()> {
    const TOPIC: &str = "warm-up";
    progress(format_args!("warming the broker with {records} records"));
    topics::create(bootstrap, TOPIC, 4, &[]).await?;
    block_in_place(|| {
        let producer = Producer::new(bootstrap, "1")?;
        for number in 0..records {
            producer.send(TOPIC, number)?;
        }
        producer.finish()?;
        Reader::new(bootstrap, TOPIC)?.tally(records)
    })?;
    topics::delete(bootstrap, TOPIC).await
}
