//! Kafka transactions: events, and the position of the last of them in a compacted topic, are there together or not at
//! all; and whoever begins with the same transactional id ends the transactions of the one before.
//!
//! ```text
//!   none ──event──▶ open ──due──▶ closing ──all delivered──▶ committing ──▶ none
//!                                 no event is taken any more
//! ```

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use contracts::envelope::Position;
use rdkafka::{
    Message,
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
    producer::{BaseRecord, Producer, ThreadedProducer},
};
use telemetry::kafka::Kafka;
use tokio::sync::oneshot;

use super::{
    SETTLING,
    context::{Context, Shared},
    tail::{self, Look},
};

/// A transaction of few events is committed so soon after its first one.
const SOON: Duration = Duration::from_millis(5);
/// With so many events in that time there is a backlog, for which larger transactions are cheaper.
const FEW: u64 = 256;
/// The most events of a transaction. What is remembered of each until the commit is bounded by it.
const MOST: u64 = 65_536;
/// How long the cluster may take to end the transactions of an earlier relay, or to commit.
const PATIENCE: Duration = Duration::from_secs(15);

/// Records from the end of the positions' topic in each round. The last is all of them.
const ROUNDS: [i64; 4] = [32, 1_024, 32_768, i64::MAX];

/// The number of the record that holds the position, which no event has.
pub(super) const POSITION_RECORD: usize = usize::MAX;

/// How a publisher's transactions are called, and where their positions are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionSettings {
    /// Kafka's `transactional.id`, and the key of the position's records.
    pub id: String,
    /// The compacted topic with the positions.
    pub topic: String,
    /// The longest time that a transaction is open.
    pub longest: Duration,
}

/// The transactions of one producer.
pub(super) struct Transactions {
    settings: TransactionSettings,
    phase: Phase,
    /// All events below this number are committed, or needed no transaction.
    committed: u64,
    /// Where the last event of the transaction stands in the log, if it does.
    position: Option<Position>,
}

enum Phase {
    None,
    Open {
        since: Instant,
        first: u64,
    },
    /// Events below `upto` are in it, and the position's record when it is `recorded`.
    Closing {
        upto: u64,
        recorded: bool,
    },
    Committing {
        upto: u64,
        outcome: oneshot::Receiver<Result<(), String>>,
    },
}

type Handle = Arc<ThreadedProducer<Context>>;

impl Transactions {
    pub(super) fn new(settings: TransactionSettings) -> Self {
        Self { settings, phase: Phase::None, committed: 0, position: None }
    }

    pub(super) fn settings(&self) -> &TransactionSettings {
        &self.settings
    }

    /// Whether an event can be taken now; it opens a transaction when none is open.
    pub(super) fn open(&mut self, producer: &Handle, number: u64) -> Result<bool, String> {
        match self.phase {
            Phase::Open { .. } => Ok(true),
            Phase::Closing { .. } | Phase::Committing { .. } => Ok(false),
            Phase::None => {
                producer.begin_transaction().map_err(|error| reason(&error))?;
                self.phase = Phase::Open { since: Instant::now(), first: number };
                Ok(true)
            }
        }
    }

    /// The event that was taken last stands here in the log.
    pub(super) fn stands_at(&mut self, position: Position) {
        self.position = Some(position);
    }

    /// When [`Self::close`] should be called, if a transaction is open; `next` is the first event that was not taken.
    pub(super) fn due(&self, next: u64) -> Option<Instant> {
        let (since, first) = match self.phase {
            Phase::Open { since, first } => (since, first),
            Phase::Closing { recorded: false, .. } => return Some(Instant::now() + SETTLING),
            Phase::None | Phase::Closing { .. } | Phase::Committing { .. } => return None,
        };
        let events = next - first;
        Some(match events {
            MOST.. => since,
            FEW.. => since + self.settings.longest,
            _ => since + SOON.min(self.settings.longest),
        })
    }

