//! Which of a batch's events are applied, which queue behind a parked one, and which are left for later. No I/O.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use crate::{
    Parking,
    message::Message,
    parked::{Aggregate, Aside, Passed},
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

    /// Whether it sets aside what was not before: an aggregate, or a message without a usable key.
    pub(crate) fn adds(&self) -> bool {
        !self.parking_now.is_empty() || self.letters.iter().any(|letter| letter.message.aggregate().is_none())
    }

    /// Where partitions have to stop so that no more than `limit` of each is set aside in the end, `already` being so. What
    /// messages further on make obsolete does not count, up to where the partition stops.
    pub(crate) fn over(
        &self,
        limit: usize,
        already: &BTreeMap<Partition, Aside>,
        messages: &'a [Message],
    ) -> BTreeMap<Partition, i64> {
        let place = |message: &Message| (message.partition, message.offset);
        let aside = self.letters.iter().map(|letter| (place(letter.message), letter.message, true));
        let passing = self.passing(messages).map(|(_, message)| (place(message), message, false));
        let mut steps: Vec<((Partition, i64), &Message, bool)> = aside.chain(passing).collect();
        steps.sort_unstable_by_key(|(place, ..)| *place);
        // The last version of each aggregate that is parked, where that is known.
        let mut parked: BTreeMap<Aggregate<'_>, Option<i64>> = self.parked.iter().map(|of| (*of, None)).collect();
        let mut tallies: BTreeMap<Partition, Tally> = BTreeMap::new();
        for ((partition, offset), message, is_aside) in steps {
            let before = || already.get(&partition).copied().unwrap_or_default().count();
            let tally = tallies.entry(partition).or_insert_with(|| Tally::new(before(), limit));
            let (aggregate, version) = (message.aggregate().map(|key| (partition, key)), message.sequence());
            match aggregate {
                None => tally.more(offset),
                Some(aggregate) if is_aside => match parked.entry(aggregate) {
                    Entry::Occupied(mut last) => *last.get_mut() = version.max(*last.get()),
                    Entry::Vacant(place) => {
                        place.insert(version);
                        tally.more(offset);
                    }
                },
                Some(aggregate) => {
                    let is_later = |last: &Option<i64>| last.zip(version).is_none_or(|(last, this)| last <= this);
                    if parked.get(&aggregate).is_some_and(is_later) {
                        parked.remove(&aggregate);
                        tally.less();
                    }
                }
            }
        }
        tallies.into_iter().filter_map(|(partition, tally)| Some((partition, tally.stop?))).collect()
    }

    /// Which parked aggregates have an event among these that was applied, where that makes the parked ones obsolete.
    pub(crate) fn passed(&self, messages: &'a [Message]) -> BTreeMap<Aggregate<'a>, Passed> {
        let mut passed = BTreeMap::new();
        for (aggregate, message) in self.passing(messages) {
            let last = passed.entry(aggregate).or_insert(Passed { offset: message.offset, sequence: None });
            last.offset = last.offset.max(message.offset);
            last.sequence = last.sequence.max(message.sequence());
        }
        passed
    }

    /// Those of the messages that were applied and are about parked aggregates, where that makes the parked events obsolete.
    fn passing(&self, messages: &'a [Message]) -> impl Iterator<Item = (Aggregate<'a>, &'a Message)> {
        let may_pass = self.parking == Parking::Replace && !(self.parked.is_empty() && self.parking_now.is_empty());
        let messages = if may_pass { messages } else { &[] };
        let aside: BTreeSet<(Partition, i64)> = match may_pass {
            true => self.letters.iter().map(|letter| (letter.message.partition, letter.message.offset)).collect(),
            false => BTreeSet::new(),
        };
        messages.iter().filter_map(move |message| {
            let aggregate = (message.partition, message.aggregate()?);
            let is_parked = self.parked.contains(&aggregate) || self.parking_now.contains_key(&aggregate);
            let is_applied = self.way(message) == Way::Apply && !aside.contains(&(message.partition, message.offset));
            (is_parked && is_applied).then_some((aggregate, message))
        })
    }
}

/// How much of a partition is set aside, from one message to the next.
struct Tally {
    count: usize,
    /// More than these must not be so in the end.
    most: usize,
    /// The last message before which there were no more.
    stop: Option<i64>,
}

