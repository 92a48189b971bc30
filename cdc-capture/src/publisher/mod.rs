//! The Kafka side: events in, acknowledgements out.
//!
//! Guarantees: an event that was taken is acknowledged once it is on every in-sync replica, and in the order of its
//! partition; the first failure of any event poisons the whole publisher, which must then be replaced (an event behind
//! the failed one could otherwise overtake it). What it may hold is bounded in events and in bytes.
//!
//! With [transactions](TransactionSettings), an event is only acknowledged when the transaction that holds it is
//! committed.
//!
//! librdkafka's threads set one bit an event in an ack window and wake the relay; there is no lock and no allocation
//! of ours for an event.

mod context;
mod found;
mod hurry;
mod pace;
mod partitions;
mod read_back;
mod settings;
mod spans;
mod standstill;
mod tail;
mod transaction;

pub use context::Failure;
pub use found::{Found, Place};
pub use read_back::Start;
pub use settings::{MAX_IN_FLIGHT, UnusableSettings, check as check_settings, delivery};
pub use standstill::StoodStill;
pub(crate) use tail::consumer;
pub use transaction::TransactionSettings;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use contracts::envelope::Position;

use rdkafka::{
    config::FromClientConfigAndContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, Producer, PurgeConfig, ThreadedProducer},
};
use telemetry::kafka::Kafka;
use tokio::time::{sleep, timeout};

use crate::{outbox::Event, topic_partitions::TopicPartitions};
use context::{Context, Shared};
use hurry::Hurry;
use pace::{Lull, Pace};
use partitions::{Partitions, Wait};
use spans::SendSpans;
use transaction::Transactions;

/// How long an event may take to be acknowledged. A server's `wal_sender_timeout` is 60 s unless set.
pub const LONGEST_DELIVERY: Duration = Duration::from_secs(40);

/// How long the client may take to free its queue, which it does without a word: after [`Refused::Settling`], so long.
pub const SETTLING: Duration = Duration::from_millis(1);

/// For how long more of what comes fast is let come, where events linger for long enough to go with it.
const GATHERS_FOR: Duration = Duration::from_millis(5);

/// A producer and what it has been given.
pub struct Publisher {
    producer: Option<Arc<ThreadedProducer<Context>>>,
    shared: Arc<Shared>,
    partitions: Partitions,
    watch: standstill::Watch,
    spans: Option<SendSpans>,
    drained: u64,
    queue_bytes: u64,
    largest_message: usize,
    kafka: Kafka,
    topic_partitions: TopicPartitions,
    transactions: Option<Transactions>,
    hurry: Option<Hurry>,
    pace: Pace,
    /// For how long more of what comes fast is let come, before it is read.
    gathers_for: Duration,
}

/// Why an event was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Transient: as much as may be is in flight.
    #[error("the producer's queue is full")]
    Full,
    /// Transient: what was sent before must be acknowledged first, and should be hurried.
    #[error("an earlier event is on its way")]
    MustWait,
    /// Transient: [`Publisher::look_up`] was not asked about the topic.
    #[error("topic {0} is not known")]
    UnknownTopic(String),
    /// Transient: nothing is in flight, but librdkafka frees the room of a batch only after its last acknowledgement.
    #[error("the producer has not freed its queue yet")]
    Settling,
    /// Transient: a transaction is being committed.
    #[error("a transaction is being committed")]
    Committing,
    /// Definite: this event will never be taken with these settings.
    #[error("{0}")]
    TooLarge(String),
    /// The producer is of no more use.
    #[error("Kafka: {0}")]
    Failed(String),
}

/// Why the publisher is of no more use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An event was not delivered.
    #[error(transparent)]
    Undelivered(#[from] Failure),
    /// A transaction was not committed, or nobody knows whether it was.
    #[error("{0}")]
    Uncommitted(String),
}

