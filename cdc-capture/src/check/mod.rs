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
