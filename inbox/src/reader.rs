//! From Kafka's messages to batches of the handler's events. No I/O but the poll.

use std::collections::BTreeMap;

use futures::{FutureExt, StreamExt};
use rdkafka::{
    error::KafkaError,
    message::{BorrowedMessage, Message as _},
};

use crate::{
    Handler,
    batch::{Batch, Reading},
    consumer::Member,
    handler,
    intake::Setting,
    lanes::Lanes,
    message::Message,
    span,
    topics::Partition,
};

/// After so many messages in one go the task lets others have a turn: among them the writing of the batch before.
const TURN: usize = 64;

/// Reads messages and knows how far.
pub(crate) struct Reader<'a, H> {
    of: &'a Setting<H>,
    /// The next offset of each partition of this instance.
    next: BTreeMap<Partition, i64>,
}

impl<'a, H: Handler> Reader<'a, H> {
    pub(crate) fn new(of: &'a Setting<H>) -> Self {
        Self { of, next: BTreeMap::new() }
    }

    /// Goes on from these offsets; messages of other partitions are dropped.
    pub(crate) fn go_on_from(&mut self, next: BTreeMap<Partition, i64>) {
        self.next = next;
    }

    /// The next offset of a partition of this instance.
    pub(crate) fn next(&self, partition: Partition) -> Option<i64> {
        self.next.get(&partition).copied()
    }

    /// The next offset of each.
    pub(crate) fn all_next(&self) -> &BTreeMap<Partition, i64> {
        &self.next
    }

    /// Waits for a message, then takes all that are there, as far as there is room for them. A message that was taken is in
    /// its batch, also when the wait is given up.
    ///
    /// # Errors
    /// What the client reports in between.
    pub(crate) async fn fill(&mut self, member: &Member, lanes: &mut Lanes<'_, H>) -> Result<(), KafkaError> {
        let mut messages = member.messages();
        let mut received = messages.next().await;
        let mut turn = 0;
        while let Some(message) = received {
            self.take(&message?, lanes);
            if !lanes.has_room() {
                break;
            }
            turn += 1;
            if turn % TURN == 0 {
                tokio::task::yield_now().await;
            }
            received = messages.next().now_or_never().flatten();
        }
        Ok(())
    }

    fn take(&mut self, message: &BorrowedMessage<'_>, lanes: &mut Lanes<'_, H>) {
        let Some(partition) = self.of.topics.partition(message.topic(), message.partition()) else { return };
        if self.accepts(partition, message.offset()) {
            let message = Message::copy(message, partition);
            let batch = lanes.ahead_of(partition);
            let reading = self.read(&message, batch);
            batch.push(message, reading);
        }
    }

    /// Whether the message is one that has not been read yet. Offsets between the one awaited and this one do not exist:
    /// they were compacted, or are markers of transactions.
    fn accepts(&mut self, partition: Partition, offset: i64) -> bool {
        match self.next.get_mut(&partition) {
            Some(next) if offset >= *next => {
                *next = offset + 1;
                true
            }
            _ => false,
        }
    }

    fn read(&self, message: &Message, batch: &mut Batch<H::Event>) -> Reading<H::Event> {
        let topic = self.of.topics.of(message.partition);
        let delivery = match message.read(topic) {
            Ok(delivery) => delivery,
            Err(error) => return Reading::Unreadable(error.0),
        };
        let decoded = handler::decode(&self.of.handler, &delivery);
        let span = match &decoded {
            Ok(None) => None,
            _ => self.of.tracing.process(&delivery, topic),
        };
        match (decoded, span) {
            (Ok(Some(event)), span) => {
                if let Some(span) = span {
                    batch.spans.add(batch.events.len(), span);
                }
                Reading::Event(event)
            }
            (Ok(None), _) => Reading::Nothing,
            (Err(error), span) => {
                if let Some(span) = span {
                    span::fail(&span, "set aside");
                }
                Reading::Unreadable(error.0)
            }
        }
    }
}