/// Whether a topic can be written to.
#[derive(Debug)]
pub enum TopicState {
    /// It is there, and these events need not be sent to it again.
    There(Found),
    /// The cluster answers that it is not, or that it may not be written to.
    Missing(String),
    /// The cluster does not answer, or nothing may be sent as things are.
    Unknown(String),
}

impl TopicState {
    fn unreadable(reason: &str) -> Self {
        Self::Unknown(format!("cannot be read back: {reason} (permit reading it, or see --read-back)"))
    }
}

impl Publisher {
    /// A producer that has not connected yet. An event that is not acknowledged within `longest_delivery`, however long
    /// the process may have been stopped meanwhile, is not sent any more and fails.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(
        kafka: &Kafka,
        topic_partitions: TopicPartitions,
        linger: Duration,
        longest_delivery: Duration,
        trace: bool,
        transactions: Option<TransactionSettings>,
    ) -> Result<Self, UnusableSettings> {
        let id = transactions.as_ref().map(|transactions| transactions.id.as_str());
        let config = settings::client_config(kafka, linger, longest_delivery, id);
        let shared = Arc::new(Shared::new());
        let context = Context::new(Arc::clone(&shared));
        let producer = ThreadedProducer::from_config_and_context(&config, context).map_err(UnusableSettings::from)?;
        let spans = trace.then(SendSpans::default);
        let (queue_bytes, largest_message) = (settings::queue_bytes(&config), settings::largest_message(&config));
        let (producer, kafka) = (Arc::new(producer), kafka.clone());
        let transactions = transactions.map(Transactions::new);
        let hurry = Hurry::new(&producer).inspect_err(|error| tracing::warn!(%error, "no thread for flushing")).ok();
        Ok(Self {
            producer: Some(producer),
            shared,
            partitions: Partitions::default(),
            watch: standstill::Watch::new(delivery(&kafka, longest_delivery) * 2 / 5, Instant::now()),
            spans,
            drained: 0,
            queue_bytes,
            largest_message,
            kafka,
            topic_partitions,
            transactions,
            hurry,
            pace: Pace::new(Instant::now()),
            gathers_for: GATHERS_FOR.min(linger / 2),
        })
    }

    /// The largest message that it takes, in bytes, with key and headers.
    pub fn largest_message(&self) -> usize {
        self.largest_message
    }

    /// Ends what an earlier relay of this slot has under way, and gives the position up to which its transactions hold
    /// everything. To be waited for before the first event is sent, and only by who has the slot.
    pub fn begin(&self) -> impl Future<Output = Result<Option<Position>, String>> + Send + 'static {
        let (kafka, settings) = (self.kafka.clone(), self.transactions.as_ref().map(|all| all.settings().clone()));
        let begun = self.blocking(move |producer| match &settings {
            Some(settings) => transaction::begin(producer, &kafka, settings),
            None => Ok(None),
        });
        async move { begun.await? }
    }

    /// The topic of the transactions' positions, if events are sent in transactions.
    pub fn position_topic(&self) -> Option<&str> {
        Some(&self.transactions.as_ref()?.settings().topic)
    }

    /// Hands an event to the producer as the one with this number; numbers start at 0 and rise by 1.
    ///
    /// # Errors
    /// When it was not taken. Then the number is still free.
    pub fn send(&mut self, number: u64, event: &Event<'_>) -> Result<(), Refused> {
        self.room_for(number)?;
        let Some(producer) = &self.producer else { return Err(Refused::Failed("the producer has ended".to_owned())) };
        // With transactions none needs to go alone: nobody reads what is in one that was not committed.
        let acknowledged = if self.transactions.is_some() { u64::MAX } else { self.drained };
        let partition = match self.partitions.of(event.topic, event.key, acknowledged) {
            Err(Wait::UnknownTopic) => {
                for (topic, count) in self.shared.take_topics() {
                    self.partitions.topic_has(topic, count);
                }
                self.partitions.of(event.topic, event.key, acknowledged)
            }
            known => known,
        }
        .map_err(|wait| match wait {
            Wait::First => Refused::MustWait,
            Wait::UnknownTopic => Refused::UnknownTopic(event.topic.to_owned()),
        })?;
        if let Some(transactions) = &mut self.transactions
            && !transactions.open(producer, number).map_err(Refused::Failed)?
        {
            return Err(Refused::Committing);
        }
        let mut headers = OwnedHeaders::new_with_capacity(event.headers.len());
        for (key, value) in event.headers.iter() {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let span = self.spans.as_ref().and_then(|_| spans::span_of(event));
        let mut record = BaseRecord::<str, [u8], usize>::with_opaque_to(event.topic, number as usize)
            .key(event.key)
            .partition(partition)
            .headers(headers);
        record.payload = event.payload;
        // At once before and behind: what is handed over in the middle of a standstill is as good as new, and would be sent.
        self.watch.look(Instant::now()).map_err(|stood_still| Refused::Failed(stood_still.to_string()))?;
        let sent = producer.send(record);
        if let Err(stood_still) = self.watch.look(Instant::now()) {
            self.purge();
            return Err(Refused::Failed(stood_still.to_string()));
        }
        match sent {
            Ok(()) => {
                self.partitions.sent(event.topic, partition, number);
                if let (Some(spans), Some(span)) = (&mut self.spans, span) {
                    spans.sent(number, span);
                }
                Ok(())
            }
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                if event.payload.is_some_and(|payload| payload.len() as u64 > self.queue_bytes) {
                    let reason = "it is larger than the producer's whole queue (queue.buffering.max.kbytes)";
                    return Err(Refused::TooLarge(reason.to_owned()));
                }
                Err(if number > self.drained { Refused::Full } else { Refused::Settling })
            }
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _)) => {
                Err(Refused::TooLarge(format!(
                    "a message of {} bytes and its headers is over message.max.bytes",
                    event.payload.map_or(0, <[u8]>::len)
                )))
            }
            // Why an error is fatal is only said when asked.
            Err((error, _)) => Err(Refused::Failed(match producer.client().fatal_error() {
                Some((RDKafkaErrorCode::ClusterAuthorizationFailed, reason)) => {
                    format!("{reason} (permit Write on the topics)")
                }
                Some((_, reason)) => reason,
                None => telemetry::database::reason(&error),
            })),
        }
    }

    /// From now on the clock is looked at.
    pub fn watch_the_clock(&mut self) {
        self.watch = standstill::Watch::new(self.watch.patience(), Instant::now());
    }

    /// Looks at the clock. To be done now and then, and before anything is handed over.
    ///
    /// # Errors
    /// When so much time has passed since the last time that another may have the slot. What is queued is given up.
    pub fn look_at_the_clock(&mut self) -> Result<(), StoodStill> {
        self.watch.look(Instant::now()).inspect_err(|_| self.purge())
    }

    /// How much time may pass between two looks at the clock, and between an event and its acknowledgement.
    pub fn patience(&self) -> Duration {
        self.watch.patience()
    }

    /// Nothing comes behind the event before this number for now. Where events came one by one, what waits for more to be sent
    /// together is sent at once. Where they come fast, gives for how long more of them should be let come before they are read:
    /// relay and server do less for each then.
    pub fn lull(&mut self, next: u64) -> Option<Duration> {
        self.look_at_the_clock().ok()?;
        match (self.pace.lull(next, Instant::now()), &self.hurry, &self.producer) {
            (Lull::Gap, ..) => return Some(self.gathers_for),
            (Lull::End, Some(hurry), Some(producer)) => hurry.hurry(producer),
            _ => {}
        }
        None
    }

    /// The event that was taken last stands here in the log.
    pub fn stands_at(&mut self, position: Position) {
        if let Some(transactions) = &mut self.transactions {
            transactions.stands_at(position);
        }
    }

    /// Takes the event with this number as one that Kafka has acknowledged before.
    ///
    /// # Errors
    /// When too much is in flight. Then the number is still free.
    pub fn leave_out(&mut self, number: u64) -> Result<(), Refused> {
        self.room_for(number)?;
        self.shared.left_out(number);
        Ok(())
    }

    /// Whether the window of acknowledgements reaches so far.
    fn room_for(&self, number: u64) -> Result<(), Refused> {
        if number - self.drained < self.shared.window.capacity() { Ok(()) } else { Err(Refused::Full) }
    }

    /// Waits until something was acknowledged or has failed since [`Publisher::acknowledged`] was asked last.
    pub async fn changed(&self) {
        self.shared.changed().await;
    }

    /// All events with a number below this one are acknowledged, with transactions committed; `next` is the first that
    /// was not sent.
    ///
    /// # Errors
    /// When an event was not delivered, or a transaction was not committed.
    pub fn acknowledged(&mut self, next: u64) -> Result<u64, Error> {
        self.shared.listen();
        self.drained = self.shared.window.drain(self.drained, next);
        if let Some(spans) = &mut self.spans {
            spans.acknowledged(self.drained);
        }
        if let Some(failure) = self.shared.failure() {
            return Err(failure.into());
        }
        match (&mut self.transactions, &self.producer) {
            (Some(transactions), Some(producer)) => {
                transactions.advance(producer, &self.shared, self.drained).map_err(Error::Uncommitted)
            }
            _ => Ok(self.drained),
        }
    }

    /// All events with a number below this one were with the broker when [`Publisher::acknowledged`] was asked last.
    pub fn delivered(&self) -> u64 {
        self.drained
    }

    /// When [`Publisher::commit`] should be called, if a transaction is open; `next` is the first event that was not sent.
    pub fn commit_due(&self, next: u64) -> Option<Instant> {
        self.transactions.as_ref()?.due(next)
    }

    /// Begins to commit the open transaction, if there is one; [`Publisher::acknowledged`] goes on with it.
    ///
    /// # Errors
    /// When its position cannot be sent.
    pub fn commit(&mut self, next: u64) -> Result<(), Error> {
        if let (Some(transactions), Some(producer)) = (&mut self.transactions, &self.producer) {
            let was_closed = transactions.is_closed();
            transactions.close(producer, &self.shared, next).map_err(Error::Uncommitted)?;
            // No event is taken until all of it is delivered.
            if let Some(hurry) = self.hurry.as_ref().filter(|_| !was_closed && transactions.is_closed()) {
                hurry.hurry_all();
            }
        }
        Ok(())
    }

    /// Whether a transaction is being committed, so that no event is taken.
    pub fn is_committing(&self) -> bool {
        self.transactions.as_ref().is_some_and(Transactions::is_closed)
    }

    /// The first failure, when there is one already.
    pub fn failure(&self) -> Option<Failure> {
        self.shared.failure()
    }

    /// Keys and values delivered, in bytes.
    pub fn delivered_bytes(&self) -> u64 {
        self.shared.delivered_bytes()
    }

    /// What the client complained about since the last acknowledgement; `None` when it did not.
    pub fn trouble(&self) -> Option<String> {
        self.shared.trouble()
    }

    /// Waits until a new producer has heard from the cluster, for at most `patience`; gives why it has not, in the client's
    /// words.
    pub fn reach(&self, patience: Duration) -> impl Future<Output = Result<(), String>> + Send + 'static {
        self.ask(move |producer| {
            let client = producer.client();
            // The client asks once, when it has connected. A broker that has just come back may answer that there is no
            // broker, and is not asked again for minutes unless we do.
            let first = patience / 4;
            client.fetch_cluster_id(first).is_some() || client.fetch_metadata(None, patience - first).is_ok()
        })
    }

    /// Asks the cluster anew, for at most `patience`: about `topic`, or when none is known about all that there is.
    pub fn probe(
        &self,
        topic: Option<String>,
        patience: Duration,
    ) -> impl Future<Output = Result<(), String>> + Send + 'static {
        self.ask(move |producer| producer.client().fetch_metadata(topic.as_deref(), patience).is_ok())
    }

    /// The answer does not hold on to the publisher, so that it can be waited for beside other things.
    fn ask(
        &self,
        question: impl FnOnce(&ThreadedProducer<Context>) -> bool + Send + 'static,
    ) -> impl Future<Output = Result<(), String>> + Send + 'static {
        let asked = self.blocking(question);
        let shared = Arc::clone(&self.shared);
        async move {
            if asked.await? {
                shared.no_trouble();
                return Ok(());
            }
            Err(shared.trouble().unwrap_or_else(|| "no broker answers".to_owned()))
        }
    }

    /// Asks the cluster for a topic, for at most `patience`, and reads back what it holds already, if that is wanted.
    pub fn look_up(
        &self,
        topic: String,
        patience: Duration,
        start: Option<Start>,
    ) -> impl Future<Output = TopicState> + Send + 'static {
        let (kafka, shared) = (self.kafka.clone(), Arc::clone(&self.shared));
        let topic_partitions = self.topic_partitions.clone();
        let looked_up = self.blocking(move |producer| {
            let metadata = producer.client().fetch_metadata(Some(&topic), patience);
            let metadata = match metadata {
                Ok(metadata) => metadata,
                Err(error) => return TopicState::Unknown(error.to_string()),
            };
            match metadata.topics().iter().find(|found| found.name() == topic) {
                None => TopicState::Unknown("no answer about the topic".to_owned()),
                Some(found) => match found.error() {
                    Some(error) => TopicState::Missing(RDKafkaErrorCode::from(error).to_string()),
                    None if found.partitions().is_empty() => TopicState::Missing("it has no partitions".to_owned()),
                    None => {
                        let partitions: Vec<i32> = found.partitions().iter().map(|partition| partition.id()).collect();
                        if let Err(wrong) = topic_partitions.admit(&topic, partitions.len()) {
                            return TopicState::Unknown(wrong.to_string());
                        }
                        shared.topic_has(&topic, partitions.len());
                        let Some(start) = &start else { return TopicState::There(Found::default()) };
                        read_back::read_back(&kafka, &topic, &partitions, start)
                            .map_or_else(|reason| TopicState::unreadable(&reason), TopicState::There)
                    }
                },
            }
        });
        async move { looked_up.await.unwrap_or_else(TopicState::Unknown) }
    }

    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ThreadedProducer<Context>) -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, String>> + Send + 'static {
        let producer = self.producer.clone();
        async move {
            let producer = producer.ok_or_else(|| "the producer has ended".to_owned())?;
            let answer = tokio::task::spawn_blocking(move || work(&producer)).await;
            answer.map_err(|error| error.to_string())
        }
    }

    /// Sends nothing more, and waits for at most `patience` for the answers to what has been sent.
    pub async fn wind_down(&self, patience: Duration) {
        let Some(producer) = &self.producer else { return };
        producer.purge(PurgeConfig::default().queue().non_blocking());
        let answered = async {
            // The client frees its queue without a word.
            while producer.in_flight_count() > 0 {
                sleep(SETTLING).await;
            }
        };
        _ = timeout(patience, answered).await;
    }

    /// Gives up what is not acknowledged: what was not sent yet is not sent any more, and nothing is tried again.
    pub fn purge(&self) {
        if let Some(producer) = &self.producer {
            // Without waiting for the threads that send, which may be looking a host's name up.
            producer.purge(PurgeConfig::default().queue().inflight().non_blocking());
        }
    }

    /// Drops the producer and what it still holds, off the async threads, since that takes a moment.
    pub async fn discard(mut self) {
        if let Some(producer) = self.producer.take() {
            // It cannot fail but by a panic in librdkafka's destructor, of which nothing depends any more.
            let _ = tokio::task::spawn_blocking(move || drop(producer)).await;
        }
    }
}
