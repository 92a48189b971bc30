//! Reading partitions backwards, from their ends and no further than needed: a short round first, longer ones when that
//! was not enough.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    client::ClientContext,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::KafkaError,
    message::BorrowedMessage,
};
use telemetry::kafka::Kafka;

/// How much of a partition is fetched at once, in bytes.
const FETCH: u32 = 1 << 20;
/// How long the cluster may say nothing.
const SILENCE: Duration = Duration::from_secs(5);

/// How often it is asked whether a transaction has ended.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Who looks at the records.
pub(super) trait Look {
    /// A record, of which those of one round come in their order. Whether nothing before this round is needed of its
    /// partition.
    fn look_at(&mut self, message: &BorrowedMessage<'_>) -> bool;

    /// Whether a partition of which so many records have been looked at is given up, none having sufficed.
    fn gives_up(&self, _partition: i32, _records: i64) -> bool {
        false
    }
}

/// Errors of the client are told by the caller.
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "librdkafka: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for Quiet {}

/// One partition on the way back.
struct Tail {
    low: i64,
    high: i64,
    /// From here on it was read.
    read_from: i64,
    done: bool,
}

/// Reads a topic's committed records until `look` needs no more of them; all of its partitions unless some are named.
/// Each round goes back so many records from the partition's end; `false` when the last one was not enough. Blocks, for
/// some milliseconds as a rule.
///
/// # Errors
/// When the topic cannot be read.
pub(super) fn read(
    kafka: &Kafka,
    topic: &str,
    partitions: Option<&[i32]>,
    rounds: &[i64],
    look: &mut impl Look,
) -> Result<bool, String> {
    let consumer = consumer(kafka, FETCH)?;
    let all;
    let partitions = match partitions {
        Some(partitions) => partitions,
        None => {
            all = partitions_of(&consumer, topic)?;
            &all
        }
    };
    let mut tails = BTreeMap::new();
    for &partition in partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition, SILENCE).map_err(|error| error.to_string())?;
        tails.insert(partition, Tail { low, high, read_from: high, done: high <= low });
    }
    for &reach in rounds {
        let mut open: BTreeMap<i32, &mut Tail> =
            tails.iter_mut().filter(|(_, tail)| !tail.done).map(|(partition, tail)| (*partition, tail)).collect();
        if open.is_empty() {
            return Ok(true);
        }
        read_stretches(&consumer, topic, &mut open, reach, look)?;
        for (partition, tail) in open {
            tail.done |= tail.read_from == tail.low || look.gives_up(partition, reach);
        }
    }
    Ok(tails.values().all(|tail| tail.done))
}

/// Waits, for at most `patience`, until each transaction has ended that has written to the topic by now, and says whether
/// they have: committed records behind an open one are not given to anybody. Blocks.
///
/// # Errors
/// When the topic's ends cannot be asked for.
pub(super) fn until_committed(kafka: &Kafka, topic: &str, patience: Duration) -> Result<bool, String> {
    let (all, committed) = (consumer_of(kafka, FETCH, "read_uncommitted")?, consumer(kafka, FETCH)?);
    let end = |of: &BaseConsumer<Quiet>, partition| {
        of.fetch_watermarks(topic, partition, SILENCE).map(|(_, end)| end).map_err(|error| error.to_string())
    };
    let deadline = Instant::now() + patience;
    for partition in partitions_of(&all, topic)? {
        let written = end(&all, partition)?;
        while end(&committed, partition)? < written {
            if Instant::now() > deadline {
                return Ok(false);
            }
            std::thread::sleep(ASK_EVERY);
        }
    }
    Ok(true)
}

fn partitions_of(consumer: &BaseConsumer<Quiet>, topic: &str) -> Result<Vec<i32>, String> {
    let metadata = consumer.fetch_metadata(Some(topic), SILENCE).map_err(|error| error.to_string())?;
    let found = metadata.topics().iter().find(|found| found.name() == topic).ok_or("no answer about the topic")?;
    match found.error() {
        Some(error) => Err(rdkafka::error::RDKafkaErrorCode::from(error).to_string()),
        None => Ok(found.partitions().iter().map(|partition| partition.id()).collect()),
    }
}

/// A client that reads what is committed, of the partitions that it is told, and of each so many bytes at once.
pub(crate) fn consumer(kafka: &Kafka, fetch: u32) -> Result<BaseConsumer<Quiet>, String> {
    consumer_of(kafka, fetch, "read_committed")
}

fn consumer_of(kafka: &Kafka, fetch: u32, isolation: &str) -> Result<BaseConsumer<Quiet>, String> {
    let mut config = ClientConfig::new();
    config.set("client.id", "cdc-capture");
    kafka.set_properties(&mut config);
    config
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        // Never joined: an assignment by hand needs a name all the same.
        .set("group.id", "cdc-capture")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", isolation)
        .set("auto.offset.reset", "error")
        .set("fetch.wait.max.ms", "5")
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.message.max.bytes", fetch.to_string())
        .set("queued.max.messages.kbytes", (fetch / 256).to_string());
    BaseConsumer::from_config_and_context(&config, Quiet).map_err(|error| telemetry::kafka::reason(&error))
}

/// Reads the next stretch of each open partition: from `reach` before its end to where the round before began.
fn read_stretches(
    consumer: &BaseConsumer<Quiet>,
    topic: &str,
    open: &mut BTreeMap<i32, &mut Tail>,
    reach: i64,
    look: &mut impl Look,
) -> Result<(), String> {
    // Partition → the offset at which its stretch ends.
    let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
    let mut assignment = TopicPartitionList::new();
    for (&partition, tail) in open.iter_mut() {
        let from = tail.low.max(tail.high.saturating_sub(reach));
        ends.insert(partition, tail.read_from);
        tail.read_from = from;
        assignment.add_partition_offset(topic, partition, Offset::Offset(from)).map_err(|error| error.to_string())?;
    }
    consumer.assign(&assignment).map_err(|error| error.to_string())?;
    let mut deadline = Instant::now() + SILENCE;
    while !ends.is_empty() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                deadline = Instant::now() + SILENCE;
                let partition = message.partition();
                let (Some(&end), Some(tail)) = (ends.get(&partition), open.get_mut(&partition)) else { continue };
                if message.offset() < end {
                    tail.done |= look.look_at(&message);
                }
                // The end itself may be no record but a transaction's mark, or gone by compaction: then the end of the
                // partition, or a later record, says so.
                if message.offset() + 1 >= end {
                    ends.remove(&partition);
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => _ = ends.remove(&partition),
            Some(Err(error)) if Instant::now() > deadline => return Err(error.to_string()),
            None if Instant::now() > deadline => return Err(format!("no answer for {} s", SILENCE.as_secs())),
            Some(Err(_)) | None => {}
        }
    }
    Ok(())
}
