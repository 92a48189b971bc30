//! What goes into one transaction: the events, what is set aside, and how far each partition's offset moves.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use crate::{message::Message, parked::Aggregate, span::Spans, topics::Partition};

/// A batch takes no further message once it holds so many bytes.
const MAX_BYTES: usize = 4 << 20;

/// What became of reading a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reading<E> {
    /// It is an event for the handler.
    Event(E),
    /// The handler has no interest in it.
    Nothing,
    /// It will never be readable, and why.
    Unreadable(String),
}

/// A message that will never be applied, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetter {
    pub(crate) message: Message,
    pub(crate) error: String,
}

/// Messages of any of the partitions, each partition's in order.
pub(crate) struct Batch<E> {
    /// What the handler applies.
    pub(crate) events: Vec<E>,
    /// `origins[i]` is the message that `events[i]` was read from.
    pub(crate) origins: Vec<Message>,
    /// What could not be read.
    pub(crate) unreadable: Vec<DeadLetter>,
    /// For each partition the offset after its last message here.
    pub(crate) next: BTreeMap<Partition, i64>,
    /// The spans of the messages that have one.
    pub(crate) spans: Spans,
    /// When the first message came.
    since: Option<Instant>,
    messages: usize,
    bytes: usize,
}

impl<E> Default for Batch<E> {
    fn default() -> Self {
        Self {
            events: Vec::new(),
            origins: Vec::new(),
            unreadable: Vec::new(),
            next: BTreeMap::new(),
            spans: Spans::default(),
            since: None,
            messages: 0,
            bytes: 0,
        }
    }
}

impl<E> Batch<E> {
    /// Adds a message, which comes after all of its partition that are here already.
    pub(crate) fn push(&mut self, message: Message, reading: Reading<E>) {
        self.since.get_or_insert_with(Instant::now);
        self.messages += 1;
        self.next.insert(message.partition, message.offset + 1);
        match reading {
            Reading::Event(event) => {
                self.bytes += message.size();
                self.events.push(event);
                self.origins.push(message);
            }
            Reading::Nothing => {}
            Reading::Unreadable(error) => {
                self.bytes += message.size();
                self.unreadable.push(DeadLetter { message, error });
            }
        }
    }

    /// The aggregates that its messages are about, as far as they are of any interest.
    pub(crate) fn aggregates(&self) -> Vec<Aggregate<'_>> {
        let unreadable = self.unreadable.iter().map(|letter| &letter.message);
        let all = self.origins.iter().chain(unreadable);
        let all: BTreeSet<_> = all.filter_map(|message| Some((message.partition, message.aggregate()?))).collect();
        all.into_iter().collect()
    }

    /// When its first message came. Without one there is nothing to do, not even an offset to move.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// It should not grow any more, where so many messages are enough.
    pub(crate) fn is_full(&self, messages: usize) -> bool {
        self.messages >= messages || self.bytes >= MAX_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn message(number: i32, offset: i64, size: usize) -> Message {
        Message::new(Partition { topic: 0, number }, offset, None, Some(&vec![0; size]), Some(&[]))
    }

    proptest! {
        #[test]
        fn every_message_is_accounted_for(messages in vec((0..4, 0..3, 1..4_i64), 0..200)) {
            let (mut batch, mut ends, mut kinds) = (Batch::default(), BTreeMap::new(), [0; 3]);
            for (number, kind, gap) in messages {
                let end = ends.entry(Partition { topic: 0, number }).or_insert(0);
                let offset = *end + gap - 1;
                *end = offset + 1;
                kinds[usize::try_from(kind).unwrap()] += 1;
                batch.push(message(number, offset, 1), match kind {
                    0 => Reading::Event((number, offset)),
                    1 => Reading::Nothing,
                    _ => Reading::Unreadable("no".into()),
                });
            }
            prop_assert_eq!(&batch.next, &ends);
            prop_assert_eq!([batch.events.len(), batch.unreadable.len()], [kinds[0], kinds[2]]);
            prop_assert_eq!(batch.since().is_none(), kinds == [0; 3]);
            for (event, origin) in batch.events.iter().zip(&batch.origins) {
                prop_assert_eq!(*event, (origin.partition.number, origin.offset));
            }
        }
    }

    #[test]
    fn is_full_by_number_or_by_bytes() {
        let (mut many, mut large) = (Batch::default(), Batch::default());
        for offset in 0..1_000 {
            assert!(!many.is_full(1_000));
            many.push(message(0, offset, 0), Reading::<()>::Nothing);
        }
        assert!(many.is_full(1_000));
        for offset in 0..4 {
            assert!(!large.is_full(1_000));
            large.push(message(0, offset, 1 << 20), Reading::Event(()));
        }
        assert!(large.is_full(1_000));
    }
}
