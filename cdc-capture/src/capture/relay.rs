//! One message of the log at a time: decode, route, hand to the producer, keep count. No waiting in here: what cannot go
//! on now is said, and the same message is given again later.

use std::collections::HashMap;

use contracts::envelope::{Lsn, Position};

use super::{
    dead_letters::{Aside, DeadLetters, Known, Taken},
    suspects,
};
use crate::{
    outbox::{Reason, Router, Table, Transaction, Unpublishable},
    pgoutput::{self, Insert, LogicalMessage, Malformed, Message},
    progress::Progress,
    publisher::{Failure, Found, Place, Publisher, Refused},
    replication::Server,
};

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is dealt with.
    Done,
    /// The producer has no room; try again when something was acknowledged.
    Full,
    /// What is in flight must be acknowledged first; send it at once and try again.
    Hurry,
    /// All is acknowledged, but the producer is not done with it; try again in a moment.
    Settling,
    /// A transaction is being committed; try again when it is.
    Committing,
    /// It goes to a topic that was not seen before; try again once [`Relay::topic_is_there`].
    UnknownTopic(String),
}

/// Why a message cannot be dealt with.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Definite: the row must be dealt with by someone.
    #[error("{row} (commit {commit})")]
    Halt { row: Box<Unpublishable>, commit: Lsn },
    /// Definite: not what the protocol promises.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Definite: messages in an order that the protocol does not have.
    #[error("{0}")]
    Disorder(&'static str),
    /// Transient: the producer is of no more use.
    #[error("{0}")]
    Publisher(String),
}

/// What becomes an event.
enum Item<'a> {
    Row(Insert<'a>),
    Message(LogicalMessage<'a>),
}

const UNDESCRIBED: Error = Error::Disorder("a row of a table never described");
/// The number of what is in no transaction: none in one has it, and a message's place may be that of the commit behind it.
const OUTSIDE: u32 = u32::MAX;

/// The state of one stream.
pub(super) struct Relay<'a> {
    server: Server,
    router: Router,
    tables: HashMap<u32, Table>,
    /// The topics that are there, and what they hold already of what is still to come.
    topics: HashMap<String, Found>,
    left_out: u64,
    /// All events up to this one, by commit and number, were committed to Kafka.
    committed: Option<(Lsn, u32)>,
    transaction: Transaction,
    /// The open transaction's commit record, and the number of its next event.
    open: Option<(Lsn, u32)>,
    /// The last transaction that has begun.
    begun: Lsn,
    dead_letters: &'a mut DeadLetters,
    pub(super) progress: Progress,
    pub(super) publisher: Publisher,
}

impl<'a> Relay<'a> {
    pub(super) fn new(
        server: Server,
        router: Router,
        confirmed: Lsn,
        publisher: Publisher,
        dead_letters: &'a mut DeadLetters,
    ) -> Self {
        dead_letters.start(&server, confirmed);
        Self {
            server,
            router,
            tables: HashMap::new(),
            topics: HashMap::new(),
            left_out: 0,
            committed: None,
            transaction: Transaction::default(),
            open: None,
            begun: confirmed,
            dead_letters,
            progress: Progress::new(confirmed),
            publisher,
        }
    }

    pub(super) fn topic_is_there(&mut self, topic: String, found: Found) {
        if let Some(found) = self.dead_letters.topic_is_there(&topic, found) {
            self.topics.insert(topic, found);
        }
    }

    /// Takes note of what the broker has refused. Gives whether it may go better at once.
    pub(super) fn learn(&mut self, failure: &Failure) -> bool {
        self.dead_letters.learn(failure, self.open.unwrap_or((self.begun, OUTSIDE)))
    }

    /// Takes up the position that was committed to Kafka last, by a transaction that held all events before it too. Whether
    /// it says something of what this stream will give: not when it is older, or of another server or timeline. Nor when
    /// the log, which reaches to `log_end`, has not come so far: the server has lost some of it then, and writes another.
    pub(super) fn was_committed(&mut self, last: &Position, log_end: Lsn) -> bool {
        let is_ours = (last.system, last.timeline) == (self.server.system, self.server.timeline);
        if is_ours && last.commit >= log_end {
            tracing::warn!(position = %last, %log_end, "Kafka has events beyond the end of the log: the server went back");
        }
        let counts = is_ours && (self.progress.confirmable()..log_end).contains(&last.commit);
        self.committed = counts.then_some((last.commit, last.ordinal));
        counts
    }

    /// How many events were left out because Kafka had them.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// A topic that is there, if one was used.
    pub(super) fn known_topic(&self) -> Option<String> {
        self.topics.keys().next().cloned()
    }

    /// Deals with one message. Unless it is [`Step::Done`], nothing has changed.
    pub(super) fn accept(&mut self, message: &[u8]) -> Result<Step, Error> {
        match pgoutput::decode(message)? {
            Message::Begin { commit, committed_at, .. } => {
                self.transaction.restart(self.server.system, self.server.timeline, commit, committed_at);
                self.open = Some((commit, 0));
                self.begun = commit;
                self.progress.begin(committed_at);
            }
            Message::Commit { end, .. } => {
                self.open.take().ok_or(Error::Disorder("a commit outside of a transaction"))?;
                self.progress.commit(end);
            }
            Message::Relation(relation) => _ = self.tables.insert(relation.id, self.router.table(&relation)),
            Message::Insert(insert) => return self.publish(&Item::Row(insert)),
            Message::Logical(message) if self.router.wants(&message) => return self.publish(&Item::Message(message)),
            // Another's messages may also come outside of a transaction.
            Message::Logical(_) | Message::Skipped(_) => {}
        }
        Ok(Step::Done)
    }

