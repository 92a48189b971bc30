//! Which row it was, when the broker has refused a batch. Pure: no client, no clock.
//!
//! A broker refuses a batch as a whole, and its first row is as likely to blame as any other. So the stream starts again,
//! and what goes to that topic, up to where the stream had come, goes out few at a time; when that is refused too, one
//! at a time: what is refused then was alone. It stays so to the end of that stretch, since where one such row is there
//! may be more. Guarantees: no row is blamed that was not refused alone, and each round finds out something.

use std::collections::{BTreeMap, HashMap};

use contracts::envelope::Lsn;

/// How many events may be in flight while a batch is searched for the first time: a few rounds are as much as to send a
/// full window one by one.
const FEW: u64 = 64;

/// Where an event is in the log: its transaction's commit record, its number there.
pub(super) type Place = (Lsn, u32);

/// The rows that the broker refuses, and where more of them may be.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// Those that were refused alone, and why.
    refused: BTreeMap<Place, String>,
    /// By topic, where to take care.
    stretches: HashMap<String, Stretch>,
}

/// A part of the log in which there is a row that the broker refuses.
#[derive(Debug)]
struct Stretch {
    /// Its last event.
    last: Place,
    /// How many may be in flight.
    at_once: u64,
    /// The event of this stream that was sent last.
    sent: Option<Place>,
}

impl Suspects {
    /// A stream starts; what is before `confirmed` never comes again.
    pub(super) fn start(&mut self, confirmed: Lsn) {
        self.refused.retain(|(commit, _), _| *commit >= confirmed);
        self.stretches.values_mut().for_each(|stretch| stretch.sent = None);
    }

    /// Whether a batch was refused and its row is not found, or others may be near it.
    pub(super) fn are_sought(&self) -> bool {
        !self.stretches.is_empty()
    }

    /// Why the broker has refused this event alone, if it has.
    pub(super) fn refused(&self, place: Place) -> Option<&str> {
        self.refused.get(&place).map(String::as_str)
    }

    /// Whether an event must not be sent while so many are in flight. The first one behind a stretch waits for all.
    pub(super) fn must_wait(&self, topic: &str, place: Place, in_flight: u64) -> bool {
        self.stretches
            .get(topic)
            .is_some_and(|stretch| if place <= stretch.last { in_flight >= stretch.at_once } else { in_flight > 0 })
    }

    /// An event was sent.
    pub(super) fn sent(&mut self, topic: &str, place: Place) {
        match self.stretches.get_mut(topic) {
            Some(stretch) if place <= stretch.last => stretch.sent = Some(place),
            Some(_) => _ = self.stretches.remove(topic),
            None => {}
        }
    }

    /// The broker has refused what was in flight to a topic, `reached` being the last event that was sent anywhere.
    pub(super) fn learn(&mut self, topic: &str, reason: &str, reached: Place) {
        if let Some(alone) = self.alone(topic) {
            self.refused.insert(alone, reason.to_owned());
            return;
        }
        let (last, at_once) = match self.stretches.get(topic) {
            Some(stretch) => (stretch.last.min(reached), 1),
            None => (reached, FEW),
        };
        self.stretches.insert(topic.to_owned(), Stretch { last, at_once, sent: None });
    }

    /// What goes to a topic goes one at a time from now on, up to this event.
    pub(super) fn one_at_a_time(&mut self, topic: &str, last: Place) {
        self.stretches.insert(topic.to_owned(), Stretch { last, at_once: 1, sent: None });
    }

    /// The event that was the only one in flight to a topic, where they go one at a time.
    pub(super) fn alone(&self, topic: &str) -> Option<Place> {
        self.stretches.get(topic).filter(|stretch| stretch.at_once == 1)?.sent
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// A log whose events go to a few topics, and a broker that takes batches of what is in flight to a topic, as large as
    /// they come, or refuses them. What it took is left out in the next round, as after reading back.
    struct World {
        topics: Vec<u8>,
        bad: BTreeSet<usize>,
        batches: Vec<usize>,
        done: BTreeSet<usize>,
        set_aside: Vec<usize>,
    }

    fn place(at: usize) -> Place {
        (Lsn(at as u64 / 7), at as u32 % 7)
    }

    impl World {
        /// One stream: its end is a batch that was refused, by topic, and the last event sent.
        fn stream(&mut self, suspects: &mut Suspects, round: usize) -> Option<(String, Place)> {
            suspects.start(Lsn(0));
            let mut in_flight: Vec<usize> = Vec::new();
            let mut batch = round;
            for at in 0..self.topics.len() {
                let topic = self.topics[at].to_string();
                if self.done.contains(&at) {
                    continue;
                }
                if suspects.refused(place(at)).is_some() {
                    self.set_aside.push(at);
                    self.done.insert(at);
                    continue;
                }
                while suspects.must_wait(&topic, place(at), in_flight.len() as u64) || in_flight.len() > 200 {
                    if let Some(refused) = self.take_a_batch(&mut in_flight, &mut batch) {
                        return Some((refused, place(at - 1)));
                    }
                }
                suspects.sent(&topic, place(at));
                in_flight.push(at);
            }
            while !in_flight.is_empty() {
                if let Some(refused) = self.take_a_batch(&mut in_flight, &mut batch) {
                    return Some((refused, place(self.topics.len() - 1)));
                }
            }
            None
        }

        fn take_a_batch(&mut self, in_flight: &mut Vec<usize>, batch: &mut usize) -> Option<String> {
            *batch += 1;
            let topic = self.topics[in_flight[0]];
            let of_topic = in_flight.iter().copied().filter(|at| self.topics[*at] == topic);
            let taken: Vec<usize> = of_topic.take(self.batches[*batch % self.batches.len()]).collect();
            if taken.iter().any(|at| self.bad.contains(at)) {
                return Some(topic.to_string());
            }
            in_flight.retain(|at| !taken.contains(at));
            self.done.extend(taken);
            None
        }
    }

    proptest! {
        #[test]
        fn exactly_the_rows_that_the_broker_refuses_are_set_aside(
            topics in prop::collection::vec(0..3_u8, 1..600),
            bad in prop::collection::btree_set(0..600_usize, 0..8),
            batches in prop::collection::vec(1..300_usize, 1..10),
        ) {
            let bad: BTreeSet<usize> = bad.into_iter().filter(|at| *at < topics.len()).collect();
            let (done, set_aside) = (BTreeSet::new(), Vec::new());
            let mut world = World { topics, bad: bad.clone(), batches, done, set_aside };
            let mut suspects = Suspects::default();
            let mut rounds = 0;
            while let Some((topic, reached)) = world.stream(&mut suspects, rounds) {
                suspects.learn(&topic, "too large", reached);
                rounds += 1;
                prop_assert!(rounds <= 3 * bad.len(), "{rounds} rounds");
            }
            prop_assert_eq!(&world.set_aside, &bad.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(world.done.len(), world.topics.len());
        }
    }

    #[test]
    fn what_was_refused_is_forgotten_once_it_is_confirmed() {
        let mut suspects = Suspects::default();
        let (at, behind) = ((Lsn(10), 0), (Lsn(11), 0));
        suspects.learn("t", "too large", at);
        suspects.learn("t", "too large", at);
        suspects.sent("t", at);
        suspects.learn("t", "too large", at);
        assert_eq!(suspects.refused(at), Some("too large"));
        suspects.start(Lsn(10));
        assert!(suspects.refused(at).is_some() && suspects.must_wait("t", behind, 1));
        suspects.sent("t", behind);
        assert!(!suspects.are_sought());
        suspects.start(Lsn(11));
        assert_eq!(suspects.refused(at), None);
    }
}
