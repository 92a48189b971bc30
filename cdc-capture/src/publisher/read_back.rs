//! Reading a topic backwards to what is confirmed, so that a restart repeats nothing that Kafka already has.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use contracts::envelope::{Lsn, Position, names};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    client::ClientContext,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::KafkaError,
    message::{BorrowedMessage, Headers},
};
use telemetry::kafka::Kafka;

use super::found::{Found, Told};
use crate::{outbox::dead_letter::names as dead_letter, replication::Server};

/// How far back each round goes, in records before a partition's end. Rarely is more in flight than the third allows for.
const REACH: [i64; 5] = [32, 1_024, 16_384, 131_072, 1_048_576];
/// In so many records that are all of others, no unconfirmed one is looked for: that is far more than can be in flight.
const OTHERS: i64 = REACH[3];
/// How long the cluster may say nothing.
const SILENCE: Duration = Duration::from_secs(5);

/// Where a stream starts.
#[derive(Clone, Debug)]
pub struct Start {
    /// The server that gives the log.
    pub server: Server,
    /// What the slot has as confirmed.
    pub confirmed: Lsn,
}

/// Errors of the client are told by the caller.
struct Quiet;

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
    /// An event of this server was seen.
    ours: bool,
    done: bool,
}

/// The events in `topic` that may come again in a stream that starts there. Blocks, for some milliseconds as a rule.
///
/// Committed records only. When there are too many to look at, nothing counts as found: a repetition of all ends in
/// the right order, one with holes might not.
///
/// # Errors
/// When the topic cannot be read.
pub(super) fn read_back(kafka: &Kafka, topic: &str, partitions: &[i32], start: &Start) -> Result<Found, String> {
    let consumer = consumer(kafka)?;
    let mut tails = BTreeMap::new();
    for &partition in partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition, SILENCE).map_err(|error| error.to_string())?;
        tails.insert(partition, Tail { low, high, read_from: high, ours: false, done: high <= low });
    }
    let mut found = Found::default();
    for reach in REACH {
        let mut open: BTreeMap<i32, &mut Tail> =
            tails.iter_mut().filter(|(_, tail)| !tail.done).map(|(partition, tail)| (*partition, tail)).collect();
        if open.is_empty() {
            return Ok(found);
        }
        read_stretches(&consumer, topic, &mut open, reach, start, &mut found)?;
        for tail in open.values_mut() {
            tail.done |= tail.read_from == tail.low || reach >= OTHERS && !tail.ours;
        }
    }
    if tails.values().all(|tail| tail.done) {
        return Ok(found);
    }
    tracing::warn!(topic, "too many events since the confirmed position to look at: all of them are sent again");
    Ok(Found::default())
}

fn consumer(kafka: &Kafka) -> Result<BaseConsumer<Quiet>, String> {
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
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "error")
        .set("fetch.wait.max.ms", "5")
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.message.max.bytes", "1048576")
        .set("queued.max.messages.kbytes", "4096");
    BaseConsumer::from_config_and_context(&config, Quiet).map_err(|error| telemetry::kafka::reason(&error))
}

/// Reads the next stretch of each open partition: from `reach` before its end to where the round before began.
fn read_stretches(
    consumer: &BaseConsumer<Quiet>,
    topic: &str,
    open: &mut BTreeMap<i32, &mut Tail>,
    reach: i64,
    start: &Start,
    found: &mut Found,
) -> Result<(), String> {
    // Partition → the offset at which its stretch ends.
    let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
    let mut assignment = TopicPartitionList::new();
    for (&partition, tail) in open.iter_mut() {
        let from = tail.low.max(tail.high - reach);
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
                    let told = look_at(&message, start, found);
                    tail.ours |= told != Told::Nothing;
                    tail.done |= told == Told::Confirmed;
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

fn look_at(message: &BorrowedMessage<'_>, start: &Start, found: &mut Found) -> Told {
    let (mut position, mut id) = (None, None);
    for header in message.headers().into_iter().flat_map(Headers::iter) {
        let text = || std::str::from_utf8(header.value?).ok();
        match header.key {
            names::POSITION => position = text().and_then(|text| text.parse::<Position>().ok()),
            names::ID => id = text(),
            // As Debezium's outbox router calls it.
            "id" | dead_letter::ID if id.is_none() => id = text(),
            _ => {}
        }
    }
    found.note(&start.server, start.confirmed, position.as_ref(), id)
}