impl Tally {
    fn new(already: usize, limit: usize) -> Self {
        // Where the limit was lowered, what is there stays.
        Self { count: already, most: limit.max(already), stop: None }
    }

    fn more(&mut self, offset: i64) {
        self.count += 1;
        if self.count > self.most {
            self.stop.get_or_insert(offset);
        }
    }

    fn less(&mut self) {
        self.count = self.count.saturating_sub(1);
        if self.count <= self.most {
            self.stop = None;
        }
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
        let already: BTreeMap<Partition, Aside> = [(HERE, Aside { aggregates: 1, alone: 0 })].into();
        assert_eq!(sorting.over(4, &already, &[]), BTreeMap::new());
        assert_eq!(sorting.over(2, &already, &[]), [(HERE, 3)].into());
        let mut stopped = Sorting::new(Parking::Queue, Vec::new(), [(HERE, 3)].into());
        messages.iter().for_each(|message| stopped.set_aside(message, Some("no".into())));
        assert_eq!(stopped.letters().len(), 3, "what comes later is not set aside");
        assert_eq!(stopped.way(&messages[3]), Way::Later);
    }

    #[test]
    fn a_message_without_a_usable_key_counts_like_an_aggregate() {
        let keyless = |offset| Message::new(HERE, offset, None, None, Some(&[]));
        let messages = [keyless(0), of("a", 1), keyless(2), of("a", 3)];
        let mut sorting = Sorting::new(Parking::Queue, Vec::new(), BTreeMap::new());
        messages.iter().for_each(|message| sorting.set_aside(message, Some("no".into())));
        assert!(sorting.adds());
        assert_eq!(sorting.over(3, &BTreeMap::new(), &[]), BTreeMap::new());
        assert_eq!(sorting.over(2, &BTreeMap::new(), &[]), [(HERE, 2)].into());
        let already = [(HERE, Aside { aggregates: 0, alone: 1 })].into();
        assert_eq!(sorting.over(2, &already, &[]), [(HERE, 1)].into());
        assert_eq!(sorting.over(1, &[(HERE, Aside { aggregates: 1, alone: 4 })].into(), &[]), [(HERE, 0)].into());
    }

    #[test]
    fn what_later_documents_make_good_does_not_count() {
        let document = |key: &str, offset, version: &str| {
            let headers = [("ce_sequence", Some(version.as_bytes()))];
            Message::new(HERE, offset, Some(key.as_bytes()), None, Some(&headers))
        };
        let over = |parking, bad: &[i64], limit| {
            let messages = [("a", "1"), ("b", "1"), ("a", "2"), ("c", "2"), ("c", "1"), ("d", "1")];
            let messages = messages.into_iter().zip(0..).map(|((key, version), at)| document(key, at, version));
            let messages: Vec<Message> = messages.collect();
            let mut sorting = Sorting::new(parking, vec![(HERE, "d")], BTreeMap::new());
            let bad = messages.iter().filter(|message| bad.contains(&message.offset));
            bad.for_each(|message| sorting.set_aside(message, Some("no".into())));
            sorting.over(limit, &[(HERE, Aside { aggregates: 1, alone: 0 })].into(), &messages)
        };
        let stop = |at: i64| -> BTreeMap<Partition, i64> { [(HERE, at)].into() };
        assert_eq!(over(Parking::Replace, &[0, 1], 1), BTreeMap::new(), "only b is left, in the place of d");
        assert_eq!(over(Parking::Replace, &[0, 1, 5], 1), stop(0), "b is one too many, from there on");
        assert_eq!(over(Parking::Replace, &[0, 3, 5], 1), stop(3), "up to there a was passed");
        assert_eq!(over(Parking::Replace, &[0], 1), BTreeMap::new(), "a is passed, and so is d");
        assert_eq!(over(Parking::Replace, &[0, 1, 5], 2), BTreeMap::new(), "only b is added");
        assert_eq!(over(Parking::Alone, &[0, 1], 2), stop(1), "nothing passes");
        assert_eq!(over(Parking::Replace, &[3, 5], 1), stop(3), "an older document makes nothing good");
    }
}
