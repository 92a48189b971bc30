//! Which events were acknowledged: one bit an event, set by the producer's threads, drained by the relay.
//!
//! No lock and no allocation for an event. The window's size bounds the number of events in flight.

use std::sync::atomic::{AtomicU64, Ordering};

const WORD: u64 = u64::BITS as u64;

/// A ring of bits, as wide as events may be in flight.
#[derive(Debug)]
pub struct AckWindow {
    words: Box<[AtomicU64]>,
}

impl AckWindow {
    /// A window for at least so many events.
    pub fn new(events: usize) -> Self {
        let words = events.div_ceil(WORD as usize).max(1).next_power_of_two();
        Self { words: (0..words).map(|_| AtomicU64::new(0)).collect() }
    }

    /// How many events may be in flight.
    pub fn capacity(&self) -> u64 {
        self.words.len() as u64 * WORD
    }

    /// The event with this number was acknowledged. It must be less than [`AckWindow::capacity`] ahead of what has been
    /// drained.
    pub fn acknowledge(&self, event: u64) {
        self.word(event).fetch_or(1 << (event % WORD), Ordering::SeqCst);
    }

    /// Given that all events below `from` were drained before and none from `next` on was sent: the number below which
    /// all are acknowledged now. Their bits are given back.
    pub fn drain(&self, from: u64, next: u64) -> u64 {
        let mut low = from;
        while low < next {
            let (word, bit) = (self.word(low), low % WORD);
            let run = u64::from((word.load(Ordering::SeqCst) >> bit).trailing_ones()).min(next - low);
            if run == 0 {
                break;
            }
            let bits = if run == WORD { u64::MAX } else { ((1 << run) - 1) << bit };
            word.fetch_and(!bits, Ordering::SeqCst);
            low += run;
        }
        low
    }

    fn word(&self, event: u64) -> &AtomicU64 {
        let at = (event / WORD) & (self.words.len() as u64 - 1);
        &self.words[at as usize]
    }
}