    fn publish(&mut self, item: &Item<'_>) -> Result<Step, Error> {
        let at = match (self.open, item) {
            // It has no commit. It is refused below, and named by where it is.
            (_, Item::Message(message)) if !message.transactional => (message.lsn, OUTSIDE),
            (Some(open), _) => open,
            (None, _) => return Err(Error::Disorder("a row or a message outside of a transaction")),
        };
        if at.1 != OUTSIDE && self.committed.is_some_and(|last| at <= last) {
            let taken = self.publisher.leave_out(self.progress.next_event());
            return self.conclude(taken, true, at);
        }
        if let Some(topic) = self.dead_letters.unknown_topic() {
            return Ok(Step::UnknownTopic(topic.to_owned()));
        }
        let routed = match item {
            Item::Row(Insert { relation, row }) => {
                let table = self.tables.get(relation).ok_or(UNDESCRIBED)?;
                self.router.route(table, row, &mut self.transaction, at.1)
            }
            Item::Message(message) => self.router.route_message(message, &mut self.transaction, at.1),
        };
        let event = match routed {
            Ok(event) => event,
            Err(row) => return self.set_aside(item, row, at),
        };
        let number = self.progress.next_event();
        let place = Place { commit: at.0, ordinal: at.1, id: event.id, key: event.key };
        let reason = match self.dead_letters.known(&place) {
            Known::SetAside => {
                let taken = self.publisher.leave_out(number);
                return self.conclude(taken, true, at);
            }
            Known::Refused(reason) => Reason::Refused(reason),
            Known::Nothing => {
                let Some(found) = self.topics.get_mut(event.topic) else {
                    return Ok(Step::UnknownTopic(event.topic.to_owned()));
                };
                let is_there = !found.is_empty() && found.has(&place);
                let taken = if is_there {
                    self.publisher.leave_out(number)
                } else if self.dead_letters.suspects.must_wait(event.topic, at, number - self.publisher.delivered()) {
                    Err(Refused::MustWait)
                } else {
                    self.publisher.send(number, &event).inspect(|()| self.dead_letters.suspects.sent(event.topic, at))
                };
                match taken {
                    Err(Refused::TooLarge(reason)) => Reason::TooLarge(reason),
                    taken => {
                        if taken.is_ok() && !found.is_empty() {
                            found.dealt_with(&place);
                        }
                        return self.conclude(taken, is_there, at);
                    }
                }
            }
        };
        let row = Unpublishable { table: event.origin.to_owned(), id: event.id.to_owned(), reason };
        self.set_aside(item, Box::new(row), at)
    }

    /// Sends a dead letter in the place of what cannot be published.
    fn set_aside(&mut self, item: &Item<'_>, row: Box<Unpublishable>, at: suspects::Place) -> Result<Step, Error> {
        if !self.dead_letters.are_wanted() {
            return Err(Error::Halt { row, commit: at.0 });
        }
        let remains = match item {
            Item::Row(Insert { relation, row }) => {
                self.router.remains_of_row(self.tables.get(relation).ok_or(UNDESCRIBED)?, row)
            }
            Item::Message(message) => self.router.remains_of_message(message),
        };
        let Server { system, timeline, .. } = self.server;
        let position = Position { system, timeline, commit: at.0, ordinal: at.1 };
        let committed_at = (at.1 != OUTSIDE).then(|| self.transaction.committed_at());
        let aside = Aside { row: remains, reason: row.reason, position, committed_at };
        let taken = self.dead_letters.take(&aside, &mut self.publisher, &self.progress);
        let was_there = taken == Ok(Taken::WasThere);
        self.conclude(taken.map(drop), was_there, at)
    }

    /// What becomes of the message, given what became of its event.
    fn conclude(&mut self, taken: Result<(), Refused>, is_left_out: bool, at: suspects::Place) -> Result<Step, Error> {
        match taken {
            Ok(()) => {}
            Err(Refused::Full) => return Ok(Step::Full),
            Err(Refused::MustWait) => return Ok(Step::Hurry),
            Err(Refused::Settling) => return Ok(Step::Settling),
            Err(Refused::Committing) => return Ok(Step::Committing),
            Err(Refused::UnknownTopic(topic)) => return Ok(Step::UnknownTopic(topic)),
            Err(Refused::TooLarge(reason) | Refused::Failed(reason)) => return Err(Error::Publisher(reason)),
        }
        self.left_out += u64::from(is_left_out);
        self.progress.sent();
        if at.1 != OUTSIDE {
            if !is_left_out {
                let Server { system, timeline, .. } = self.server;
                self.publisher.stands_at(Position { system, timeline, commit: at.0, ordinal: at.1 });
            }
            let next = at.1.checked_add(1).filter(|next| *next != OUTSIDE);
            self.open = Some((at.0, next.ok_or(Error::Disorder("a transaction of more than 4 billion events"))?));
        }
        Ok(Step::Done)
    }
}
