//! What librdkafka's threads tell the relay.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use contracts::envelope::names;
use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Headers, Message},
    producer::ProducerContext,
};
use std::sync::Arc;
use tokio::sync::Notify;

use super::{settings::MAX_IN_FLIGHT, transaction::POSITION_RECORD};
use crate::{outbox::dead_letter::names as dead_letter, progress::AckWindow};

/// An event that the broker did not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {id} was not delivered to {topic}: {reason}")]
pub struct Failure {
    /// The event's id.
    pub id: String,
    /// Its topic.
    pub topic: String,
    /// Its place in the log, as its header says.
    pub position: String,
    /// Why.
    pub reason: String,
    /// Definite: the broker will refuse it again, so that it is the row that must be dealt with, or a limit.
    pub is_unpublishable: bool,
    /// It was given up because another was refused; which one may be told a moment later.
    pub is_consequence: bool,
}

/// What both sides see.
pub(super) struct Shared {
    pub(super) window: AckWindow,
    bytes: AtomicU64,
    signalled: AtomicBool,
    notify: Notify,
    troubled: AtomicBool,
    trouble: Mutex<Option<String>>,
    failed: AtomicBool,
    failure: Mutex<Option<Failure>>,
    position_written: AtomicBool,
    /// Topics that were looked up, and how many partitions they have.
    topics: Mutex<Vec<(String, usize)>>,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            window: AckWindow::new(MAX_IN_FLIGHT),
            bytes: AtomicU64::new(0),
            signalled: AtomicBool::new(false),
            notify: Notify::new(),
            troubled: AtomicBool::new(false),
            trouble: Mutex::new(None),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
            position_written: AtomicBool::new(false),
            topics: Mutex::new(Vec::new()),
        }
    }

    /// From here on a change wakes the relay again. Must come before the window is drained: what is acknowledged after
    /// the draining is then sure to be signalled.
    pub(super) fn listen(&self) {
        self.signalled.swap(false, Ordering::SeqCst);
    }

    pub(super) async fn changed(&self) {
        self.notify.notified().await;
    }

    pub(super) fn delivered_bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        if !self.failed.load(Ordering::Acquire) {
            return None;
        }
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn trouble(&self) -> Option<String> {
        if !self.troubled.load(Ordering::Acquire) {
            return None;
        }
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn no_trouble(&self) {
        self.troubled.store(false, Ordering::Release);
    }

    /// Wakes the relay whatever it has heard before.
    pub(super) fn wake(&self) {
        self.notify.notify_one();
    }

    /// A transaction's position is about to be sent.
    pub(super) fn position_unwritten(&self) {
        self.position_written.store(false, Ordering::Release);
    }

    /// Whether the broker has the transaction's position.
    pub(super) fn is_position_written(&self) -> bool {
        self.position_written.load(Ordering::Acquire)
    }

    /// A topic has so many partitions.
    pub(super) fn topic_has(&self, topic: &str, partitions: usize) {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner).push((topic.to_owned(), partitions));
    }

    /// What was learnt of topics since this was asked last.
    pub(super) fn take_topics(&self) -> Vec<(String, usize)> {
        std::mem::take(&mut self.topics.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn signal(&self) {
        if !self.signalled.load(Ordering::SeqCst) && !self.signalled.swap(true, Ordering::SeqCst) {
            self.notify.notify_one();
        }
    }

    fn delivered(&self, number: u64, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.window.acknowledge(number);
        if self.troubled.load(Ordering::Relaxed) {
            self.no_trouble();
        }
        self.signal();
    }

    pub(super) fn left_out(&self, number: u64) {
        self.window.acknowledge(number);
        self.signal();
    }

    fn failed(&self, failure: impl FnOnce() -> Failure) {
        let mut told = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if told.as_ref().is_none_or(|earlier| earlier.is_consequence) {
            *told = Some(failure());
            self.failed.store(true, Ordering::Release);
            self.notify.notify_one();
        }
    }
}

/// The callbacks.
pub(super) struct Context {
    shared: Arc<Shared>,
}

impl Context {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, "librdkafka: {message}");
            }
            // Also each failed try to connect: the health part says so already.
            _ => tracing::debug!(facility, "librdkafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let trouble = format!("{error}: {reason}");
        tracing::debug!(trouble, "librdkafka");
        // That all brokers are down says less than why the last one is.
        let mut last = self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let says_little = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        if last.is_none() || !says_little {
            *last = Some(trouble);
        }
        drop(last);
        self.shared.troubled.store(true, Ordering::Release);
        self.shared.notify.notify_one();
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        match result {
            Ok(_) if number == POSITION_RECORD => {
                self.shared.position_written.store(true, Ordering::Release);
                self.shared.wake();
            }
            Ok(message) => {
                self.shared.delivered(number as u64, message.payload_len() + message.key_len());
            }
            Err((error, message)) => self.shared.failed(|| {
                let header = |name: &str| {
                    let found = message.headers()?.iter().find(|header| header.key == name)?.value?;
                    Some(String::from_utf8_lossy(found).into_owned())
                };
                let is_position = number == POSITION_RECORD;
                let code = error.rdkafka_error_code();
                let id = header(names::ID).or_else(|| header(dead_letter::ID));
                Failure {
                    id: if is_position { "with the position".to_owned() } else { id.unwrap_or_default() },
                    topic: message.topic().to_owned(),
                    position: header(names::POSITION).unwrap_or_default(),
                    reason: telemetry::database::reason(error),
                    // No row is to blame for the position's record.
                    is_unpublishable: !is_position
                        && matches!(
                            code,
                            Some(
                                RDKafkaErrorCode::MessageSizeTooLarge
                                    | RDKafkaErrorCode::InvalidMessage
                                    | RDKafkaErrorCode::InvalidMessageSize
                                    | RDKafkaErrorCode::InvalidRecord
                            )
                        ),
                    is_consequence: matches!(
                        code,
                        Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight)
                    ),
                }
            }),
        }
    }
}
