//! Sending at once what waits for more to be sent together.
//!
//! The producer's linger time makes large batches of a backlog, which cost broker and relay several times less than small
//! ones. But when the log gives no more for now, waiting for more is in vain. librdkafka has one way to end the wait, its
//! flush, which blocks until all is acknowledged, so that a thread of its own has to call it.

use std::{
    ffi::c_int,
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    bindings::rd_kafka_flush,
    producer::{Producer, ThreadedProducer},
};

use super::context::Context;

/// Over how long it is looked how fast events come: about as long as they linger.
const SPAN: Duration = Duration::from_millis(10);
/// When more of them come within that time, they make batches without being hurried.
const MANY: u64 = 20;
/// With more in flight there is no lull: the batches that are under way are sent by linger time and size.
const FEW: i32 = 256;
/// How long one flush may block, in milliseconds. What is not acknowledged by then was sent long ago.
const LONGEST: c_int = 50;

/// Dropping it lets its thread end.
pub(super) struct Hurry {
    ask: SyncSender<()>,
    pace: Pace,
}

/// How fast events have come of late. Where the log has a backlog but the server has no core to read it with, a lull follows
/// every few events; a batch for each of those costs relay and broker several times as much for an event.
struct Pace {
    /// The span that lasts.
    since: Instant,
    /// Which event was next at its start, and which at the last look.
    first: u64,
    last: u64,
    /// Whether many came in the span before.
    was_fast: bool,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { since: now, first: 0, last: 0, was_fast: false }
    }

    /// Whether many have come in this span or in the one before, by the number of the event that is next.
    fn is_fast(&mut self, next: u64, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= SPAN {
            self.was_fast = elapsed < 2 * SPAN && self.last - self.first > MANY;
            (self.since, self.first) = (now, self.last);
        }
        self.last = next;
        self.was_fast || next - self.first > MANY
    }
}

impl Hurry {
    /// A thread for this producer, which it does not keep alive.
    pub(super) fn new(producer: &Arc<ThreadedProducer<Context>>) -> std::io::Result<Self> {
        let (ask, asked) = sync_channel(1);
        let producer = Arc::downgrade(producer);
        thread::Builder::new().name("flush".to_owned()).spawn(move || {
            while asked.recv().is_ok() {
                let Some(producer) = producer.upgrade() else { return };
                flush(&producer);
            }
        })?;
        Ok(Self { ask, pace: Pace::new(Instant::now()) })
    }

    /// Has what few events there are sent at once, all before the one of this number, unless many come one after the other. Of
    /// those of the last time there is nothing more to hurry.
    pub(super) fn hurry(&mut self, next: u64, producer: &ThreadedProducer<Context>) {
        if self.pace.last < next && !self.pace.is_fast(next, Instant::now()) && producer.in_flight_count() <= FEW {
            self.hurry_all();
        }
    }

    /// Has all events sent at once, however many there are.
    pub(super) fn hurry_all(&self) {
        // One that is asked for already comes after what is handed over now.
        let _ = self.ask.try_send(());
    }
}

/// rdkafka's own flush asks for no time at all, again and again, and so ends no wait.
#[allow(unsafe_code, reason = "the client's pointer is valid for as long as the client is borrowed")]
fn flush(producer: &ThreadedProducer<Context>) {
    // Whether all was acknowledged in that time is of no interest: acknowledgements come by themselves.
    let _ = unsafe { rd_kafka_flush(producer.client().native_ptr(), LONGEST) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether each lull, so many milliseconds after the start and with so many events before it, is one of many.
    fn looks(lulls: &[(u64, u64)]) -> Vec<bool> {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        lulls.iter().map(|(millis, next)| pace.is_fast(*next, start + Duration::from_millis(*millis))).collect()
    }

    #[test]
    fn events_that_come_one_by_one_are_hurried() {
        let each_2_ms: Vec<_> = (1..500).map(|number| (2 * number, number)).collect();
        assert!(looks(&each_2_ms).iter().all(|fast| !fast));
        let each_20_ms: Vec<_> = (1..500).map(|number| (20 * number, number)).collect();
        assert!(looks(&each_20_ms).iter().all(|fast| !fast));
    }

    #[test]
    fn of_a_stream_only_the_first_few_are() {
        let ten_each_ms: Vec<_> = (1..100).map(|number| (number, 10 * number)).collect();
        assert_eq!(looks(&ten_each_ms).iter().filter(|fast| !**fast).count(), 2);
    }

    #[test]
    fn after_a_burst_they_are_again() {
        assert_eq!(looks(&[(1, 1), (2, 101), (30, 102), (50, 103)]), [false, true, false, false]);
    }
}
