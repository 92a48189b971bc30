//! Latencies, as they are printed.

use std::time::Duration;

/// A duration as the demo prints it.
pub(crate) fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}
