//! A circuit breaker: a third party that fails again and again is left alone for a while. Pure: the time is passed in.

use std::time::{Duration, Instant};

/// So many failures in a row, and it is left alone.
const FAILURES: u32 = 5;
/// For how long at first; twice as long each time that it fails again.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// Whether a third party may be asked.
#[derive(Clone, Debug)]
pub(crate) struct Breaker {
    failures: u32,
    /// For how long it was left alone last.
    pause: Duration,
    until: Option<Instant>,
}

/// How many questions it may be asked at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permit {
    /// As many as there are.
    Any,
    /// One, to see whether it is well again.
    One,
    /// None before this moment.
    NotBefore(Instant),
}

/// Whether it is asked, as metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// It is.
    Closed,
    /// It is to show whether it is well again.
    HalfOpen,
    /// It is left alone.
    Open,
}

impl State {
    /// Its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}

impl Breaker {
    /// It may be asked.
    pub(crate) fn new() -> Self {
        Self { failures: 0, pause: FIRST, until: None }
    }

    /// What is permitted now.
    pub(crate) fn permit(&self, now: Instant) -> Permit {
        match self.until {
            None => Permit::Any,
            Some(until) if now < until => Permit::NotBefore(until),
            Some(_) => Permit::One,
        }
    }

    /// Its state now.
    pub(crate) fn state(&self, now: Instant) -> State {
        match self.permit(now) {
            Permit::Any => State::Closed,
            Permit::One => State::HalfOpen,
            Permit::NotBefore(_) => State::Open,
        }
    }

    /// It has answered. Gives whether it had been left alone.
    pub(crate) fn answered(&mut self) -> bool {
        let was_open = self.until.is_some();
        *self = Self::new();
        was_open
    }

    /// It has not. Gives for how long it is left alone from now on, if this has decided that.
    pub(crate) fn failed(&mut self, now: Instant) -> Option<Duration> {
        self.failures += 1;
        match self.until {
            // Asked before it was left alone.
            Some(until) if now < until => return None,
            Some(_) => self.pause = (self.pause * 2).min(LONGEST),
            None if self.failures < FAILURES => return None,
            None => {}
        }
        self.until = Some(now + self.pause);
        Some(self.pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_with_an_answer() {
        let (mut breaker, start) = (Breaker::new(), Instant::now());
        for _ in 1..FAILURES {
            assert_eq!(breaker.failed(start), None);
        }
        assert_eq!(breaker.permit(start), Permit::Any);
        assert_eq!(breaker.failed(start), Some(FIRST));
        assert_eq!(breaker.failed(start), None, "one that was under way");
        assert_eq!(breaker.permit(start), Permit::NotBefore(start + FIRST));
        assert_eq!((breaker.state(start), breaker.state(start + FIRST)), (State::Open, State::HalfOpen));
        let later = start + FIRST;
        assert_eq!(breaker.permit(later), Permit::One);
        assert_eq!(breaker.failed(later), Some(FIRST * 2));
        assert_eq!(breaker.permit(later + FIRST * 2), Permit::One);
        assert!(breaker.answered());
        assert_eq!(breaker.permit(later), Permit::Any);
        assert!(!breaker.answered());
    }

    #[test]
    fn a_pause_is_bounded() {
        let (mut breaker, mut now) = (Breaker::new(), Instant::now());
        for _ in 0..100 {
            breaker.failed(now);
            now += LONGEST;
        }
        assert_eq!(breaker.failed(now), Some(LONGEST));
    }

    #[test]
    fn an_answer_between_failures_starts_the_count_anew() {
        let (mut breaker, now) = (Breaker::new(), Instant::now());
        for _ in 0..100 {
            assert_eq!(breaker.failed(now), None);
            assert!(!breaker.answered());
        }
    }
}
