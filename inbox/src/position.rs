//! Where each partition goes on: at its stored offset, or at its beginning when it has none. Kafka's own idea of the
//! group's offsets is never asked.

use std::{collections::BTreeMap, sync::Arc};

use deadpool_postgres::Pool;

use crate::{
    Halt,
    cluster::{self, Bounds, Ids},
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
    pub(crate) client: Arc<GroupConsumer>,
}

impl Finder<'_> {
    /// The position of each of these partitions, and the ids that the cluster and the topics have.
    pub(crate) async fn find(
        &self,
        partitions: &[Partition],
    ) -> Result<(BTreeMap<Partition, Position>, Ids), Obstacle> {
        for partition in partitions {
            let topic = self.topics.of(*partition);
            Halt::of_partitions(topic, topic.partitions.max(partition.number + 1)).map_or(Ok(()), Err)?;
        }
        let ids = cluster::ids(self.client.clone(), self.topics.clone()).await?;
        let mut stored = self.stored(partitions).await?;
        let new: Vec<Partition> = partitions.iter().filter(|of| !stored.contains_key(of)).copied().collect();
        if !new.is_empty() {
            self.begin(new, &ids).await?;
            stored = self.stored(partitions).await?;
        }
        // Asked after the offsets were read: another instance may be moving both.
        let bounds = self.bounds(partitions.to_vec()).await?;
        let (mut positions, mut unidentified) = (BTreeMap::new(), Vec::new());
        for (partition, stored) in stored {
            if let Some(bounds) = bounds.get(&partition) {
                let (cluster, topic_id) = (ids.cluster.as_deref(), ids.of_topic(partition));
                let found = Found { bounds: *bounds, cluster, topic_id };
                let topic = &self.topics.of(partition).on_cluster;
                positions.insert(partition, check(topic, partition.number, &stored, &found)?);
                let is_new = |stored: Option<String>, found: Option<&str>| stored.is_none() && found.is_some();
                if is_new(stored.cluster, cluster) || is_new(stored.topic_id, topic_id) {
                    unidentified.push(partition);
                }
            }
        }
        // From now on another cluster or topic is noticed.
        if !unidentified.is_empty() {
            self.offsets.identify(&*self.pool.get().await?, self.topics, &unidentified, &ids).await?;
        }
        Ok((positions, ids))
    }

    async fn stored(&self, partitions: &[Partition]) -> Result<BTreeMap<Partition, Stored>, Obstacle> {
        Ok(self.offsets.read(&*self.pool.get().await?, self.topics, partitions).await?)
    }

    async fn begin(&self, partitions: Vec<Partition>, ids: &Ids) -> Result<(), Obstacle> {
        let first = self.bounds(partitions).await?.into_iter().map(|(of, bounds)| (of, bounds.first)).collect();
        Ok(self.offsets.begin(&*self.pool.get().await?, self.topics, &first, ids).await?)
    }

    async fn bounds(&self, partitions: Vec<Partition>) -> Result<BTreeMap<Partition, Bounds>, Obstacle> {
        cluster::bounds(self.client.clone(), self.topics.clone(), partitions).await
    }
}

/// What the cluster tells about a partition.
struct Found<'a> {
    bounds: Bounds,
    cluster: Option<&'a str>,
    topic_id: Option<&'a str>,
}

/// Holds a stored offset against what the cluster has. What is not known of one of them is not held against the other.
fn check(topic: &str, partition: i32, stored: &Stored, found: &Found<'_>) -> Result<Position, Halt> {
    let (topic, next, Bounds { first, end }) = (topic.to_owned(), stored.next, found.bounds);
    let another = |stored: &Option<String>, found: Option<&str>| match (stored, found) {
        (Some(stored), Some(found)) if stored != found => Some((stored.clone(), found.to_owned())),
        _ => None,
    };
    if let Some((stored, found)) = another(&stored.cluster, found.cluster) {
        return Err(Halt::Cluster { topic, stored, found });
    }
    if let Some((stored, found)) = another(&stored.topic_id, found.topic_id) {
        return Err(Halt::Topic { topic, stored, found });
    }
    if (first..=end).contains(&next) {
        Ok(Position { next, end })
    } else {
        Err(Halt::OutOfRange { topic, partition, next, first, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With what was stored and is found: the cluster's id and the topic's.
    fn checked(next: i64, stored: [Option<&str>; 2], found: [Option<&str>; 2]) -> Result<Position, Halt> {
        let [cluster, topic_id] = stored.map(|id| id.map(str::to_owned));
        let bounds = Bounds { first: 10, end: 20 };
        let found = Found { bounds, cluster: found[0], topic_id: found[1] };
        check("a.v1", 0, &Stored { next, cluster, topic_id }, &found)
    }

    const HERE: [Option<&str>; 2] = [Some("c"), Some("t")];

    #[test]
    fn goes_on_anywhere_between_the_first_offset_and_the_end() {
        for next in [10, 15, 20] {
            assert_eq!(checked(next, HERE, HERE), Ok(Position { next, end: 20 }));
        }
    }

    #[test]
    fn an_offset_that_is_not_there_halts() {
        for next in [0, 9, 21] {
            let topic = "a.v1".to_owned();
            let halt = Halt::OutOfRange { topic, partition: 0, next, first: 10, end: 20 };
            assert_eq!(checked(next, [None; 2], [None; 2]), Err(halt));
        }
    }

    #[test]
    fn another_cluster_and_another_topic_halt_whatever_the_offset() {
        let (topic, found) = (|| "a.v1".to_owned(), || "d".to_owned());
        for next in [15, 99] {
            let cluster = Halt::Cluster { topic: topic(), stored: "c".into(), found: found() };
            assert_eq!(checked(next, HERE, [Some("d"), Some("t")]), Err(cluster));
            let anew = Halt::Topic { topic: topic(), stored: "t".into(), found: found() };
            assert_eq!(checked(next, HERE, [Some("c"), Some("d")]), Err(anew));
        }
        assert!(checked(15, [None; 2], HERE).is_ok(), "not known when it was stored");
        assert!(checked(15, HERE, [None; 2]).is_ok(), "not told now");
    }
}
