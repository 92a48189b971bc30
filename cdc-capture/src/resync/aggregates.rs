//! What the tables hold of each aggregate, and how far Kafka has it. Pure: no client, no clock.
//!
//! Kafka has an aggregate up to the version that its records reach without leaving out one that the tables hold. A
//! version that is missing between others (an event that the broker refused, say, while those behind it were taken) is
//! published, and all later ones of that key after it, or the older document would come last. There are two exceptions.
//! Where records may be missing for a good reason (a compacted topic, or versions that do not rise by one), the highest
//! version counts. And where the log's beginning was removed, an aggregate's first record is taken as it is.
//!
//! About 60 bytes are kept for each aggregate that has rows, and nothing for a row or a record.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

/// The aggregates that have rows in the tables, by topic and key.
#[derive(Debug, Default)]
pub(super) struct Aggregates {
    /// Two, for 128 bits: two aggregates that were taken for one would lose events.
    seeds: (RandomState, RandomState),
    found: HashMap<u128, Aggregate>,
}

#[derive(Debug)]
struct Aggregate {
    /// The lowest version that the tables hold.
    lowest: i64,
    /// Whether the versions in the tables rise by one.
    rises_by_one: bool,
    /// How far Kafka has it; 0 is nothing.
    upto: i64,
    /// A hash of the id that the event of that version has on Kafka.
    id: u64,
    /// That event comes from another server or timeline, and the tables do not hold the same one.
    is_foreign: bool,
}

/// The rows of one aggregate in one table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retained {
    pub(super) lowest: i64,
    pub(super) highest: i64,
    /// How many different versions there are.
    pub(super) versions: i64,
}

/// What a record on a topic says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) version: i64,
    pub(super) id: &'a str,
    /// Its position is of another server or timeline than the new slot's.
    pub(super) is_foreign: bool,
    /// Nothing has been removed from the beginning of its partition.
    pub(super) log_is_whole: bool,
    /// Records may be missing in the middle.
    pub(super) log_is_compacted: bool,
}

impl Aggregates {
    /// Takes note of an aggregate's rows. `false` when it was noted before, from another table.
    pub(super) fn retain(&mut self, topic: &str, key: &str, rows: Retained) -> bool {
        let Retained { lowest, highest, versions } = rows;
        let rises_by_one = highest.checked_sub(lowest) == Some(versions - 1);
        let aggregate = Aggregate { lowest, rises_by_one, upto: 0, id: 0, is_foreign: false };
        self.found.insert(self.hash(topic, key), aggregate).is_none()
    }

    /// Takes note of a record. They come in the order of their partition.
    pub(super) fn note(&mut self, topic: &str, key: &str, record: &Record<'_>) {
        let (hash, id) = (self.hash(topic, key), self.seeds.0.hash_one(record.id));
        let Some(aggregate) = self.found.get_mut(&hash) else { return };
        let Record { version, log_is_whole, log_is_compacted, .. } = *record;
        // Below the lowest row, nothing that is missing could be published.
        let any_higher = version <= aggregate.lowest || !aggregate.rises_by_one || log_is_compacted;
        let is_next = match aggregate.upto {
            upto if any_higher => version >= upto,
            0 => !log_is_whole,
            upto => version == upto || version - 1 == upto,
        };
        if is_next {
            (aggregate.upto, aggregate.id, aggregate.is_foreign) = (version, id, record.is_foreign);
        }
    }

    /// Whether some of them were last published by another server or timeline, so that its versions may be other events.
    pub(super) fn are_foreign(&self) -> bool {
        self.found.values().any(|aggregate| aggregate.is_foreign)
    }

    /// Takes note that the tables hold this event: when it is the last one that Kafka has, those before it are the same too,
    /// for histories part only once.
    pub(super) fn compare(&mut self, topic: &str, key: &str, version: i64, id: &str) {
        let (hash, id) = (self.hash(topic, key), self.seeds.0.hash_one(id));
        if let Some(aggregate) = self.found.get_mut(&hash)
            && (aggregate.upto, aggregate.id) == (version, id)
        {
            aggregate.is_foreign = false;
        }
    }

    /// Whether Kafka has this event.
    pub(super) fn are_on_kafka(&self, topic: &str, key: &str, version: i64) -> bool {
        let aggregate = self.found.get(&self.hash(topic, key));
        aggregate.is_some_and(|aggregate| version <= aggregate.upto && !aggregate.is_foreign)
    }

    /// How many there are, and of how many of them versions are missing that are neither on Kafka nor in the tables.
    pub(super) fn count(&self) -> (u64, u64) {
        (self.found.len() as u64, self.found.values().filter(|aggregate| aggregate.has_gap()).count() as u64)
    }

    /// The versions of this aggregate that are neither on Kafka nor in the tables: the first and the last.
    pub(super) fn gap(&self, topic: &str, key: &str) -> Option<(i64, i64)> {
        let aggregate = self.found.get(&self.hash(topic, key)).filter(|aggregate| aggregate.has_gap())?;
        Some((aggregate.upto + 1, aggregate.lowest - 1))
    }

    fn hash(&self, topic: &str, key: &str) -> u128 {
        let (one, two) = &self.seeds;
        u128::from(one.hash_one((topic, key))) << 64 | u128::from(two.hash_one((topic, key)))
    }
}

