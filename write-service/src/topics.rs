//! The contexts' topics: created where they are missing, as the contract has them, and never auto-created.

use std::{sync::Arc, time::Duration};

use contracts::Topic;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
};
use telemetry::{CancellationToken, backoff::Backoff, health::Part, kafka::Kafka};

type Admin = AdminClient<DefaultClientContext>;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Why the topics are not there as the contract has them.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The broker is away, or does not let this client.
    #[error("Kafka: {}", telemetry::kafka::reason(.0))]
    Kafka(#[from] KafkaError),
    /// One could not be created.
    #[error("Kafka: topic {topic} cannot be created: {code}")]
    Refused { topic: String, code: RDKafkaErrorCode },
    /// Order per aggregate depends on this number: nothing here may change it.
    #[error("Kafka: topic {topic} has {found} partitions, the contract fixes {expected}: it was made by someone else")]
    Partitions { topic: String, expected: i32, found: usize },
    /// Somebody was faster, and by which contract will be seen.
    #[error("Kafka: topic {topic} is being made by somebody else")]
    JustMade { topic: String },
    /// The client could not ask.
    #[error("Kafka: {0}")]
    Asking(#[from] tokio::task::JoinError),
}

/// Sees to it that the topics are there, trying again until they are, and says through `part` what is in the way.
pub(crate) async fn ensure(kafka: &Kafka, topics: &[Topic], part: &Part, shutdown: &CancellationToken) {
    let mut backoff = Backoff::for_connecting();
    loop {
        tokio::select! {
            tried = try_once(kafka, topics) => match tried {
                Ok(()) => return part.ready(),
                Err(error) => part.not_ready(error.to_string()),
            },
            () = shutdown.cancelled() => return,
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(backoff.next_wait()) => {}
        }
    }
}

async fn try_once(kafka: &Kafka, topics: &[Topic]) -> Result<(), Error> {
    let admin = admin(kafka)?;
    let missing = check(&admin, kafka, topics).await?;
    if missing.is_empty() {
        return Ok(());
    }
    create(&admin, kafka, &missing).await
}

fn admin(kafka: &Kafka) -> Result<Arc<Admin>, KafkaError> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &kafka.bootstrap_servers);
    kafka.set_properties(&mut config);
    config.create().map(Arc::new)
}

/// The topics that are missing; an error when one is there with another number of partitions.
async fn check(admin: &Arc<Admin>, kafka: &Kafka, topics: &[Topic]) -> Result<Vec<Topic>, Error> {
    let client = admin.clone();
    // All topics: asking for one by its name would create it where the broker creates topics by itself.
    let metadata = tokio::task::spawn_blocking(move || client.inner().fetch_metadata(None, TIMEOUT)).await??;
    let mut missing = Vec::new();
    for topic in topics {
        let name = kafka.topic(topic.name);
        match metadata.topics().iter().find(|found| found.name() == name) {
            None => missing.push(*topic),
            Some(found) if i32::try_from(found.partitions().len()) == Ok(topic.partitions) => {}
            Some(found) => {
                return Err(Error::Partitions {
                    topic: name,
                    expected: topic.partitions,
                    found: found.partitions().len(),
                });
            }
        }
    }
    Ok(missing)
}

async fn create(admin: &Admin, kafka: &Kafka, topics: &[Topic]) -> Result<(), Error> {
    let names: Vec<_> = topics.iter().map(|topic| kafka.topic(topic.name)).collect();
    // The cluster's own default number of replicas.
    const DEFAULT_REPLICATION: TopicReplication<'static> = TopicReplication::Fixed(-1);
    let new: Vec<_> = topics
        .iter()
        .zip(&names)
        .map(|(topic, name)| {
            let new = NewTopic::new(name, topic.partitions, DEFAULT_REPLICATION);
            topic.config().iter().fold(new, |new, (key, value)| new.set(key, value))
        })
        .collect();
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
    for created in admin.create_topics(&new, &options).await? {
        match created {
            Ok(topic) => tracing::info!(topic, "created"),
            Err((topic, RDKafkaErrorCode::TopicAlreadyExists)) => return Err(Error::JustMade { topic }),
            Err((topic, code)) => return Err(Error::Refused { topic, code }),
        }
    }
    Ok(())
}
