//! Waiting for a condition, with a deadline. A test never sleeps for a guessed time: it says what it awaits.

use std::fmt::Display;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

const PAUSE: Duration = Duration::from_millis(5);

/// What a check has found: the awaited value, or the state that is there instead.
pub trait Finding {
    /// What is awaited.
    type Value;

    /// The value, or in words why it is not there yet.
    fn finding(self) -> Result<Self::Value, String>;
}

impl<T> Finding for Option<T> {
    type Value = T;

    fn finding(self) -> Result<T, String> {
        self.ok_or_else(|| "not there yet".to_owned())
    }
}

impl<T, E: Display> Finding for Result<Option<T>, E> {
    type Value = T;

    fn finding(self) -> Result<T, String> {
        self.map_err(|error| format!("{error:#}"))?.finding()
    }
}

impl Finding for bool {
    type Value = ();

    fn finding(self) -> Result<(), String> {
        self.then_some(()).finding()
    }
}

/// Checks every few milliseconds until the check gives a value, and returns that. An error is a state like another: it
/// is checked again.
///
/// A check gives an `Option`, a `Result` of an `Option`, or a `bool`. `Err` with a description of what was found makes
/// the best message.
///
/// # Panics
/// When the deadline has passed, with what was awaited and what was there instead.
#[track_caller]
pub fn eventually<F: Finding>(
    awaited: &str,
    deadline: Duration,
    mut check: impl AsyncFnMut() -> F,
) -> impl Future<Output = F::Value> {
    let caller = Location::caller();
    async move {
        let end = Instant::now() + deadline;
        let mut ticks = interval(PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut state = "the first check had not finished".to_owned();
        loop {
            ticks.tick().await;
            match timeout_at(end, check()).await.map(Finding::finding) {
                Ok(Ok(value)) => return value,
                Ok(Err(found)) => state = found,
                Err(_) => {}
            }
            assert!(
                Instant::now() < end,
                "{awaited}: waited {deadline:?} in vain; last state: {state} (awaited at {caller})"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn checks_again_until_there_is_a_value() {
        let mut checks = 0;
        let value = eventually("the third check", Duration::from_secs(5), async || {
            checks += 1;
            if checks < 3 { Err(format!("check {checks}")) } else { Ok(Some(checks)) }
        })
        .await;
        assert_eq!(value, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "the moon: waited 20ms in vain; last state: only clouds")]
    async fn says_what_was_awaited_and_what_was_there() {
        eventually("the moon", Duration::from_millis(20), || async { Err::<Option<()>, _>("only clouds") }).await;
    }

    #[tokio::test]
    #[should_panic(expected = "the first check had not finished")]
    async fn a_check_that_hangs_does_not_hang_the_test() {
        eventually("an answer", Duration::from_millis(20), std::future::pending::<bool>).await;
    }
}
