//! Setting rows aside that cannot be published, on a topic for dead letters, in their place in the order of the stream.
//!
//! Guarantees: a dead letter is an event like any other: it has its number, is confirmed when Kafka has acknowledged it, and
//! is recognised after a restart, so that neither it nor the row is sent again. What comes behind the row goes on.

use std::time::{Duration, Instant};

use contracts::envelope::{Lsn, Position};

use super::suspects::{self, Suspects};
use crate::{
    metrics::DeadLetterMetric,
    outbox::{DeadLetter, Event, Reason, Remains, Room},
    progress::Progress,
    publisher::{Failure, Found, Place, Publisher, Refused},
    replication::Server,
};

/// So many rows set aside are told one by one in so long; the others by their number.
const LINES: u32 = 20;
const WHILE: Duration = Duration::from_secs(10);

/// What is known of rows that cannot be published. It outlives a stream.
pub(super) struct DeadLetters {
    /// Where they go, with the installation's prefix; `None` when such a row halts everything.
    topic: Option<String>,
    /// What the topic holds of what is still to come; `None` until it was looked up in this stream.
    found: Option<Found>,
    /// Of this server and timeline; another's positions are others.
    pub(super) suspects: Suspects,
    history: Option<(u64, u32)>,
    /// The broker has refused a dead letter with all that it may have.
    is_brief: bool,
    metric: DeadLetterMetric,
    told: Told,
}

/// What is known of an event beforehand.
pub(super) enum Known {
    Nothing,
    /// It was set aside before.
    SetAside,
    /// The broker refuses it, for this reason.
    Refused(String),
}

/// A row that cannot be published.
pub(super) struct Aside<'a> {
    pub(super) row: Remains<'a>,
    pub(super) reason: Reason,
    pub(super) position: Position,
    /// When its transaction was committed, if it was in one.
    pub(super) committed_at: Option<&'a str>,
}

/// What became of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Sent,
    /// The topic has it already.
    WasThere,
}

impl DeadLetters {
    pub(super) fn new(topic: Option<String>, metric: DeadLetterMetric) -> Self {
        let (suspects, told) = (Suspects::default(), Told::default());
        Self { topic, found: None, suspects, history: None, is_brief: false, metric, told }
    }

    /// Whether rows that cannot be published are set aside.
    pub(super) fn are_wanted(&self) -> bool {
        self.topic.is_some()
    }

    /// A stream starts.
    pub(super) fn start(&mut self, server: &Server, confirmed: Lsn) {
        self.found = None;
        let history = Some((server.system, server.timeline));
        if self.history != history {
            (self.suspects, self.history) = (Suspects::default(), history);
        }
        self.suspects.start(confirmed);
    }

    /// Whether events are sent few at a time, since a row is sought that the broker refuses.
    pub(super) fn are_sought(&self) -> bool {
        self.suspects.are_sought()
    }

    /// Their topic, unless it is known to be there. It comes before all events, since it says which were set aside before.
    pub(super) fn unknown_topic(&self) -> Option<&str> {
        self.topic.as_deref().filter(|_| self.found.is_none())
    }

    /// Takes what a topic holds, if it is that of dead letters and was not known; else gives it back.
    pub(super) fn topic_is_there(&mut self, topic: &str, found: Found) -> Option<Found> {
        if self.unknown_topic() != Some(topic) {
            return Some(found);
        }
        self.found = Some(found);
        None
    }

    /// What is known of an event.
    pub(super) fn known(&mut self, place: &Place<'_>) -> Known {
        if self.was_set_aside(place) {
            return Known::SetAside;
        }
        let refused = self.suspects.refused((place.commit, place.ordinal));
        refused.map_or(Known::Nothing, |reason| Known::Refused(reason.to_owned()))
    }

    fn was_set_aside(&mut self, place: &Place<'_>) -> bool {
        let Some(found) = self.found.as_mut().filter(|found| !found.is_empty()) else { return false };
        let is_there = found.has(place);
        found.passed(place.commit);
        is_there
    }

    /// Sends a dead letter as the next event, unless the topic has it.
    ///
    /// # Errors
    /// When it was not taken. Then the event's number is still free.
    pub(super) fn take(
        &mut self,
        aside: &Aside<'_>,
        publisher: &mut Publisher,
        progress: &Progress,
    ) -> Result<Taken, Refused> {
        let Aside { row, reason, position, committed_at } = aside;
        let (commit, ordinal, number) = (position.commit, position.ordinal, progress.next_event());
        let (id, key) = (row.id.as_deref().unwrap_or_default(), row.key.as_deref().unwrap_or_default());
        if self.was_set_aside(&Place { commit, ordinal, id, key }) {
            return publisher.leave_out(number).map(|()| Taken::WasThere);
        }
        let topic = self.topic.as_deref().unwrap_or_default();
        if self.suspects.must_wait(topic, (commit, ordinal), number - publisher.delivered()) {
            return Err(Refused::MustWait);
        }
        let room = Room { producer: publisher.largest_message(), is_brief: self.is_brief };
        let letter = DeadLetter::new(row, reason, position, *committed_at, room);
        let event = letter.event(topic);
        publisher.send(number, &event)?;
        self.suspects.sent(topic, (commit, ordinal));
        self.metric.count(reason.class(), 1);
        if let Some(untold) = self.told.one_more() {
            let Event { origin: table, id, .. } = event;
            tracing::warn!(table, id, %position, topic, untold, "a row was set aside: {reason}");
        }
        Ok(Taken::Sent)
    }

    /// The broker has refused something, `reached` being the last event that was sent. Gives whether it may go better at
    /// once: not where nothing is set aside, and not when it refuses a dead letter that could not be shorter.
    pub(super) fn learn(&mut self, failure: &Failure, reached: suspects::Place) -> bool {
        let (topic, reason) = (&failure.topic, &failure.reason);
        if !self.are_wanted() || !failure.is_unpublishable {
            return false;
        }
        if self.topic.as_ref() != Some(topic) {
            tracing::info!(topic, reason, "the broker refused a batch: looking for the row that is to blame");
            self.suspects.learn(topic, reason, reached);
            return true;
        }
        if self.is_brief && self.suspects.alone(topic).is_some() {
            return false;
        }
        tracing::warn!(
            topic,
            reason,
            "the broker refused a dead letter: from now on they have no payload and short texts"
        );
        self.is_brief = true;
        self.suspects.one_at_a_time(topic, reached);
        true
    }
}

/// Bounds how much is logged.
#[derive(Default)]
struct Told {
    since: Option<Instant>,
    lines: u32,
    untold: u64,
}

impl Told {
    /// Whether one more may be told, and how many were not since the last.
    fn one_more(&mut self) -> Option<u64> {
        if self.since.is_none_or(|since| since.elapsed() > WHILE) {
            (self.since, self.lines) = (Some(Instant::now()), 0);
        }
        self.lines += 1;
        if self.lines > LINES {
            self.untold += 1;
            return None;
        }
        Some(std::mem::take(&mut self.untold))
    }
}
