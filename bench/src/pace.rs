//! Doing something at an even rate, and noting when.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::{MissedTickBehavior, interval};

/// Begins `send` for the numbers from 0 on, `rate` times a second for so many seconds, whether or not earlier ones have
/// ended; when each was begun.
pub(crate) async fn evenly(rate: u32, seconds: u64, mut send: impl FnMut(u64) -> Result<()>) -> Result<Vec<Instant>> {
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut begun = Vec::new();
    for number in 0..u64::from(rate) * seconds {
        ticks.tick().await;
        begun.push(Instant::now());
        send(number)?;
    }
    Ok(begun)
}
