//! What a topic holds already of the events that the log will give once more after a restart. Pure: no client, no clock.
//!
//! A topic may have one event and lack an earlier one: an event that was too large, say, while those behind it were taken.
//! So exactly what was found is left out, never "everything up to the last"; and once an event of a key is sent that
//! was not found, all later ones of that key are sent again, found or not, or the older document would come last.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use contracts::envelope::{Lsn, Position};

use crate::replication::Server;

/// Keys that are remembered as sent again; beyond it all of the topic is sent again.
const MOST_KEYS: usize = 1 << 20;

/// Where an event stands in the log, and what it is called.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The transaction's commit record.
    pub commit: Lsn,
    /// The event's number in the transaction.
    pub ordinal: u32,
    /// The row's id.
    pub id: &'a str,
    /// The aggregate's id.
    pub key: &'a str,
}

/// The events of one topic that need not be sent again.
#[derive(Debug, Default)]
pub struct Found {
    /// Those of this server and timeline.
    positions: HashSet<(Lsn, u32)>,
    /// The last of them: behind it, nothing is left to recognise.
    last: Lsn,
    /// Those of another server or timeline, whose positions mean nothing here.
    ids: HashSet<String>,
    /// Hashes of keys of which something was sent that was not found.
    sent_again: HashSet<u64>,
    other_history: Option<(u64, u32)>,
}

/// What a record on the topic tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It comes from before what is confirmed: there is no need to look further back in its partition.
    Confirmed,
    /// It may come again.
    Unconfirmed,
    /// Nothing: no relay's event, or one of another server.
    Nothing,
}

impl Found {
    /// Takes note of a record by its `position` header and its id, given where this stream starts.
    pub(super) fn note(
        &mut self,
        server: &Server,
        confirmed: Lsn,
        position: Option<&Position>,
        id: Option<&str>,
    ) -> Told {
        let Some(position) = position else { return Told::Nothing };
        let is_of_this_system = position.system == server.system;
        // Timelines of one system share the log before they part, and a slot is never ahead of that.
        if is_of_this_system && position.commit < confirmed {
            return Told::Confirmed;
        }
        if is_of_this_system && position.timeline == server.timeline {
            self.positions.insert((position.commit, position.ordinal));
            self.last = self.last.max(position.commit);
            return Told::Unconfirmed;
        }
        self.other_history = Some((position.system, position.timeline));
        self.ids.extend(id.map(str::to_owned));
        if is_of_this_system { Told::Unconfirmed } else { Told::Nothing }
    }

    /// Another server or timeline, when events of one were found.
    pub fn other_history(&self) -> Option<(u64, u32)> {
        self.other_history
    }

    /// How many events were found.
    pub fn len(&self) -> usize {
        self.positions.len() + self.ids.len()
    }

    /// Whether nothing is left that could be recognised.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty() && self.ids.is_empty()
    }

    /// Whether the event is on the topic and need not be sent again.
    pub fn has(&self, place: &Place<'_>) -> bool {
        self.was_found(place) && !self.sent_again.contains(&hash(place.key))
    }

    /// The event was dealt with: left out, or sent.
    pub fn dealt_with(&mut self, place: &Place<'_>) {
        if !self.was_found(place) {
            self.sent_again.insert(hash(place.key));
        }
        if self.sent_again.len() > MOST_KEYS {
            *self = Self::default();
        }
        self.passed(place.commit);
    }

    /// The log has come to this transaction: what is before it need not be known any more.
    pub fn passed(&mut self, commit: Lsn) {
        if self.ids.is_empty() && commit > self.last {
            *self = Self::default();
        }
    }

    fn was_found(&self, place: &Place<'_>) -> bool {
        self.positions.contains(&(place.commit, place.ordinal)) || self.ids.contains(place.id)
    }
}

fn hash(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn server(timeline: u32) -> Server {
        Server { system: 7, timeline, database: "shop".to_owned() }
    }

    fn position(system: u64, timeline: u32, commit: u64, ordinal: u32) -> Position {
        Position { system, timeline, commit: Lsn(commit), ordinal }
    }

    #[test]
    fn only_what_may_come_again_is_noted() {
        let mut found = Found::default();
        let mut note = |position: Option<Position>, id| found.note(&server(2), Lsn(100), position.as_ref(), Some(id));
        assert_eq!(note(None, "foreign"), Told::Nothing);
        assert_eq!(note(Some(position(7, 2, 99, 0)), "old"), Told::Confirmed);
        assert_eq!(note(Some(position(7, 1, 99, 0)), "older"), Told::Confirmed);
        assert_eq!(note(Some(position(7, 2, 100, 3)), "ours"), Told::Unconfirmed);
        assert_eq!(note(Some(position(7, 1, 100, 4)), "before the failover"), Told::Unconfirmed);
        assert_eq!(note(Some(position(8, 2, 100, 5)), "another system"), Told::Nothing);
        assert_eq!((found.len(), found.other_history()), (3, Some((8, 2))));
        let place = |ordinal, id| Place { commit: Lsn(100), ordinal, id, key: "k" };
        assert!(found.has(&place(3, "?")) && found.has(&place(9, "another system")));
        assert!(!found.has(&place(4, "a")) && !found.has(&place(0, "old")));
    }

    #[test]
    fn it_is_empty_once_the_log_is_past_it() {
        let mut found = Found::default();
        found.note(&server(1), Lsn(0), Some(&position(7, 1, 100, 0)), None);
        found.dealt_with(&Place { commit: Lsn(100), ordinal: 0, id: "a", key: "k" });
        assert!(!found.is_empty());
        found.dealt_with(&Place { commit: Lsn(101), ordinal: 0, id: "b", key: "k" });
        assert!(found.is_empty());
    }

    proptest! {
        /// Whatever the topic had, in the end it has everything, and of each key the last event comes last.
        #[test]
        fn nothing_is_missing_and_the_newest_comes_last(events in prop::collection::vec((0..4_u8, any::<bool>()), 0..60)) {
            let mut found = Found::default();
            let mut topic: Vec<usize> = Vec::new();
            for (at, (_, was_sent)) in events.iter().enumerate() {
                if *was_sent {
                    topic.push(at);
                    found.note(&server(1), Lsn(0), Some(&position(7, 1, at as u64 / 5, at as u32 % 5)), None);
                }
            }
            let (before, mut sent) = (topic.len(), 0);
            for (at, (key, _)) in events.iter().enumerate() {
                let (id, key) = (at.to_string(), key.to_string());
                let place = Place { commit: Lsn(at as u64 / 5), ordinal: at as u32 % 5, id: &id, key: &key };
                if !found.has(&place) {
                    topic.push(at);
                    sent += 1;
                }
                found.dealt_with(&place);
            }
            for (at, (key, _)) in events.iter().enumerate() {
                prop_assert!(topic.contains(&at));
                let last = topic.iter().rfind(|event| events[**event].0 == *key);
                prop_assert!(*last.unwrap() >= at, "{topic:?}");
            }
            prop_assert!(before + sent <= 2 * events.len());
        }
    }
}
