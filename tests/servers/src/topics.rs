//! Whole topics: made, written and read to their end.

use std::collections::BTreeSet;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};

const PATIENCE: Duration = Duration::from_secs(30);

/// A record as it lies in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its key, if it has one.
    pub key: Option<Vec<u8>>,
    /// Its value; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// The first header of this name, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        std::str::from_utf8(value).ok()
    }
}

/// A record to be written.
#[derive(Clone, Debug, Default)]
pub struct NewRecord {
    /// Its partition; by default the key decides, as Java's clients do.
    pub partition: Option<i32>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Makes a topic with one replica; `settings` are those of the topic, such as `("cleanup.policy", "compact")`.
pub async fn create(bootstrap: &str, topic: &str, partitions: i32, settings: &[(&str, &str)]) -> Result<()> {
    let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    for (name, value) in settings {
        new = new.set(name, value);
    }
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let results = admin(bootstrap)?.create_topics([&new], &options).await?;
    all_done(results).with_context(|| format!("cannot make the topic {topic}"))
}

/// Changes settings of a topic; those that are not named go back to their defaults.
pub async fn configure(bootstrap: &str, topic: &str, settings: &[(&str, &str)]) -> Result<()> {
    let mut change = AlterConfig::new(ResourceSpecifier::Topic(topic));
    for (name, value) in settings {
        change = change.set(name, value);
    }
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    for result in admin(bootstrap)?.alter_configs([&change], &options).await? {
        result.map_err(|(_, code)| anyhow!("{code}")).with_context(|| format!("cannot configure the topic {topic}"))?;
    }
    Ok(())
}

/// Deletes a topic.
pub async fn delete(bootstrap: &str, topic: &str) -> Result<()> {
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let results = admin(bootstrap)?.delete_topics(&[topic], &options).await?;
    all_done(results).with_context(|| format!("cannot delete the topic {topic}"))
}

/// Writes records in their order and returns when the broker has them all.
pub async fn produce_all(bootstrap: &str, topic: &str, records: Vec<NewRecord>) -> Result<()> {
    let (bootstrap, topic) = (bootstrap.to_owned(), topic.to_owned());
    tokio::task::spawn_blocking(move || write(&bootstrap, &topic, &records)).await?
}

/// Reads a topic from its beginning to its end, all partitions, in the order of partition and offset. Transactions that
/// were aborted, or are still open, are not seen.
pub async fn consume_all(bootstrap: &str, topic: &str) -> Result<Vec<Record>> {
    let (bootstrap, topic) = (bootstrap.to_owned(), topic.to_owned());
    tokio::task::spawn_blocking(move || read(&bootstrap, &topic)).await?
}

fn admin(bootstrap: &str) -> Result<AdminClient<DefaultClientContext>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    Ok(config.create()?)
}

fn all_done(results: Vec<rdkafka::admin::TopicResult>) -> Result<()> {
    for result in results {
        result.map_err(|(_, code)| anyhow!("{code}"))?;
    }
    Ok(())
}

/// Tells what became of each record.
struct Deliveries(Sender<Result<(), KafkaError>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {
        self.0.send(result.as_ref().map(|_| ()).map_err(|(error, _)| error.clone())).ok();
    }
}

fn write(bootstrap: &str, topic: &str, records: &[NewRecord]) -> Result<()> {
    let (deliver, delivered) = channel();
    let producer: ThreadedProducer<Deliveries> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        // In order by one request at a time: an idempotent producer needs half a second to get ready.
        .set("max.in.flight.requests.per.connection", "1")
        .set("partitioner", "murmur2_random")
        .set("linger.ms", "0")
        .create_with_context(Deliveries(deliver))?;
    for record in records {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let mut base = BaseRecord::<[u8], [u8]>::to(topic).headers(headers);
        base.partition = record.partition;
        base.key = record.key.as_deref();
        base.payload = record.value.as_deref();
        producer.send(base).map_err(|(error, _)| error).context("cannot write a record")?;
    }
    for _ in records {
        let delivery = delivered.recv_timeout(PATIENCE).context("the broker did not take all records in time")?;
        delivery.context("the broker refused a record")?;
    }
    Ok(())
}

fn read(bootstrap: &str, topic: &str) -> Result<Vec<Record>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        // Never joined: an assignment by hand needs a name all the same.
        .set("group.id", "reader-of-whole-topics")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("fetch.wait.max.ms", "5")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).context("cannot ask for the topic")?;
    let partitions: BTreeSet<i32> = match metadata.topics() {
        [found] if found.error().is_none() => found.partitions().iter().map(|partition| partition.id()).collect(),
        _ => bail!("there is no topic {topic}"),
    };
    let mut assignment = TopicPartitionList::new();
    for &partition in &partitions {
        assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let mut unfinished = partitions;
    let mut records = Vec::new();
    let mut deadline = Instant::now() + PATIENCE;
    while !unfinished.is_empty() {
        match consumer.poll(Duration::from_millis(100)) {
            None if Instant::now() > deadline => bail!("{topic} did not come to an end on partitions {unfinished:?}"),
            None => {}
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                unfinished.remove(&partition);
            }
            Some(Err(error)) => return Err(error).with_context(|| format!("cannot read {topic}")),
            Some(Ok(message)) => {
                deadline = Instant::now() + PATIENCE;
                if unfinished.contains(&message.partition()) {
                    records.push(record(&message));
                }
            }
        }
    }
    records.sort_by_key(|record| (record.partition, record.offset));
    Ok(records)
}

fn record(message: &BorrowedMessage<'_>) -> Record {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers.iter().map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect()
    });
    Record {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
    }
}
