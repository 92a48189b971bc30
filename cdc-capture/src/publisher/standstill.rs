//! Whoever was stopped and wakes up may have lost the slot meanwhile, and must send nothing more. Pure: the time is passed
//! in.

use std::time::{Duration, Instant};

/// The process stood still for so long that another may have the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this process stood still for {0:?}")]
pub struct StoodStill(pub Duration);

/// Looks at the clock, so often that a longer time between two looks is a standstill.
#[derive(Debug)]
pub(super) struct Watch {
    patience: Duration,
    looked: Instant,
    stood_still: Option<StoodStill>,
}

impl Watch {
    /// Between two looks `patience` may pass.
    pub(super) fn new(patience: Duration, now: Instant) -> Self {
        Self { patience, looked: now, stood_still: None }
    }

    /// How much time may pass.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Looks at the clock. Who stood still once has done so for ever.
    pub(super) fn look(&mut self, now: Instant) -> Result<(), StoodStill> {
        let passed = now.saturating_duration_since(self.looked);
        self.looked = now;
        if passed > self.patience {
            self.stood_still.get_or_insert(StoodStill(passed));
        }
        self.stood_still.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stood_still_once_sends_nothing_more() {
        let (patience, start) = (Duration::from_secs(2), Instant::now());
        let mut watch = Watch::new(patience, start);
        assert_eq!(watch.look(start + patience), Ok(()));
        assert_eq!(watch.look(start + patience * 2), Ok(()));
        let stood_still = Err(StoodStill(patience * 2));
        assert_eq!(watch.look(start + patience * 4), stood_still);
        assert_eq!(watch.look(start + patience * 4), stood_still);
    }
}
