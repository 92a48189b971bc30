//! Where each partition goes on: at its stored offset, or at its beginning when it has none. Kafka's own idea of the
//! group's offsets is never asked.

use std::{collections::BTreeMap, sync::Arc};

use deadpool_postgres::Pool;

use crate::{
    Halt,
    cluster::{self, Bounds},
    consumer::GroupConsumer,
    obstacle::Obstacle,
    offsets::{Offsets, Stored},
    topics::{Partition, Topics},
};

/// Where a partition goes on, and where it ended a moment later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) next: i64,
    pub(crate) end: i64,
}

/// What positions are found with.
pub(crate) struct Finder<'a> {
    pub(crate) topics: &'a Arc<Topics>,
    pub(crate) pool: &'a Pool,
    pub(crate) offsets: &'a Offsets,
    /// The id of the cluster, where known.
    pub(crate) cluster: Option<&'a str>,
    pub(crate) client: Arc<GroupConsumer>,
}

impl Finder<'_> {
    /// The position of each of these partitions.
    pub(crate) async fn find(&self, partitions: &[Partition]) -> Result<BTreeMap<Partition, Position>, Obstacle> {
        for partition in partitions {
            let topic = self.topics.of(*partition);
            Halt::of_partitions(topic, topic.partitions.max(partition.number + 1)).map_or(Ok(()), Err)?;
        }
        let mut stored = self.stored(partitions).await?;
        let new: Vec<Partition> = partitions.iter().filter(|of| !stored.contains_key(of)).copied().collect();
        if !new.is_empty() {
            self.begin(new).await?;
            stored = self.stored(partitions).await?;
        }
        // Asked after the offsets were read: another instance may be moving both.
        let bounds = self.bounds(partitions.to_vec()).await?;
        let mut positions = BTreeMap::new();
        for (partition, stored) in stored {
            if let Some(bounds) = bounds.get(&partition) {
                positions.insert(partition, check(self.topics, partition, stored, *bounds, self.cluster)?);
            }
        }
        Ok(positions)
    }

    async fn stored(&self, partitions: &[Partition]) -> Result<BTreeMap<Partition, Stored>, Obstacle> {
        Ok(self.offsets.read(&*self.pool.get().await?, self.topics, partitions).await?)
    }

    async fn begin(&self, partitions: Vec<Partition>) -> Result<(), Obstacle> {
        let first = self.bounds(partitions).await?.into_iter().map(|(of, bounds)| (of, bounds.first)).collect();
        Ok(self.offsets.begin(&*self.pool.get().await?, self.topics, &first, self.cluster).await?)
    }

    async fn bounds(&self, partitions: Vec<Partition>) -> Result<BTreeMap<Partition, Bounds>, Obstacle> {
        cluster::bounds(self.client.clone(), self.topics.clone(), partitions).await
    }
}

/// Holds a stored offset against what the cluster has.
fn check(
    topics: &Topics,
    partition: Partition,
    stored: Stored,
    Bounds { first, end }: Bounds,
    cluster: Option<&str>,
) -> Result<Position, Halt> {
    let topic = || topics.of(partition).on_cluster.clone();
    let next = stored.next;
    match (stored.cluster, cluster) {
        (Some(stored), Some(found)) if stored != found => {
            Err(Halt::Cluster { topic: topic(), stored, found: found.to_owned() })
        }
        _ if !(first..=end).contains(&next) => {
            Err(Halt::OutOfRange { topic: topic(), partition: partition.number, next, first, end })
        }
        _ => Ok(Position { next, end }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use telemetry::kafka::Kafka;

    fn checked(next: i64, stored_for: Option<&str>, found: Option<&str>) -> Result<Position, Halt> {
        const CONTRACT: &[contracts::Topic] =
            &[contracts::Topic { name: "a.v1", partitions: 1, cleanup: contracts::Cleanup::Journal }];
        let topics = Topics::new(CONTRACT, &Kafka::at("localhost:1"));
        let stored = Stored { next, cluster: stored_for.map(str::to_owned) };
        check(&topics, Partition { topic: 0, number: 0 }, stored, Bounds { first: 10, end: 20 }, found)
    }

    #[test]
    fn goes_on_anywhere_between_the_first_offset_and_the_end() {
        for next in [10, 15, 20] {
            assert_eq!(checked(next, Some("c"), Some("c")), Ok(Position { next, end: 20 }));
        }
    }

    #[test]
    fn an_offset_that_is_not_there_halts() {
        for next in [0, 9, 21] {
            let topic = "a.v1".to_owned();
            assert_eq!(
                checked(next, None, None),
                Err(Halt::OutOfRange { topic, partition: 0, next, first: 10, end: 20 })
            );
        }
    }

    #[test]
    fn another_cluster_halts_whatever_the_offset() {
        let halt = Halt::Cluster { topic: "a.v1".into(), stored: "c".into(), found: "d".into() };
        assert_eq!(checked(15, Some("c"), Some("d")), Err(halt.clone()));
        assert_eq!(checked(99, Some("c"), Some("d")), Err(halt));
        assert!(checked(15, None, Some("d")).is_ok(), "not known when it was stored");
        assert!(checked(15, Some("c"), None).is_ok(), "not told now");
    }
}
