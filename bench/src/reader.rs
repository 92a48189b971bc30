//! Reading what arrives: how much of it, when the broker took it, and when it could be read.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};

const PATIENCE: Duration = Duration::from_secs(10);
/// How long nothing may arrive.
const STALL: Duration = Duration::from_secs(60);

/// Asks and reads; joins no group.
pub(crate) struct Reader {
    consumer: BaseConsumer,
    topic: String,
    partitions: Vec<i32>,
}

/// What lies in a topic.
pub(crate) struct Tally {
    pub(crate) records: u64,
    /// From the first record's time to the last one's.
    pub(crate) span: Duration,
}

impl Reader {
    pub(crate) fn new(bootstrap: &str, topic: &str) -> Result<Self> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", "bench")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("fetch.queue.backoff.ms", "1")
            .set("fetch.wait.max.ms", "10")
            .create()?;
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
        let found = metadata.topics().iter().flat_map(|topic| topic.partitions());
        let partitions: Vec<i32> = found.map(|partition| partition.id()).collect();
        ensure!(!partitions.is_empty(), "the broker does not know the topic {topic} yet");
        Ok(Self { topic: topic.to_owned(), partitions, consumer })
    }

    /// How many offsets are in use: all records, and with transactions their markers.
    pub(crate) fn offsets(&self) -> Result<u64> {
        let mut sum = 0;
        for &partition in &self.partitions {
            let (low, high) = self.consumer.fetch_watermarks(&self.topic, partition, PATIENCE)?;
            sum += (high - low).unsigned_abs();
        }
        Ok(sum)
    }

    /// Waits, with questions that cost next to nothing, until so many offsets are in use.
    pub(crate) fn wait_for_offsets(&self, wanted: u64) -> Result<()> {
        let (mut seen, mut moved) = (0, Instant::now());
        while seen < wanted {
            thread::sleep(Duration::from_millis(50));
            // Nobody may lead a partition for a moment, and a stopped broker answers nothing.
            if let Some(now) = self.offsets().ok().filter(|now| *now > seen) {
                (seen, moved) = (now, Instant::now());
            }
            ensure!(moved.elapsed() < STALL, "nothing arrived for {STALL:?}: {seen} of {wanted}");
        }
        Ok(())
    }

    /// Reads from the start until so many records were seen.
    pub(crate) fn tally(&self, wanted: u64) -> Result<Tally> {
        self.rewind()?;
        let (mut records, mut times, mut moved) = (0, None, Instant::now());
        while records < wanted {
            ensure!(moved.elapsed() < STALL, "nothing was read for {STALL:?}: {records} of {wanted}");
            let Some(message) = self.consumer.poll(Duration::from_millis(100)) else { continue };
            let time = message.context("cannot read")?.timestamp().to_millis().context("a record without a time")?;
            let (first, last) = times.get_or_insert((time, time));
            (*first, *last) = (time.min(*first), time.max(*last));
            records += 1;
            moved = Instant::now();
        }
        self.consumer.unassign()?;
        let (first, last) = times.unwrap_or_default();
        Ok(Tally { records, span: Duration::from_millis((last - first).unsigned_abs()) })
    }

    fn rewind(&self) -> Result<()> {
        let mut assignment = TopicPartitionList::new();
        for &partition in &self.partitions {
            assignment.add_partition_offset(&self.topic, partition, Offset::Beginning)?;
        }
        Ok(self.consumer.assign(&assignment)?)
    }
}

/// Tells when each record could be read, by the number that is its key. Dropping it ends it.
pub(crate) struct Arrivals {
    arrived: Receiver<(u64, Instant)>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Arrivals {
    pub(crate) fn watch(bootstrap: &str, topic: &str) -> Result<Self> {
        let reader = Reader::new(bootstrap, topic)?;
        reader.rewind()?;
        let (arrive, arrived) = channel();
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let thread =
            thread::Builder::new().name("arrivals".to_owned()).spawn(move || watch(&reader, &arrive, &ended))?;
        Ok(Self { arrived, end, thread: Some(thread) })
    }

    /// Waits for the next.
    pub(crate) fn next(&self, bound: Duration) -> Result<(u64, Instant)> {
        match self.arrived.recv_timeout(bound) {
            Ok(arrival) => Ok(arrival),
            Err(_) => bail!("no record arrived within {bound:?}"),
        }
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn watch(reader: &Reader, arrive: &Sender<(u64, Instant)>, end: &AtomicBool) {
    while !end.load(Ordering::Relaxed) {
        // Errors are those of a connection, which the client repairs; what does not arrive is noticed by its absence.
        let Some(Ok(message)) = reader.consumer.poll(Duration::from_millis(50)) else { continue };
        let now = Instant::now();
        let number = message.key().and_then(|key| std::str::from_utf8(key).ok()?.parse().ok());
        if number.is_some_and(|number| arrive.send((number, now)).is_err()) {
            return;
        }
    }
}
