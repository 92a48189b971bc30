//! Applying an aggregate's parked events again, in their order, in one transaction.
//!
//! It holds the lock of the aggregate's row from before it reads them until it commits: the intake waits for that before it
//! applies or parks another event of the same aggregate, and this waits for the intake.

use deadpool_postgres::{Pool, PoolError, Transaction};
use telemetry::database::reason;
use tokio_postgres::Row;

use crate::{
    AnyHandler, Handler, Parking, Unapplied,
    dead_letter::{self, storable},
    handler::decode,
    message::Message,
    schema::quote,
    topics::{Partition, Topic},
    writer::{refusal, try_to_apply},
};

/// A parked aggregate of a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub(crate) handler: String,
    pub(crate) generation: i32,
    /// The topic's name on the cluster.
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) aggregate: String,
}

impl Place {
    /// Whether it is this handler that parked it.
    pub(crate) fn is_of(&self, handler: &dyn AnyHandler) -> bool {
        (self.handler.as_str(), self.generation) == (handler.name(), handler.generation())
    }
}

/// What came of a retry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retried {
    pub(crate) applied: u64,
    pub(crate) left: i64,
    /// Why the first that is left cannot be applied.
    pub(crate) refusal: Option<String>,
}

/// Why nothing came of a retry.
#[derive(Debug, thiserror::Error)]
pub enum Stuck {
    /// The database, or the event for a reason that passes.
    #[error("{}", reason(.0))]
    Passing(#[from] Unapplied),
    /// There is no connection.
    #[error("{}", reason(.0))]
    Pool(#[from] PoolError),
}

impl From<tokio_postgres::Error> for Stuck {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Passing(error.into())
    }
}

/// So many parked events are in memory at a time.
const PAGE: i64 = 100;

const OF_PLACE: &str = "handler = $1 AND generation = $2 AND topic = $3 AND partition = $4 AND aggregate = $5";

/// Locks an aggregate's row; `false` when it is not parked any more.
pub(crate) async fn lock(
    transaction: &Transaction<'_>,
    schema: &str,
    at: &Place,
) -> Result<bool, tokio_postgres::Error> {
    let sql = format!("SELECT FROM {}.inbox_parked WHERE {OF_PLACE} FOR UPDATE", quote(schema));
    let place = &[&at.handler as _, &at.generation as _, &at.topic as _, &at.partition as _, &at.aggregate as _];
    Ok(transaction.query_opt(&sql, place).await?.is_some())
}

/// How many parked events the aggregate has left; its row goes with the last.
pub(crate) async fn release(
    transaction: &Transaction<'_>,
    schema: &str,
    at: &Place,
) -> Result<i64, tokio_postgres::Error> {
    let schema = quote(schema);
    let place = &[&at.handler as _, &at.generation as _, &at.topic as _, &at.partition as _, &at.aggregate as _];
    let count = format!("SELECT count(*) FROM {schema}.inbox_dead_letter WHERE {OF_PLACE}");
    let left: i64 = transaction.query_one(&count, place).await?.try_get(0)?;
    if left == 0 {
        transaction.execute(&format!("DELETE FROM {schema}.inbox_parked WHERE {OF_PLACE}"), place).await?;
    }
    Ok(left)
}

/// Applies the aggregate's parked events, up to the first that cannot be where the later ones queue behind it.
pub(crate) async fn aggregate<H: Handler>(
    handler: &H,
    pool: &Pool,
    schema: &str,
    at: &Place,
) -> Result<Retried, Stuck> {
    let mut retried = Retried::default();
    let Some(topic) = topic_of(handler, &at.topic) else {
        retried.refusal = Some(format!("the handler does not read topic {} any more", at.topic));
        retried.left = 1;
        return Ok(retried);
    };
    let letters = format!("{}.inbox_dead_letter", quote(schema));
    let page = format!(
        "SELECT message_offset, key, headers, document, published_at FROM {letters}
         WHERE {OF_PLACE} AND message_offset > $6 ORDER BY message_offset LIMIT {PAGE}"
    );
    let remove = format!("DELETE FROM {letters} WHERE {OF_PLACE} AND message_offset = $6");
    let refuse = format!("UPDATE {letters} SET error = $7 WHERE {OF_PLACE} AND message_offset = $6");
    let mut client = pool.get().await?;
    let mut transaction = client.transaction().await?;
    if !lock(&transaction, schema, at).await? {
        return Ok(retried);
    }
    let (handler_name, generation, on, partition, key) =
        (&at.handler, &at.generation, &at.topic, &at.partition, &at.aggregate);
    let mut last = -1_i64;
    'pages: loop {
        let rows = transaction.query(&page, &[handler_name, generation, on, partition, key, &last]).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let message = read(&row, at.partition)?;
            last = message.offset;
            match apply(handler, &mut transaction, &message, &topic).await? {
                None => {
                    transaction.execute(&remove, &[handler_name, generation, on, partition, key, &last]).await?;
                    retried.applied += 1;
                }
                Some(error) => {
                    let error = storable(&error);
                    let place: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
                        &[handler_name, generation, on, partition, key, &last, &error];
                    transaction.execute(&refuse, place).await?;
                    retried.refusal.get_or_insert(error);
                    if handler.parking() == Parking::Queue {
                        break 'pages;
                    }
                }
            }
        }
    }
    retried.left = release(&transaction, schema, at).await?;
    transaction.commit().await?;
    if retried.applied > 0 {
        handler.tell(&client, None).await?;
    }
    Ok(retried)
}

/// Applies one event, or gives why it cannot be.
async fn apply<H: Handler>(
    handler: &H,
    transaction: &mut Transaction<'_>,
    message: &Message,
    topic: &Topic,
) -> Result<Option<String>, Unapplied> {
    let decoded = message.read(topic).and_then(|delivery| decode(handler, &delivery));
    match decoded {
        Err(error) => Ok(Some(error.0)),
        // Of no interest any more.
        Ok(None) => Ok(None),
        Ok(Some(event)) => Ok(try_to_apply(handler, transaction, &[event]).await?.as_ref().map(refusal)),
    }
}

/// The handler's topic that has this name on the cluster, whatever the installation's prefix: no broker is asked.
fn topic_of(handler: &impl Handler, on_cluster: &str) -> Option<Topic> {
    let of = handler.topics().iter().filter(|topic| on_cluster.ends_with(topic.name));
    let topic = of.max_by_key(|topic| topic.name.len())?;
    Some(Topic { name: topic.name.into(), on_cluster: on_cluster.to_owned(), partitions: topic.partitions })
}

fn read(row: &Row, partition: i32) -> Result<Message, tokio_postgres::Error> {
    let (key, document) = (row.try_get::<_, Option<&[u8]>>(1)?, row.try_get::<_, Option<&[u8]>>(3)?);
    let headers = dead_letter::from_json(&row.try_get(2)?);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    // Which of the handler's topics it is, the caller knows.
    let at = Partition { topic: 0, number: partition };
    let published: Option<chrono::DateTime<chrono::Utc>> = row.try_get(4)?;
    let published = published.map(|at| at.timestamp_millis());
    Ok(Message { published, ..Message::new(at, row.try_get(0)?, key, document, Some(&headers)) })
}