    /// Whether no event is taken until the transaction is committed.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. } | Phase::Committing { .. })
    }

    /// Takes no further event into the open transaction, and sends its position as soon as there is room for it.
    pub(super) fn close(&mut self, producer: &Handle, shared: &Shared, next: u64) -> Result<(), String> {
        let upto = match self.phase {
            Phase::Open { .. } => next,
            Phase::Closing { upto, recorded: false } => upto,
            Phase::None | Phase::Closing { .. } | Phase::Committing { .. } => return Ok(()),
        };
        shared.position_unwritten();
        self.phase = Phase::Closing { upto, recorded: self.record(producer)? };
        Ok(())
    }

    /// Hands the position to the producer, if there is one and room for it.
    fn record(&self, producer: &Handle) -> Result<bool, String> {
        let TransactionSettings { id, topic, .. } = &self.settings;
        let Some(position) = self.position.map(|position| position.to_string()) else { return Ok(true) };
        let record = BaseRecord::<str, str, usize>::with_opaque_to(topic, POSITION_RECORD);
        match producer.send(record.key(id).payload(&position)) {
            Ok(()) => Ok(true),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => Ok(false),
            Err((error, _)) => Err(reason(&error)),
        }
    }

    /// Goes on as far as it can, all events below `delivered` being with the broker. Gives the number below which all
    /// are committed.
    pub(super) fn advance(&mut self, producer: &Handle, shared: &Arc<Shared>, delivered: u64) -> Result<u64, String> {
        match &mut self.phase {
            Phase::None => self.committed = delivered,
            Phase::Open { .. } => {}
            Phase::Closing { upto, recorded } => {
                let upto = *upto;
                let is_written = *recorded && (self.position.is_none() || shared.is_position_written());
                if is_written && delivered >= upto {
                    self.phase = Phase::Committing { upto, outcome: commit(producer, shared) };
                }
            }
            Phase::Committing { upto, outcome } => match outcome.try_recv() {
                Ok(outcome) => {
                    outcome?;
                    self.committed = *upto;
                    self.phase = Phase::None;
                }
                Err(oneshot::error::TryRecvError::Empty) => {}
                Err(oneshot::error::TryRecvError::Closed) => return Err("the commit was given up".to_owned()),
            },
        }
        Ok(self.committed)
    }
}

/// Commits on another thread, since that waits for the cluster, and wakes the relay.
fn commit(producer: &Handle, shared: &Arc<Shared>) -> oneshot::Receiver<Result<(), String>> {
    let (tell, outcome) = oneshot::channel();
    let (producer, shared) = (Arc::clone(producer), Arc::clone(shared));
    tokio::task::spawn_blocking(move || {
        let committed = patiently(|patience| producer.commit_transaction(patience));
        // Nobody listens any more once the publisher is gone.
        let _ = tell.send(committed);
        shared.wake();
    });
    outcome
}

/// Ends the transactions of whoever had this id before, and gives the position that was committed last. Blocks.
///
/// The position's topic should have one partition: all records of one key are in the same one then, whatever is added.
pub(super) fn begin(
    producer: &ThreadedProducer<Context>,
    kafka: &Kafka,
    settings: &TransactionSettings,
) -> Result<Option<Position>, String> {
    patiently(|patience| producer.init_transactions(patience))?;
    let mut last = Last { id: &settings.id, position: None };
    let topic = &settings.topic;
    // What lies behind another slot's open transaction is not read.
    if !tail::until_committed(kafka, topic, PATIENCE).map_err(|reason| unreadable(topic, &reason))? {
        return Err(format!(
            "topic {topic}: another transaction is open on it, which ends by itself within its transaction.timeout.ms"
        ));
    }
    match tail::read(kafka, topic, None, &ROUNDS, &mut last) {
        Ok(_) => Ok(last.position),
        Err(reason) => Err(unreadable(topic, &reason)),
    }
}

fn unreadable(topic: &str, reason: &str) -> String {
    format!("topic {topic}: cannot be read: {reason} (create it or permit reading it)")
}

/// The last position of one slot among those of others.
struct Last<'a> {
    id: &'a str,
    position: Option<Position>,
}

impl Look for Last<'_> {
    fn look_at(&mut self, message: &BorrowedMessage<'_>) -> bool {
        if message.key() != Some(self.id.as_bytes()) {
            return false;
        }
        let text = message.payload().and_then(|value| std::str::from_utf8(value).ok());
        self.position = text.and_then(|text| text.parse().ok());
        true
    }
}

/// Some errors are only a matter of time.
fn patiently(mut work: impl FnMut(Duration) -> Result<(), KafkaError>) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match work(PATIENCE) {
            Ok(()) => return Ok(()),
            Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => {}
            Err(error) => return Err(reason(&error)),
        }
    }
}

fn reason(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch) => {
            "another relay of this slot has begun: this one's transaction is void".to_owned()
        }
        Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed) => {
            format!("{} (permit Write on the transactional id cdc-capture-…)", telemetry::database::reason(error))
        }
        _ => format!("transaction: {}", telemetry::database::reason(error)),
    }
}
