//! Waiting longer and longer between tries, with jitter, so that many clients do not come back all at once.

use std::time::Duration;

use rand::Rng;

/// Exponential backoff: each wait is drawn from the upper half of a step that doubles up to a limit.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    step: Duration,
    limit: Duration,
}

impl Backoff {
    /// Starts at `first` and never waits longer than `limit`.
    pub fn new(first: Duration, limit: Duration) -> Self {
        Self { first, step: first, limit }
    }

    /// From 100 ms to 5 s: what connecting to a server that is starting wants.
    pub fn for_connecting() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }

    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        let step = self.step.min(self.limit);
        self.step = step.saturating_mul(2);
        step.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// Starts over, after a success.
    pub fn reset(&mut self) {
        self.step = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_limit_and_start_over() {
        let (first, limit) = (Duration::from_millis(100), Duration::from_millis(400));
        let mut backoff = Backoff::new(first, limit);
        assert!((first / 2..=first).contains(&backoff.next_wait()));
        assert!((first..=first * 2).contains(&backoff.next_wait()));
        for _ in 0..100 {
            assert!((limit / 2..=limit).contains(&backoff.next_wait()));
        }
        backoff.reset();
        assert!(backoff.next_wait() <= first);
    }
}
