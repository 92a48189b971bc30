//! Kafka to PostgreSQL intake whose effect happens once.
//!
//! A consumer group whose offsets live in PostgreSQL, moved in the transaction that holds the effects. What the events
//! mean is the [`Handler`]'s affair: a projection of the read side or a reactor of the write side.

mod applied;
mod delivery;
mod handler;

pub use applied::Applied;
pub use delivery::{Delivery, Undecodable};
pub use handler::Handler;

use contracts::Topic;
use deadpool_postgres::Pool;
use telemetry::{CancellationToken, health::Health, kafka::Kafka, metrics::Metrics};

/// What an intake needs beside its handler.
#[derive(Clone)]
pub struct Intake {
    /// How to reach Kafka.
    pub kafka: Kafka,
    /// The consumer group's prefix: the service's name. The group is `{service}.{handler's name}`.
    pub service: String,
    /// The schema that holds the inbox's tables and, usually, the handler's.
    pub schema: String,
    /// Where effects and offsets go.
    pub pool: Pool,
    /// Told about readiness, as part `inbox.{handler's name}`.
    pub health: Health,
    /// Told about lag, batches and events set aside.
    pub metrics: Metrics,
}

/// Why an intake stopped for good: going on would lose or repeat an effect.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// The topic has another number of partitions than the contract fixes.
    #[error("topic {topic} has {found} partitions, the contract fixes {expected}: it was not created by its owner")]
    Partitions {
        /// The topic's name on the cluster.
        topic: String,
        /// As the contract has it.
        expected: i32,
        /// As the cluster has it.
        found: i32,
    },
}

/// Creates or upgrades the inbox's tables in `schema`, and lets `role` work with them.
///
/// # Errors
/// When the database refuses.
pub async fn migrate(_client: &mut tokio_postgres::Client, _schema: &str, _role: &str) -> Result<(), refinery::Error> {
    unimplemented!()
}

/// Runs the handler until the token is cancelled. `applied` is told after each commit.
///
/// # Errors
/// When going on would lose or repeat an effect; the health part says why too.
pub async fn run<H: Handler>(
    _handler: H,
    _intake: Intake,
    _applied: Applied,
    _shutdown: CancellationToken,
) -> Result<(), Halt> {
    let _: Option<Topic> = None;
    unimplemented!()
}
