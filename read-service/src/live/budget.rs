//! The memory that all feeds share. A client chooses how long an item is, so what a feed keeps is bounded in bytes, too.

use std::sync::atomic::AtomicI64;

use prometheus_client::metrics::gauge::Gauge;

/// The memory. Cheap to clone; all clones share it.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    limit: i64,
    taken: Gauge<i64, AtomicI64>,
}

/// What one has taken of it; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Budget,
    taken: i64,
}

impl Budget {
    /// So many bytes; `taken` shows how many of them are.
    pub(super) fn new(limit: usize, taken: Gauge<i64, AtomicI64>) -> Self {
        Self { limit: bytes(limit), taken }
    }

    /// Nothing yet.
    pub(super) fn share(&self) -> Share {
        Share { budget: self.clone(), taken: 0 }
    }
}

impl Share {
    /// Takes so many bytes more, unless there are none left.
    pub(super) fn take(&mut self, count: usize) -> bool {
        let (count, Budget { limit, taken }) = (bytes(count), &self.budget);
        if taken.inc_by(count).saturating_add(count) > *limit {
            taken.dec_by(count);
            return false;
        }
        self.taken += count;
        true
    }

    /// Gives so many bytes back.
    pub(super) fn give_back(&mut self, count: usize) {
        let count = bytes(count);
        self.budget.taken.dec_by(count);
        self.taken -= count;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.taken.dec_by(self.taken);
    }
}

fn bytes(count: usize) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_has_taken_another_has_when_it_is_given_back() {
        let budget = Budget::new(10, Gauge::default());
        let (mut one, mut other) = (budget.share(), budget.share());
        assert!(one.take(6) && other.take(4));
        assert!(!other.take(1));
        one.give_back(2);
        assert!(other.take(2) && !other.take(1));
        drop(one);
        assert!(other.take(4) && !other.take(1));
        drop(other);
        assert_eq!(budget.taken.get(), 0);
    }
}
