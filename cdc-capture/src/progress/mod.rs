//! From acknowledgements, in any order, to the LSN that may be confirmed to the server. Pure: no sockets, no clock.
//!
//! Guarantees: an LSN is confirmable only when every event before it was acknowledged; the end of a transaction only
//! when the whole transaction was; it never goes back. It holds one small entry for each transaction that is not
//! delivered yet, so it is as bounded as the number of events in flight is.

mod acks;

#[cfg(test)]
mod tests;

pub use acks::AckWindow;

use std::collections::VecDeque;

use contracts::envelope::Lsn;

/// What is known about delivery since a connection was made.
#[derive(Debug)]
pub struct Progress {
    /// Everything before it was delivered, or did not concern us.
    confirmable: Lsn,
    /// Transactions that ended and are not wholly acknowledged, in commit order.
    waiting: VecDeque<Waiting>,
    /// The transaction that is being received, if any: when it was committed.
    open: Option<i64>,
    /// The number that the next event gets.
    next: u64,
    /// All events with a number below it are acknowledged.
    acknowledged: u64,
}

/// A transaction whose end may be confirmed when all events below `after` are acknowledged.
#[derive(Debug)]
struct Waiting {
    after: u64,
    end: Lsn,
    committed_at: i64,
}

impl Progress {
    /// Nothing received yet; the server's own position is `confirmed`.
    pub fn new(confirmed: Lsn) -> Self {
        Self { confirmable: confirmed, waiting: VecDeque::new(), open: None, next: 0, acknowledged: 0 }
    }

    /// A transaction begins.
    pub fn begin(&mut self, committed_at: i64) {
        self.open = Some(committed_at);
    }

    /// The number that the next event will get.
    pub fn next_event(&self) -> u64 {
        self.next
    }

    /// The event with the number [`Progress::next_event`] was handed to the producer.
    pub fn sent(&mut self) {
        self.next += 1;
    }

    /// The transaction has ended, `end` being the LSN after it.
    pub fn commit(&mut self, end: Lsn) {
        let committed_at = self.open.take().unwrap_or_default();
        if self.acknowledged == self.next {
            self.raise(end);
        } else if let Some(last) = self.waiting.back_mut().filter(|last| last.after == self.next) {
            // It had no events of its own, so it waits for the same ones as the transaction before it.
            last.end = last.end.max(end);
        } else {
            self.waiting.push_back(Waiting { after: self.next, end, committed_at });
        }
    }

    /// The server says that there is nothing for us before `end`. It counts when nothing is in flight.
    pub fn idle_until(&mut self, end: Lsn) {
        if self.is_idle() {
            self.raise(end);
        }
    }

    /// All events with a number below `upto` are acknowledged.
    pub fn acknowledged(&mut self, upto: u64) {
        debug_assert!(upto <= self.next, "acknowledged before it was sent");
        self.acknowledged = self.acknowledged.max(upto);
        while let Some(first) = self.waiting.front().filter(|first| first.after <= self.acknowledged) {
            let end = first.end;
            self.waiting.pop_front();
            self.raise(end);
        }
    }

    /// Up to which LSN everything is delivered.
    pub fn confirmable(&self) -> Lsn {
        self.confirmable
    }

    /// How many events are sent and not acknowledged.
    pub fn in_flight(&self) -> u64 {
        self.next - self.acknowledged
    }

    /// Whether there is nothing in flight and no transaction half received.
    pub fn is_idle(&self) -> bool {
        self.open.is_none() && self.waiting.is_empty() && self.in_flight() == 0
    }

    /// When the oldest transaction that is not wholly delivered was committed, in PostgreSQL's microseconds.
    pub fn oldest(&self) -> Option<i64> {
        self.waiting.front().map(|first| first.committed_at).or(self.open)
    }

    fn raise(&mut self, end: Lsn) {
        self.confirmable = self.confirmable.max(end);
    }
}
