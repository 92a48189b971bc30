//! What the owner of an intake provides.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use contracts::Topic;
use deadpool_postgres::{Client, Transaction};

use crate::{Delivery, Insert, Parameter, Undecodable};

/// Why events were not applied.
#[derive(Debug, thiserror::Error)]
pub enum Unapplied {
    /// A statement failed; what is permanent is told from what passes by the error's SQLSTATE.
    #[error(transparent)]
    Statement(#[from] tokio_postgres::Error),
    /// Passes: it is tried again.
    #[error("{0}")]
    Delayed(String),
    /// Definite: the handler will never apply it.
    #[error("{0}")]
    Refused(String),
}

/// What an event that cannot be applied means for the later ones of its aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parking {
    /// They queue behind it, in their order, until it is applied or skipped: what a reactor does may depend on it.
    Queue,
    /// They pass it, and the next that is applied makes it obsolete: each brings the whole document.
    Replace,
    /// They pass it, and it waits: no event depends on another.
    Alone,
}

/// A projection or a reactor: turns messages into effects in PostgreSQL.
///
/// Kafka may deliver a message twice, and a compacted topic may leave versions out. The intake's offsets keep a message
/// from being applied twice; that a row takes only a higher version is for [`Handler::apply`] to see to.
pub trait Handler: Send + Sync + 'static {
    /// What [`Handler::decode`] makes of a message.
    type Event: Send + Sync + 'static;

    /// Its name, under which its offsets are kept. Another name is another handler, which starts at the beginning.
    fn name(&self) -> &'static str;

    /// Which copy of its effects it fills: a rebuild fills another one beside that which is in use. Offsets and events set
    /// aside are kept for each.
    fn generation(&self) -> i32 {
        1
    }

    /// What an event that cannot be applied means for the later ones of its aggregate.
    fn parking(&self) -> Parking {
        Parking::Queue
    }

    /// The command that fills its effects anew from the topics, where there is one. When its stored offsets do not fit the
    /// topics, the intake names it, or else `inbox restart`, and waits until that has been run.
    fn rebuilt_by(&self) -> Option<String> {
        None
    }

    /// What would happen a second time if it read its topics from their beginning again, where its guard does not hold for so
    /// long.
    fn repeats(&self) -> Option<&'static str> {
        None
    }

    /// How long an event may wait for others that go into its batch: fewer transactions do the same then.
    fn gathers_for(&self) -> Duration {
        Duration::ZERO
    }

    /// The topics that it reads.
    fn topics(&self) -> &'static [Topic];

    /// Reads a message, without any I/O. `Ok(None)`: of no interest.
    ///
    /// # Errors
    /// When it can never be read; it is then set aside, see [`Handler::parking`].
    fn decode(&self, delivery: &Delivery) -> Result<Option<Self::Event>, Undecodable>;

    /// Applies a batch in the order given, with as few statements as it can. Events of one partition are in order;
    /// a batch can hold an aggregate more than once. The offsets may turn out to be stale while this is under way, and a batch
    /// may come again: what it does beside the transaction must bear that.
    ///
    /// # Errors
    /// When they were not; the transaction is then rolled back.
    fn apply(
        &self,
        transaction: &Transaction<'_>,
        events: &[Self::Event],
    ) -> impl Future<Output = Result<(), Unapplied>> + Send;

    /// The one statement that [`Handler::apply`] executes, where there is no more to it. A batch of one partition is then a single
    /// statement, which moves the offset too: one way there and back, where a transaction has three. Whoever has one has
    /// [`Handler::parameters`], too.
    fn insert(&self) -> Option<&Insert> {
        None
    }

    /// That statement's parameters for these events, as many as it has types.
    fn parameters(&self, _events: &[Self::Event]) -> Vec<Parameter> {
        Vec::new()
    }

    /// Tells others what has been committed, over the connection that did it: these events are applied, or, without any, nobody
    /// knows which. It is told at least once: whatever comes between a commit and this, whoever goes on from there begins by telling
    /// that anything may have changed.
    ///
    /// # Errors
    /// When a statement failed; it is tried again.
    fn tell(
        &self,
        _client: &Client,
        _applied: Option<&[Self::Event]>,
    ) -> impl Future<Output = Result<(), tokio_postgres::Error>> + Send {
        std::future::ready(Ok(()))
    }
}

/// Has the handler read a message. A panic is that message's fault alone: read again, it would only come again. What it said
/// may quote the document, so it is not kept.
pub(crate) fn decode<H: Handler>(handler: &H, delivery: &Delivery) -> Result<Option<H::Event>, Undecodable> {
    catch_unwind(AssertUnwindSafe(|| handler.decode(delivery)))
        .unwrap_or_else(|_| Err(Undecodable("the handler panicked while it read the message".to_owned())))
}
