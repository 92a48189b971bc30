//! `check`: looks at everything that `run` will need, changes nothing, and says all that is wrong at once, each with its
//! remedy. It takes the flags of `run`, so that it checks what will be run. Its time is bounded.

mod kafka;
mod postgres;
mod report;

pub use report::{Line, Report, Verdict};

use crate::Settings;

/// Checks the database, then the cluster.
pub async fn check(settings: &Settings) -> Report {
    let mut report = Report::default();
    let topics = postgres::check(settings, &mut report).await;
    kafka::check(settings, topics, &mut report).await;
    report
}

/// What a librdkafka property is set to, by one of its names; as there, the last one counts.
fn property(settings: &Settings, names: &[&str], default: u64) -> u64 {
    let set = settings.kafka.properties.iter().rev().find(|(key, _)| names.contains(&key.as_str()));
    set.and_then(|(_, value)| value.parse().ok()).unwrap_or(default)
}
