//! Reading a topic back to what is confirmed, so that a restart repeats nothing that Kafka already has.

use std::collections::HashSet;

use contracts::envelope::{Lsn, Position, names};
use rdkafka::{
    Message,
    message::{BorrowedMessage, Headers},
};
use telemetry::kafka::Kafka;

use super::{
    found::{Found, Told},
    tail::{self, Look},
};
use crate::{outbox::dead_letter::names as dead_letter, replication::Server};

/// Records from a partition's end in each round. Rarely is more in flight than the third allows for.
const ROUNDS: [i64; 5] = [32, 1_024, 16_384, 131_072, 1_048_576];
/// In so many records that are all of others, no unconfirmed one is looked for: that is far more than can be in flight.
const OTHERS: i64 = ROUNDS[3];

/// Where a stream starts.
#[derive(Clone, Debug)]
pub struct Start {
    /// The server that gives the log.
    pub server: Server,
    /// What the slot has as confirmed.
    pub confirmed: Lsn,
}

/// What was seen so far.
struct Seen<'a> {
    start: &'a Start,
    found: Found,
    /// The partitions with an event of this server.
    ours: HashSet<i32>,
}

/// The events in `topic` that may come again in a stream that starts there. Blocks, for some milliseconds as a rule.
///
/// Committed records only. When there are too many to look at, nothing counts as found: a repetition of all ends in
/// the right order, one with holes might not.
///
/// # Errors
/// When the topic cannot be read.
pub(super) fn read_back(kafka: &Kafka, topic: &str, partitions: &[i32], start: &Start) -> Result<Found, String> {
    let mut seen = Seen { start, found: Found::default(), ours: HashSet::new() };
    if tail::read(kafka, topic, Some(partitions), &ROUNDS, &mut seen)? {
        return Ok(seen.found);
    }
    tracing::warn!(topic, "too many events since the confirmed position to look at: all of them are sent again");
    Ok(Found::default())
}

impl Look for Seen<'_> {
    fn look_at(&mut self, message: &BorrowedMessage<'_>) -> bool {
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
        let told = self.found.note(&self.start.server, self.start.confirmed, position.as_ref(), id);
        if told != Told::Nothing {
            self.ours.insert(message.partition());
        }
        told == Told::Confirmed
    }

    fn gives_up(&self, partition: i32, records: i64) -> bool {
        records >= OTHERS && !self.ours.contains(&partition)
    }
}
