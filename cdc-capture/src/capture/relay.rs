//! One message of the log at a time: decode, route, hand to the producer, keep count. No waiting in here: what cannot go
//! on now is said, and the same message is given again later.

use std::collections::HashMap;

use contracts::envelope::{Lsn, Position};

use crate::{
    outbox::{Reason, Router, Table, Transaction, Unpublishable},
    pgoutput::{self, Insert, LogicalMessage, Malformed, Message},
    progress::Progress,
    publisher::{Found, Place, Publisher, Refused},
    replication::Server,
};

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is dealt with.
    Done,
    /// The producer has no room; try again when something was acknowledged.
    Full,
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

/// The state of one stream.
pub(super) struct Relay {
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
    pub(super) progress: Progress,
    pub(super) publisher: Publisher,
}

impl Relay {
    pub(super) fn new(server: Server, router: Router, confirmed: Lsn, publisher: Publisher) -> Self {
        Self {
            server,
            router,
            tables: HashMap::new(),
            topics: HashMap::new(),
            left_out: 0,
            committed: None,
            transaction: Transaction::default(),
            open: None,
            progress: Progress::new(confirmed),
            publisher,
        }
    }

    pub(super) fn topic_is_there(&mut self, topic: String, found: Found) {
        self.topics.insert(topic, found);
    }

    /// Takes up the position that was committed to Kafka last, by a transaction that held all events before it too. Whether
    /// it says something of what this stream will give: not when it is older, or of another server or timeline.
    pub(super) fn was_committed(&mut self, last: &Position) -> bool {
        let is_ours = (last.system, last.timeline) == (self.server.system, self.server.timeline);
        let counts = is_ours && last.commit >= self.progress.confirmable();
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
        let (commit, ordinal) = match (self.open, item) {
            (Some(open), _) => open,
            // It has no commit. It is refused below, and named by where it is.
            (None, Item::Message(message)) if !message.transactional => (message.lsn, 0),
            (None, _) => return Err(Error::Disorder("a row or a message outside of a transaction")),
        };
        let routed = match item {
            Item::Row(Insert { relation, row }) => {
                let table = self.tables.get(relation).ok_or(Error::Disorder("a row of a table never described"))?;
                self.router.route(table, row, &mut self.transaction, ordinal)
            }
            Item::Message(message) => self.router.route_message(message, &mut self.transaction, ordinal),
        };
        let event = routed.map_err(|row| Error::Halt { row, commit })?;
        let Some(found) = self.topics.get_mut(event.topic) else {
            return Ok(Step::UnknownTopic(event.topic.to_owned()));
        };
        let number = self.progress.next_event();
        let place = Place { commit, ordinal, id: event.id, key: event.key };
        let is_there =
            self.committed.is_some_and(|last| (commit, ordinal) <= last) || !found.is_empty() && found.has(&place);
        let taken = if is_there { self.publisher.leave_out(number) } else { self.publisher.send(number, &event) };
        match taken {
            Ok(()) => {}
            Err(Refused::Full) => return Ok(Step::Full),
            Err(Refused::Settling) => return Ok(Step::Settling),
            Err(Refused::Committing) => return Ok(Step::Committing),
            Err(Refused::TooLarge(reason)) => {
                let row = Unpublishable {
                    table: event.origin.to_owned(),
                    id: event.id.to_owned(),
                    reason: Reason::TooLarge(reason),
                };
                return Err(Error::Halt { row: Box::new(row), commit });
            }
            Err(Refused::Failed(reason)) => return Err(Error::Publisher(reason)),
        }
        if !found.is_empty() {
            found.dealt_with(&place);
        }
        self.left_out += u64::from(is_there);
        if !is_there {
            let Server { system, timeline, .. } = self.server;
            self.publisher.stands_at(Position { system, timeline, commit, ordinal });
        }
        self.progress.sent();
        let next = ordinal.checked_add(1).ok_or(Error::Disorder("a transaction of more than 4 billion events"))?;
        self.open = Some((commit, next));
        Ok(Step::Done)
    }
}
