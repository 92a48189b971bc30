//! The stored offsets of one handler: read, begun, and moved in the effect's transaction.

use std::collections::BTreeMap;

use deadpool_postgres::{ClientWrapper, Transaction};
use tokio_postgres::{Error, types::ToSql};

use crate::{
    cluster::Ids,
    owner::Owner,
    schema::quote,
    topics::{Partition, Topics},
};

/// A partition's offset as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The next offset to apply.
    pub(crate) next: i64,
    /// The cluster that it is of, where known.
    pub(crate) cluster: Option<String>,
    /// The topic's id, where known.
    pub(crate) topic_id: Option<String>,
}

/// What came of moving offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advanced {
    /// All were as expected. Else the transaction must not be committed.
    pub(crate) moved: bool,
    /// The handler has parked aggregates, in whatever partition.
    pub(crate) parked: bool,
}

/// The statements, for one handler.
pub(crate) struct Offsets {
    owner: Owner,
    read: String,
    begin: String,
    identify: String,
    advance: String,
}

impl Offsets {
    pub(crate) fn new(schema: &str, owner: Owner) -> Self {
        let table = format!("{}.inbox_offset", quote(schema));
        let parked = format!("{}.inbox_parked", quote(schema));
        Self {
            owner,
            read: format!(
                "SELECT topic, partition, next_offset, cluster_id, topic_id
                 FROM {table} JOIN unnest($3::text[], $4::int[]) AS mine(topic, partition) USING (topic, partition)
                 WHERE handler = $1 AND generation = $2"
            ),
            begin: format!(
                "INSERT INTO {table} (handler, generation, topic, partition, next_offset, cluster_id, topic_id)
                 SELECT $1, $2, topic, partition, first, $6, topic_id
                 FROM unnest($3::text[], $4::int[], $5::bigint[], $7::text[]) AS mine(topic, partition, first, topic_id)
                 ON CONFLICT DO NOTHING"
            ),
            identify: format!(
                "UPDATE {table} AS stored
                 SET cluster_id = coalesce(stored.cluster_id, $5), topic_id = coalesce(stored.topic_id, mine.topic_id)
                 FROM unnest($3::text[], $4::int[], $6::text[]) AS mine(topic, partition, topic_id)
                 WHERE handler = $1 AND generation = $2
                   AND stored.topic = mine.topic AND stored.partition = mine.partition"
            ),
            advance: format!(
                "WITH moved AS (
                 UPDATE {table} AS stored SET next_offset = mine.next, updated_at = now()
                 FROM unnest($3::text[], $4::int[], $5::bigint[], $6::bigint[])
                     AS mine(topic, partition, expected, next)
                 WHERE handler = $1 AND generation = $2
                   AND stored.topic = mine.topic AND stored.partition = mine.partition
                   AND stored.next_offset = mine.expected
                 RETURNING 1)
                 SELECT (SELECT count(*) FROM moved),
                        EXISTS (SELECT FROM {parked} WHERE handler = $1 AND generation = $2)"
            ),
        }
    }

    /// What is stored for these partitions. Those without an offset are not in the answer.
    pub(crate) async fn read(
        &self,
        client: &ClientWrapper,
        topics: &Topics,
        partitions: &[Partition],
    ) -> Result<BTreeMap<Partition, Stored>, Error> {
        let (names, numbers) = columns(topics, partitions.iter());
        let statement = client.prepare_cached(&self.read).await?;
        let rows = client.query(&statement, &[&self.owner.handler, &self.owner.generation, &names, &numbers]).await?;
        let mut stored = BTreeMap::new();
        for row in rows {
            if let Some(partition) = topics.partition(row.try_get(0)?, row.try_get(1)?) {
                let (next, cluster, topic_id) = (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
                stored.insert(partition, Stored { next, cluster, topic_id });
            }
        }
        Ok(stored)
    }

    /// Stores first offsets. An offset that another instance has stored meanwhile stays.
    pub(crate) async fn begin(
        &self,
        client: &ClientWrapper,
        topics: &Topics,
        first: &BTreeMap<Partition, i64>,
        ids: &Ids,
    ) -> Result<(), Error> {
        let (names, numbers) = columns(topics, first.keys());
        let offsets: Vec<i64> = first.values().copied().collect();
        let topic_ids: Vec<Option<&str>> = first.keys().map(|partition| ids.of_topic(*partition)).collect();
        let statement = client.prepare_cached(&self.begin).await?;
        let parameters: [&(dyn ToSql + Sync); 7] =
            [&self.owner.handler, &self.owner.generation, &names, &numbers, &offsets, &ids.cluster, &topic_ids];
        client.execute(&statement, &parameters).await?;
        Ok(())
    }

    /// Stores the ids of the cluster and the topics with offsets that were stored before they were known.
    pub(crate) async fn identify(
        &self,
        client: &ClientWrapper,
        topics: &Topics,
        partitions: &[Partition],
        ids: &Ids,
    ) -> Result<(), Error> {
        let (names, numbers) = columns(topics, partitions.iter());
        let topic_ids: Vec<Option<&str>> = partitions.iter().map(|partition| ids.of_topic(*partition)).collect();
        let statement = client.prepare_cached(&self.identify).await?;
        let parameters: [&(dyn ToSql + Sync); 6] =
            [&self.owner.handler, &self.owner.generation, &names, &numbers, &ids.cluster, &topic_ids];
        client.execute(&statement, &parameters).await?;
        Ok(())
    }

    /// Moves the offsets from what is `expected` to `next`, in one statement, unless they are stored with other values.
    ///
    /// Whether aggregates are parked is looked up in the same statement: nobody parks one of these partitions unless they move
    /// their offsets, so what it sees is still so when they have moved.
    pub(crate) async fn advance(
        &self,
        transaction: &Transaction<'_>,
        topics: &Topics,
        expected: &BTreeMap<Partition, i64>,
        next: &BTreeMap<Partition, i64>,
    ) -> Result<Advanced, Error> {
        let (names, numbers) = columns(topics, next.keys());
        // No offset is negative, so that of a partition which is not this instance's matches nothing.
        let from: Vec<i64> = next.keys().map(|partition| expected.get(partition).copied().unwrap_or(-1)).collect();
        let to: Vec<i64> = next.values().copied().collect();
        let statement = transaction.prepare_cached(&self.advance).await?;
        let parameters: [&(dyn ToSql + Sync); 6] =
            [&self.owner.handler, &self.owner.generation, &names, &numbers, &from, &to];
        let row = transaction.query_one(&statement, &parameters).await?;
        let moved: i64 = row.try_get(0)?;
        Ok(Advanced { moved: usize::try_from(moved).is_ok_and(|moved| moved == next.len()), parked: row.try_get(1)? })
    }
}

fn columns<'a>(topics: &'a Topics, partitions: impl Iterator<Item = &'a Partition>) -> (Vec<&'a str>, Vec<i32>) {
    partitions.map(|partition| (topics.of(*partition).on_cluster.as_str(), partition.number)).unzip()
}
