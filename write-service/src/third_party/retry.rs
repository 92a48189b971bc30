//! How long to wait before a third party is asked again.

use std::time::Duration;

use telemetry::backoff::Backoff;

/// The first and the longest wait.
const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(60);

/// The wait after so many tries: longer and longer, with jitter, so that not all come back at once.
pub(crate) fn wait(tries: u32) -> Duration {
    let mut backoff = Backoff::new(FIRST, LONGEST);
    let mut wait = backoff.next_wait();
    for _ in 1..tries.min(16) {
        wait = backoff.next_wait();
    }
    wait
}
