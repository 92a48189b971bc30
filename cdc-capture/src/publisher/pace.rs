//! How fast events have come of late, which says what a lull in the log is: its end, where what was taken should be sent at once, or
//! a moment in which the server had no core to read a backlog with.
//!
//! Such moments come every few events where all cores are taken. A batch for each of them costs relay and broker several times as
//! much for an event, and so does a wake-up for each the relay and the server.

use std::time::{Duration, Instant};

/// Over how long it is looked: about as long as events linger.
const SPAN: Duration = Duration::from_millis(10);
/// When more come within that time, they make batches without being hurried.
const MANY: u64 = 20;

/// What a lull is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lull {
    /// The end of the log, as far as can be told.
    End,
    /// A gap between events that come one after the other.
    Gap,
    /// The same as the last one: nothing has come since.
    Still,
}

/// Counts what comes, by the number of the event that is next.
pub(super) struct Pace {
    /// The span that lasts.
    since: Instant,
    /// Which event was next at its start, and which at the last look.
    first: u64,
    last: u64,
    /// Whether many came in the span before.
    was_fast: bool,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, first: 0, last: 0, was_fast: false }
    }

    /// What the lull before this event is.
    pub(super) fn lull(&mut self, next: u64, now: Instant) -> Lull {
        if next <= self.last {
            return Lull::Still;
        }
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= SPAN {
            self.was_fast = elapsed < 2 * SPAN && self.last - self.first > MANY;
            (self.since, self.first) = (now, self.last);
        }
        self.last = next;
        if self.was_fast || next - self.first > MANY { Lull::Gap } else { Lull::End }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each lull is, so many milliseconds after the start and with so many events before it.
    fn looks(lulls: &[(u64, u64)]) -> Vec<Lull> {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        lulls.iter().map(|(millis, next)| pace.lull(*next, start + Duration::from_millis(*millis))).collect()
    }

    #[test]
    fn behind_events_that_come_one_by_one_the_log_ends() {
        let each_2_ms: Vec<_> = (1..500).map(|number| (2 * number, number)).collect();
        assert!(looks(&each_2_ms).iter().all(|lull| *lull == Lull::End));
        let each_20_ms: Vec<_> = (1..500).map(|number| (20 * number, number)).collect();
        assert!(looks(&each_20_ms).iter().all(|lull| *lull == Lull::End));
    }

    #[test]
    fn of_a_stream_only_behind_the_first_few() {
        let ten_each_ms: Vec<_> = (1..100).map(|number| (number, 10 * number)).collect();
        assert_eq!(looks(&ten_each_ms).iter().filter(|lull| **lull == Lull::End).count(), 2);
    }

    #[test]
    fn after_a_burst_it_does_again() {
        assert_eq!(looks(&[(1, 1), (2, 101), (30, 102), (50, 103)]), [Lull::End, Lull::Gap, Lull::End, Lull::End]);
    }

    #[test]
    fn where_nothing_has_come_it_is_the_same_lull() {
        assert_eq!(looks(&[(1, 0), (2, 1), (3, 1), (40, 1)]), [Lull::Still, Lull::End, Lull::Still, Lull::Still]);
    }
}
