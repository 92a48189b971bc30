//! Tells aggregates again as they are, for readers that start late or have lost what they had.
//!
//! The document is written to the outbox with the version that the aggregate has, under the lock of its row: a newer version
//! cannot overtake it. It updates copies, and starts no process.

use contracts::{Topic, envelope::AggregateVersion};
use deadpool_postgres::{GenericClient, Transaction};
use futures::{FutureExt, future::BoxFuture};
use tokio_postgres::Row;

use super::{Document, Entry};
use crate::{command::Cause, database};

/// So many in one transaction.
const PAGE: i64 = 500;

/// An aggregate that its context can tell again.
pub(crate) struct Aggregate {
    /// Where it is told; its older versions are told with it, where they are published still.
    pub(crate) topic: Topic,
    /// The table that has one row for each, with a column `version`, and the column with its id.
    pub(crate) table: &'static str,
    pub(crate) id: &'static str,
    pub(crate) page: for<'a> fn(&'a Transaction<'a>, &'a Which<'a>) -> BoxFuture<'a, Result<Page, database::Error>>,
}

/// Which aggregates of a kind are told.
#[derive(Clone, Copy)]
pub(crate) struct Which<'a> {
    /// Those whose ids come behind this one.
    pub(crate) after: &'a str,
    /// This one alone.
    pub(crate) only: Option<&'a str>,
    /// By how much each version is raised, where others have seen higher ones than the database has.
    pub(crate) raise: i64,
    /// What the events name as their cause.
    pub(crate) cause: &'a Cause,
}

/// What was told.
pub(crate) struct Page {
    pub(crate) count: u64,
    /// The last id, where there may be more.
    pub(crate) last: Option<String>,
}

/// How an aggregate is read from its rows.
pub(crate) trait Restated {
    type Document: Document;
    /// The table that has one row for each, with a column `version`.
    const TABLE: &'static str;
    /// The column with its id.
    const ID: &'static str;
    /// What is read of a row: all of it, and perhaps what belongs to it elsewhere.
    const COLUMNS: &'static str = "*";
    /// The event's type.
    const EVENT: &'static str;

    /// What there is to tell; `None` where the aggregate is gone.
    fn read(row: &Row) -> Result<Option<Self::Document>, database::Error>;

    /// The events that tell it: one for each version of the contract that is published.
    fn entries(document: &Self::Document, cause: &Cause) -> Vec<Entry> {
        vec![Entry::new(document, Self::EVENT, cause)]
    }
}

impl Aggregate {
    /// Whether this topic is of it, in whichever version.
    pub(crate) fn is_told_on(&self, topic: &Topic) -> bool {
        self.topic.aggregate_type().0 == topic.aggregate_type().0
    }

    /// The aggregate that is read so.
    pub(crate) const fn of<R: Restated + 'static>() -> Self {
        let (topic, table, id) = (R::Document::TOPIC, R::TABLE, R::ID);
        Self { topic, table, id, page: |transaction, which| page::<R>(transaction, which).boxed() }
    }
}

async fn page<R: Restated>(transaction: &Transaction<'_>, which: &Which<'_>) -> Result<Page, database::Error> {
    let (table, id) = (R::TABLE, R::ID);
    let schema = table.split('.').next().unwrap_or_default();
    let lock = format!(
        "select {id} from {table} where {id} > $1 and ($2::text is null or {id} = $2) order by {id} limit $3 for no key update"
    );
    let lock = transaction.prepare_cached(&lock).await?;
    let rows = transaction.query(&lock, &[&which.after, &which.only, &PAGE]).await?;
    let ids: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    if which.raise > 0 {
        let raise = format!("update {table} set version = version + $2 where {id} = any($1)");
        transaction.execute(&transaction.prepare_cached(&raise).await?, &[&ids, &which.raise]).await?;
    }
    let read = format!("select {} from {table} where {id} = any($1) order by {id}", R::COLUMNS);
    // Prepared anew each time, since it may say `*`.
    for row in transaction.query(&read, &[&ids]).await? {
        let entries = match R::read(&row)? {
            Some(document) => R::entries(&document, which.cause),
            None => {
                let version = database::read::<AggregateVersion, i64>(&row, "version")?;
                vec![Entry::tombstone::<R::Document>(row.try_get(id)?, version, R::EVENT, which.cause)]
            }
        };
        for entry in entries {
            entry.record(transaction, schema).await?;
        }
    }
    let is_full = i64::try_from(ids.len()) == Ok(PAGE);
    Ok(Page { count: ids.len() as u64, last: ids.into_iter().next_back().filter(|_| is_full) })
}
