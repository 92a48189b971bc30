//! The rows of aggregates that have parked events, one handler's: locked, counted, made and taken away.
//!
//! Whoever parks or retries an aggregate's events holds its row's lock. Only who moves a partition's offset makes rows of
//! that partition, and a retry only takes rows away. So who finds no row after it has moved the offset may apply.

use std::collections::BTreeMap;

use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::{Error, types::ToSql};

use crate::{
    owner::Owner,
    schema::quote,
    topics::{Partition, Topics},
};

/// An aggregate within its partition.
pub(crate) type Aggregate<'a> = (Partition, &'a str);

/// An event that was applied, and so makes parked ones of its aggregate obsolete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) offset: i64,
    pub(crate) sequence: Option<i64>,
}

/// What is set aside of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Aside {
    /// Aggregates that are parked.
    pub(crate) aggregates: usize,
    /// Messages without a usable key.
    pub(crate) alone: usize,
}

impl Aside {
    /// What counts towards the limit.
    pub(crate) fn count(self) -> usize {
        self.aggregates + self.alone
    }
}

/// The statements, for one handler.
pub(crate) struct Parked {
    owner: Owner,
    lock: String,
    count: String,
    park: String,
    pass: String,
    release: String,
}

impl Parked {
    pub(crate) fn new(schema: &str, owner: Owner) -> Self {
        let table = format!("{}.inbox_parked", quote(schema));
        let letters = format!("{}.inbox_dead_letter", quote(schema));
        let mine = "unnest($3::text[], $4::int[], $5::text[])";
        Self {
            owner,
            // In one order, so that two who lock several do not wait for each other.
            lock: format!(
                "SELECT mine.place FROM {table} AS parked
                 JOIN {mine} WITH ORDINALITY AS mine(topic, partition, aggregate, place)
                     USING (topic, partition, aggregate)
                 WHERE parked.handler = $1 AND parked.generation = $2
                 ORDER BY topic, partition, aggregate FOR UPDATE OF parked"
            ),
            count: format!(
                "SELECT topic, partition, sum(aggregates)::bigint, sum(alone)::bigint FROM (
                     SELECT topic, partition, count(*) AS aggregates, 0 AS alone FROM {table}
                     WHERE handler = $1 AND generation = $2 GROUP BY topic, partition
                     UNION ALL
                     SELECT topic, partition, 0, count(*) FROM {letters}
                     WHERE handler = $1 AND generation = $2 AND aggregate IS NULL GROUP BY topic, partition
                 ) AS aside GROUP BY topic, partition"
            ),
            park: format!(
                "INSERT INTO {table} (handler, generation, topic, partition, aggregate)
                 SELECT $1, $2, * FROM {mine} ON CONFLICT DO NOTHING"
            ),
            pass: format!(
                "DELETE FROM {letters} AS letter
                 USING unnest($3::text[], $4::int[], $5::text[], $6::bigint[], $7::bigint[])
                     AS passed(topic, partition, aggregate, message_offset, sequence)
                 WHERE letter.handler = $1 AND letter.generation = $2 AND letter.topic = passed.topic
                   AND letter.partition = passed.partition AND letter.aggregate = passed.aggregate
                   AND letter.message_offset < passed.message_offset
                   AND coalesce(letter.sequence <= passed.sequence, true)"
            ),
            release: format!(
                "DELETE FROM {table} AS parked USING {mine} AS mine(topic, partition, aggregate)
                 WHERE parked.handler = $1 AND parked.generation = $2 AND parked.topic = mine.topic
                   AND parked.partition = mine.partition AND parked.aggregate = mine.aggregate
                   AND NOT EXISTS (
                       SELECT FROM {letters} AS letter
                       WHERE letter.handler = $1 AND letter.generation = $2 AND letter.topic = mine.topic
                         AND letter.partition = mine.partition AND letter.aggregate = mine.aggregate
                   )"
            ),
        }
    }

    /// Locks the rows of those of the aggregates that are parked, and gives those. Waits for a retry that is under way.
    pub(crate) async fn lock<'a>(
        &self,
        transaction: &Transaction<'_>,
        topics: &Topics,
        aggregates: &[Aggregate<'a>],
    ) -> Result<Vec<Aggregate<'a>>, Error> {
        if aggregates.is_empty() {
            return Ok(Vec::new());
        }
        let statement = transaction.prepare_cached(&self.lock).await?;
        let (names, numbers, keys) = columns(topics, aggregates);
        let parameters: [&(dyn ToSql + Sync); 5] =
            [&self.owner.handler, &self.owner.generation, &names, &numbers, &keys];
        let mut locked = Vec::new();
        for row in transaction.query(&statement, &parameters).await? {
            // Places are counted from one.
            let place = usize::try_from(row.try_get::<_, i64>(0)? - 1).unwrap_or_default();
            locked.extend(aggregates.get(place));
        }
        Ok(locked)
    }

    /// How much of each partition is set aside; those of which nothing is are not in the answer.
    pub(crate) async fn count(
        &self,
        client: &impl GenericClient,
        topics: &Topics,
    ) -> Result<BTreeMap<Partition, Aside>, Error> {
        let statement = client.prepare_cached(&self.count).await?;
        let mut counts = BTreeMap::new();
        for row in client.query(&statement, &[&self.owner.handler, &self.owner.generation]).await? {
            if let Some(partition) = topics.partition(row.try_get(0)?, row.try_get(1)?) {
                let count =
                    |column| Ok::<_, Error>(usize::try_from(row.try_get::<_, i64>(column)?).unwrap_or_default());
                counts.insert(partition, Aside { aggregates: count(2)?, alone: count(3)? });
            }
        }
        Ok(counts)
    }

    /// Parks these aggregates; who is parked already stays so.
    pub(crate) async fn park(
        &self,
        transaction: &Transaction<'_>,
        topics: &Topics,
        aggregates: &[Aggregate<'_>],
    ) -> Result<(), Error> {
        self.execute(transaction, &self.park, topics, aggregates).await
    }

    /// Drops the parked events that these applied ones make obsolete, and the rows of aggregates that have none left.
    pub(crate) async fn pass(
        &self,
        transaction: &Transaction<'_>,
        topics: &Topics,
        passed: &BTreeMap<Aggregate<'_>, Passed>,
    ) -> Result<(), Error> {
        let aggregates: Vec<_> = passed.keys().copied().collect();
        let (names, numbers, keys) = columns(topics, &aggregates);
        let offsets: Vec<i64> = passed.values().map(|passed| passed.offset).collect();
        let sequences: Vec<Option<i64>> = passed.values().map(|passed| passed.sequence).collect();
        let statement = transaction.prepare_cached(&self.pass).await?;
        let parameters: [&(dyn ToSql + Sync); 7] =
            [&self.owner.handler, &self.owner.generation, &names, &numbers, &keys, &offsets, &sequences];
        transaction.execute(&statement, &parameters).await?;
        self.execute(transaction, &self.release, topics, &aggregates).await
    }

    async fn execute(
        &self,
        transaction: &Transaction<'_>,
        sql: &str,
        topics: &Topics,
        aggregates: &[Aggregate<'_>],
    ) -> Result<(), Error> {
        let (names, numbers, keys) = columns(topics, aggregates);
        let statement = transaction.prepare_cached(sql).await?;
        let parameters: [&(dyn ToSql + Sync); 5] =
            [&self.owner.handler, &self.owner.generation, &names, &numbers, &keys];
        transaction.execute(&statement, &parameters).await?;
        Ok(())
    }
}

fn columns<'a>(topics: &'a Topics, aggregates: &[Aggregate<'a>]) -> (Vec<&'a str>, Vec<i32>, Vec<&'a str>) {
    let names = aggregates.iter().map(|(of, _)| topics.of(*of).on_cluster.as_str()).collect();
    let numbers = aggregates.iter().map(|(of, _)| of.number).collect();
    (names, numbers, aggregates.iter().map(|(_, key)| *key).collect())
}
