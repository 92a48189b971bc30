//! `write-service republish`: tells aggregates again as they are.

use contracts::envelope::TraceContext;
use telemetry::database::Database;
use uuid::Uuid;

use crate::{
    command::Cause,
    context::Context,
    database,
    outbox::restate::{Aggregate, Which},
};

/// What is told again.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The aggregates of this topic alone, each in every version of its contract that is published.
    pub topic: Option<String>,
    /// The aggregate of this id alone.
    pub id: Option<String>,
    /// By how much each version is raised: after a restore from a backup, when others have seen versions that the database
    /// does not know of any more.
    pub raise_version: i64,
}

/// Why not all was told again. What was told before stays told; the whole may be repeated.
#[derive(Debug, thiserror::Error)]
pub enum RepublishError {
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] std::io::Error),
    /// The database does not do it.
    #[error("{topic}: {reason}")]
    Database {
        /// What was about to be told.
        topic: &'static str,
        /// Why not.
        reason: String,
    },
}

/// Tells again what is selected of a context, and says after each transaction how many of a topic that were.
///
/// # Errors
/// When the database is away or refuses.
pub async fn republish(
    context: &Context,
    database: &Database,
    selection: &Selection,
    mut told: impl FnMut(&'static str, u64),
) -> Result<(), RepublishError> {
    let database = database.clone().as_role(context.schema).application_name("write-service republish").pool_size(1);
    let pool = database.pool()?;
    let id = Uuid::now_v7();
    let cause = Cause { id, correlation_id: id.to_string(), trace: TraceContext::default() };
    let selected = |aggregate: &&Aggregate| {
        let is_told_on = |name| context.topics.iter().any(|topic| topic.name == name && aggregate.is_told_on(topic));
        selection.topic.as_deref().is_none_or(is_told_on)
    };
    for aggregate in context.aggregates.iter().filter(selected) {
        let topic = aggregate.topic.name;
        let mut after = String::new();
        let mut count = 0;
        loop {
            let (only, raise) = (selection.id.as_deref(), selection.raise_version);
            let which = Which { after: &after, only, raise, cause: &cause };
            let page = tell(&pool, aggregate, &which)
                .await
                .map_err(|error| RepublishError::Database { topic, reason: error.to_string() })?;
            count += page.count;
            told(topic, count);
            match page.last {
                Some(last) => after = last,
                None => break,
            }
        }
    }
    Ok(())
}

async fn tell(
    pool: &deadpool_postgres::Pool,
    aggregate: &Aggregate,
    which: &Which<'_>,
) -> Result<crate::outbox::restate::Page, database::Error> {
    let mut client = pool.get().await?;
    let transaction = client.transaction().await?;
    let page = (aggregate.page)(&transaction, which).await?;
    transaction.commit().await?;
    Ok(page)
}
