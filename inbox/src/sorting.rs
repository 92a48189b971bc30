//! Which of a batch's events are applied, which queue behind a parked one, and which are left for later. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Parking,
    message::Message,
    parked::{Aggregate, Passed},
    topics::Partition,
};

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It is applied.
    Apply,
    /// It is set aside, behind an earlier one of its aggregate.
    Queue,
    /// Its partition stops before it.
    Later,
}

/// A message that is set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter<'a> {
    pub(crate) message: &'a Message,
    /// What is wrong with it; nothing when it only queues.
    pub(crate) error: Option<String>,
}

/// Where a batch is divided.
pub(crate) struct Sorting<'a> {
    parking: Parking,
    /// Where partitions stop.
    stops: BTreeMap<Partition, i64>,
    /// Aggregates that were parked before this batch.
    parked: BTreeSet<Aggregate<'a>>,
    /// Aggregates that this batch parks, each with its first event that is set aside.
    parking_now: BTreeMap<Aggregate<'a>, i64>,
    letters: Vec<Letter<'a>>,
}

impl<'a> Sorting<'a> {
    pub(crate) fn new(parking: Parking, parked: Vec<Aggregate<'a>>, stops: BTreeMap<Partition, i64>) -> Self {
        Self { parking, stops, parked: parked.into_iter().collect(), parking_now: BTreeMap::new(), letters: Vec::new() }
    }

    /// What becomes of the message.
    pub(crate) fn way(&self, message: &Message) -> Way {
        if self.stops.get(&message.partition).is_some_and(|stop| *stop <= message.offset) {
            return Way::Later;
        }
        let nothing_parked = self.parked.is_empty() && self.parking_now.is_empty();
        if nothing_parked || self.parking != Parking::Queue {
            return Way::Apply;
        }
        let Some(aggregate) = message.aggregate().map(|key| (message.partition, key)) else { return Way::Apply };
        let is_behind = self.parked.contains(&aggregate)
            || self.parking_now.get(&aggregate).is_some_and(|first| *first < message.offset);
        if is_behind { Way::Queue } else { Way::Apply }
    }

    /// Sets the message aside, unless it is left for later.
    pub(crate) fn set_aside(&mut self, message: &'a Message, error: Option<String>) {
        if self.way(message) == Way::Later {
            return;
        }
        if let Some(key) = message.aggregate()
            && !self.parked.contains(&(message.partition, key))
        {
            let first = self.parking_now.entry((message.partition, key)).or_insert(message.offset);
            *first = message.offset.min(*first);
        }
        self.letters.push(Letter { message, error });
    }

    /// What is set aside.
    pub(crate) fn letters(&self) -> &[Letter<'a>] {
        &self.letters
    }

    /// The aggregates that this batch parks.
    pub(crate) fn newly_parked(&self) -> Vec<Aggregate<'a>> {
        self.parking_now.keys().copied().collect()
    }

    /// Where partitions have to stop so that no more than `limit` aggregates of each are parked, `already` being so.
    pub(crate) fn over(&self, limit: usize, already: &BTreeMap<Partition, usize>) -> BTreeMap<Partition, i64> {
        let mut firsts: Vec<(Partition, i64)> = self.parking_now.iter().map(|((of, _), first)| (*of, *first)).collect();
        firsts.sort_unstable();
        let (mut counts, mut stops) = (already.clone(), BTreeMap::new());
        for (partition, first) in firsts {
            let count = counts.entry(partition).or_default();
            *count += 1;
            if *count > limit {
                stops.entry(partition).or_insert(first);
            }
        }
        stops
    }

    /// Which parked aggregates have an event among these that was applied, where that makes the parked ones obsolete.
    pub(crate) fn passed(&self, messages: &'a [Message]) -> BTreeMap<Aggregate<'a>, Passed> {
        let mut passed = BTreeMap::new();
        if self.parking != Parking::Replace || (self.parked.is_empty() && self.parking_now.is_empty()) {
            return passed;
        }
        let aside: BTreeSet<(Partition, i64)> =
            self.letters.iter().map(|letter| (letter.message.partition, letter.message.offset)).collect();
        for message in messages {
            let Some(aggregate) = message.aggregate().map(|key| (message.partition, key)) else { continue };
            let is_parked = self.parked.contains(&aggregate) || self.parking_now.contains_key(&aggregate);
            let is_applied = self.way(message) == Way::Apply && !aside.contains(&(message.partition, message.offset));
            if is_parked && is_applied {
                let last = passed.entry(aggregate).or_insert(Passed { offset: message.offset, sequence: None });
                last.offset = last.offset.max(message.offset);
                last.sequence = last.sequence.max(message.sequence());
            }
        }
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(key: &str, offset: i64) -> Message {
        Message::new(Partition { topic: 0, number: 0 }, offset, Some(key.as_bytes()), None, Some(&[]))
    }

    const HERE: Partition = Partition { topic: 0, number: 0 };

    #[test]
    fn later_events_of_a_reactors_aggregate_queue_and_no_others() {
        let (poison, behind, other, before) = (of("a", 5), of("a", 6), of("b", 7), of("a", 4));
        let mut sorting = Sorting::new(Parking::Queue, Vec::new(), BTreeMap::new());
        sorting.set_aside(&poison, Some("no".into()));
        assert_eq!([&behind, &other, &before].map(|it| sorting.way(it)), [Way::Queue, Way::Apply, Way::Apply]);
        let parked_before = Sorting::new(Parking::Queue, vec![(HERE, "a")], BTreeMap::new());
        assert_eq!(parked_before.way(&before), Way::Queue);
    }

    #[test]
    fn a_view_is_passed_by_what_is_applied_later() {
        let messages = [of("a", 1), of("a", 2), of("b", 3)];
        let mut sorting = Sorting::new(Parking::Replace, Vec::new(), BTreeMap::new());
        sorting.set_aside(&messages[0], Some("no".into()));
        assert_eq!(sorting.way(&messages[1]), Way::Apply);
        let passed = sorting.passed(&messages);
        assert_eq!(passed, [((HERE, "a"), Passed { offset: 2, sequence: None })].into());
        let alone = Sorting::new(Parking::Alone, vec![(HERE, "a")], BTreeMap::new());
        assert!(alone.passed(&messages).is_empty());
    }

    #[test]
    fn a_partition_stops_before_the_event_that_would_park_one_too_many() {
        let messages: Vec<Message> =
            ["a", "b", "a", "c", "d"].into_iter().zip(0..).map(|(key, at)| of(key, at)).collect();
        let mut sorting = Sorting::new(Parking::Queue, vec![(HERE, "b")], BTreeMap::new());
        messages.iter().for_each(|message| sorting.set_aside(message, Some("no".into())));
        assert_eq!(sorting.over(4, &[(HERE, 1)].into()), BTreeMap::new());
        assert_eq!(sorting.over(2, &[(HERE, 1)].into()), [(HERE, 3)].into());
        let mut stopped = Sorting::new(Parking::Queue, Vec::new(), [(HERE, 3)].into());
        messages.iter().for_each(|message| stopped.set_aside(message, Some("no".into())));
        assert_eq!(stopped.letters().len(), 3, "what comes later is not set aside");
        assert_eq!(stopped.way(&messages[3]), Way::Later);
    }
}
