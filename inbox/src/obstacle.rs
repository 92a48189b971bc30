//! What stands in the way of a question to Kafka or to the database.

use deadpool_postgres::PoolError;
use rdkafka::error::KafkaError;
use telemetry::database::reason;

use crate::Halt;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// The answer is that the intake must not go on.
    Halt(Halt),
    /// Kafka does not answer as hoped; it may later.
    Kafka(String),
    /// A topic is not what it is to be, or a broker does not know it; it may later.
    Topic(String),
    /// The database does not answer; it may later.
    Database(String),
}

impl From<Halt> for Obstacle {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

impl From<KafkaError> for Obstacle {
    fn from(error: KafkaError) -> Self {
        Self::Kafka(error.to_string())
    }
}

impl From<PoolError> for Obstacle {
    fn from(error: PoolError) -> Self {
        Self::Database(reason(&error))
    }
}

impl From<tokio_postgres::Error> for Obstacle {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(reason(&error))
    }
}