impl Aggregate {
    fn has_gap(&self) -> bool {
        self.lowest > self.upto.saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOPIC: &str = "order";

    fn with_rows(lowest: i64, highest: i64) -> Aggregates {
        let mut aggregates = Aggregates::default();
        assert!(aggregates.retain(TOPIC, "k", Retained { lowest, highest, versions: highest - lowest + 1 }));
        aggregates
    }

    fn record(version: i64) -> Record<'static> {
        Record { version, id: "?", is_foreign: false, log_is_whole: true, log_is_compacted: false }
    }

    fn upto(aggregates: &Aggregates) -> i64 {
        (1..100).take_while(|version| aggregates.are_on_kafka(TOPIC, "k", *version)).last().unwrap_or(0)
    }

    fn after(mut aggregates: Aggregates, versions: &[i64]) -> Aggregates {
        versions.iter().for_each(|version| aggregates.note(TOPIC, "k", &record(*version)));
        aggregates
    }

    #[test]
    fn repetitions_change_nothing_and_a_hole_stays_until_it_is_filled() {
        assert_eq!(upto(&after(with_rows(1, 9), &[])), 0);
        assert_eq!(upto(&after(with_rows(1, 9), &[1, 2, 3, 2, 3, 4])), 4);
        assert_eq!(upto(&after(with_rows(1, 9), &[1, 2, 4, 5])), 2);
        assert_eq!(upto(&after(with_rows(1, 9), &[1, 2, 4, 5, 3, 4])), 4);
        assert_eq!(upto(&after(with_rows(1, 9), &[2, 3])), 0, "the first one is missing");
    }

    #[test]
    fn what_kafka_has_removed_itself_is_not_missing() {
        let mut aggregates = with_rows(1, 9);
        aggregates.note(TOPIC, "k", &Record { log_is_whole: false, ..record(4) });
        aggregates.note(TOPIC, "k", &Record { log_is_whole: false, ..record(5) });
        assert_eq!(upto(&aggregates), 5);
        let mut aggregates = with_rows(1, 9);
        aggregates.note(TOPIC, "k", &Record { log_is_compacted: true, ..record(7) });
        assert_eq!(upto(&aggregates), 7);
        let mut aggregates = Aggregates::default();
        aggregates.retain(TOPIC, "k", Retained { lowest: 10, highest: 30, versions: 3 });
        assert_eq!(upto(&after(aggregates, &[10, 20])), 20, "they do not rise by one");
    }

    #[test]
    fn a_gap_is_what_neither_side_has() {
        let gap = |rows: (i64, i64), records: &[i64]| after(with_rows(rows.0, rows.1), records).gap(TOPIC, "k");
        assert_eq!(gap((1, 3), &[]), None);
        assert_eq!(gap((4, 6), &[1, 2, 3]), None);
        assert_eq!(gap((4, 6), &[1, 2]), Some((3, 3)));
        assert_eq!(gap((4, 6), &[]), Some((1, 3)));
        assert_eq!(gap((4, 6), &[1, 2, 3, 4, 5, 6, 7]), None, "Kafka is ahead");
        assert_eq!(after(with_rows(4, 6), &[1]).count(), (1, 1));
    }

    #[test]
    fn of_another_history_only_the_same_event_counts() {
        let foreign = || {
            let mut aggregates = with_rows(1, 9);
            (1..=3).for_each(|n| aggregates.note(TOPIC, "k", &Record { id: "a", is_foreign: true, ..record(n) }));
            assert!(aggregates.are_foreign());
            aggregates
        };
        let mut aggregates = foreign();
        aggregates.compare(TOPIC, "k", 3, "b");
        assert_eq!((upto(&aggregates), aggregates.are_foreign()), (0, true), "its third version was made again");
        aggregates.compare(TOPIC, "k", 3, "a");
        assert_eq!((upto(&aggregates), aggregates.are_foreign()), (3, false));
        let mut aggregates = foreign();
        aggregates.note(TOPIC, "k", &record(3));
        assert_eq!(upto(&aggregates), 3, "and has been published since");
    }

    #[test]
    fn an_aggregate_is_in_one_table_and_topics_are_told_apart() {
        let mut aggregates = with_rows(1, 2);
        let rows = Retained { lowest: 1, highest: 1, versions: 1 };
        assert!(!aggregates.retain(TOPIC, "k", rows));
        assert!(aggregates.retain("refund", "k", rows));
    }

    proptest! {
        /// Whatever was refused, whatever the tables still hold: in the end the topic has each of it, and the last last.
        #[test]
        fn nothing_is_missing_and_the_newest_comes_last(
            taken in prop::collection::vec(any::<bool>(), 1..30), lowest in 1..30_i64
        ) {
            let highest = taken.len() as i64;
            let lowest = lowest.min(highest);
            let mut topic: Vec<i64> = (1..=highest).filter(|version| taken[*version as usize - 1]).collect();
            let aggregates = after(with_rows(lowest, highest), &topic);
            topic.extend((lowest..=highest).filter(|version| !aggregates.are_on_kafka(TOPIC, "k", *version)));
            for version in lowest..=highest {
                prop_assert!(topic.contains(&version), "{version} in {topic:?}");
            }
            prop_assert_eq!(topic.last(), Some(&highest));
        }
    }
}
