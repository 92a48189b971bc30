//! The stored offsets of one handler: read, begun, and moved in the effect's transaction.

use std::collections::BTreeMap;

use deadpool_postgres::{ClientWrapper, Transaction};
use tokio_postgres::{
    Error, Statement,
    types::{ToSql, Type},
};

use crate::{
    Insert, Parameter,
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
    step: Step,
    step_with_insert: Option<Step>,
}

/// A statement that moves the offset of one partition. The last of its parameters are those of [`STEP`].
struct Step {
    sql: String,
    types: Vec<Type>,
}

/// Handler, generation, topic, partition, and from which offset to which.
const STEP: [Type; 6] = [Type::TEXT, Type::INT4, Type::TEXT, Type::INT4, Type::INT8, Type::INT8];

impl Offsets {
    /// With the one statement that has the handler's effect, if there is one.
    pub(crate) fn new(schema: &str, owner: Owner, insert: Option<&Insert>) -> Self {
        let table = format!("{}.inbox_offset", quote(schema));
        let parked = format!("{}.inbox_parked", quote(schema));
        Self {
            owner,
            step: Step::new(&table, &parked, None),
            step_with_insert: insert.map(|insert| Step::new(&table, &parked, Some(insert))),
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

    /// Moves the offset of one partition from what is `expected` to `next` and, with parameters, executes the handler's insert, all
    /// in one statement. Nothing of it is done where another offset is stored, or anything is parked. Whether it is.
    ///
    /// Who parks something of this partition moves this offset, so the look at what is parked is as good as the offset that is found
    /// with it.
    ///
    /// Nor is anything done where somebody has locked the offset: the statement has its locks on all of its tables before it comes
    /// to the offset, and who holds the offset may be about to lock one of them.
    pub(crate) async fn step(
        &self,
        client: &ClientWrapper,
        topics: &Topics,
        expected: &BTreeMap<Partition, i64>,
        (partition, next): (Partition, i64),
        insert: Option<&[Parameter]>,
    ) -> Result<bool, Error> {
        let (step, insert) = match (insert, &self.step_with_insert) {
            (None, _) => (&self.step, &[][..]),
            (Some(parameters), Some(step)) => (step, parameters),
            // Without its effect no offset moves.
            (Some(_), None) => return Ok(false),
        };
        let statement = client.prepare_typed_cached(&step.sql, &step.types).await?;
        let topic = topics.of(partition).on_cluster.as_str();
        let expected = stored(expected, partition);
        let own: [&(dyn ToSql + Sync); 6] =
            [&self.owner.handler, &self.owner.generation, &topic, &partition.number, &expected, &next];
        let insert = insert.iter().map(|parameter| &**parameter as &(dyn ToSql + Sync));
        let parameters: Vec<_> = insert.chain(own).collect();
        client.query_one(&statement, &parameters).await?.try_get(0)
    }

    /// The statement for [`advance`](Self::advance), prepared once for each connection.
    pub(crate) async fn prepare(&self, transaction: &Transaction<'_>) -> Result<Statement, Error> {
        transaction.prepare_cached(&self.advance).await
    }

    /// Moves the offsets from what is `expected` to `next`, in one statement, unless they are stored with other values. What is
    /// asked of the transaction after the answer's future was polled once is done after that.
    ///
    /// Whether aggregates are parked is looked up in the same statement: nobody parks one of these partitions unless they move
    /// their offsets, so what it sees is still so when they have moved.
    pub(crate) async fn advance(
        &self,
        transaction: &Transaction<'_>,
        statement: &Statement,
        topics: &Topics,
        expected: &BTreeMap<Partition, i64>,
        next: &BTreeMap<Partition, i64>,
    ) -> Result<Advanced, Error> {
        let (names, numbers) = columns(topics, next.keys());
        let from: Vec<i64> = next.keys().map(|partition| stored(expected, *partition)).collect();
        let to: Vec<i64> = next.values().copied().collect();
        let parameters: [&(dyn ToSql + Sync); 6] =
            [&self.owner.handler, &self.owner.generation, &names, &numbers, &from, &to];
        let row = transaction.query_one(statement, &parameters).await?;
        let moved: i64 = row.try_get(0)?;
        Ok(Advanced { moved: usize::try_from(moved).is_ok_and(|moved| moved == next.len()), parked: row.try_get(1)? })
    }
}

impl Step {
    fn new(table: &str, parked: &str, insert: Option<&Insert>) -> Self {
        let mut types = insert.map(|insert| insert.types.clone()).unwrap_or_default();
        let [handler, generation, topic, partition, expected, next] =
            [1, 2, 3, 4, 5, 6].map(|number| types.len() + number);
        types.extend(STEP);
        let applied = insert.map(|Insert { select, on_conflict, .. }| {
            format!(", applied AS ({select} WHERE EXISTS (SELECT FROM moved) {on_conflict})")
        });
        let sql = format!(
            "WITH moved AS (
             UPDATE {table} SET next_offset = ${next}, updated_at = now()
             WHERE ctid = (
                 SELECT ctid FROM {table}
                 WHERE handler = ${handler} AND generation = ${generation} AND topic = ${topic} AND partition = ${partition}
                   AND next_offset = ${expected}
                   AND NOT EXISTS (SELECT FROM {parked} WHERE handler = ${handler} AND generation = ${generation})
                 FOR NO KEY UPDATE SKIP LOCKED)
             RETURNING 1){}
             SELECT EXISTS (SELECT FROM moved)",
            applied.unwrap_or_default()
        );
        Self { sql, types }
    }
}

/// No offset is negative, so that of a partition which is not this instance's matches nothing.
fn stored(offsets: &BTreeMap<Partition, i64>, partition: Partition) -> i64 {
    offsets.get(&partition).copied().unwrap_or(-1)
}

fn columns<'a>(topics: &'a Topics, partitions: impl Iterator<Item = &'a Partition>) -> (Vec<&'a str>, Vec<i32>) {
    partitions.map(|partition| (topics.of(*partition).on_cluster.as_str(), partition.number)).unzip()
}
