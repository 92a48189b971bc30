//! A slot that is missing or lost is replaced, and what Kafka lacks of the rows that are in the tables is published.
//!
//! Guarantees: nothing is lost between the old slot and the new one of what the tables still hold; order per key is by
//! version; of several relays one does it; a death anywhere on the way leaves the slot missing or lost, so that it begins
//! anew, and finds on Kafka what it had published. What cannot be known to be whole is refused, with the reason.
//!
//! ```text
//!   temporary slot (the right to do it) ── snapshot ──▶ survey: the tables' aggregates ◀── how far Kafka has each
//!        │                                                 │ no gap, or gaps accepted
//!        │                                   rows by topic, key, version ──▶ those that Kafka lacks ──▶ publisher
//!        │                                                                                 │ all acknowledged
//!        └── its position ───────────────────────────────────────────────▶ the new slot ◀──┘
//! ```
//!
//! Events get the positions just before the new slot's stream, so that a later reading back takes them for confirmed.

mod aggregates;
mod by_hand;
mod error;
mod on_kafka;
mod publish;
mod rows;
mod slot;

pub use by_hand::{Args, Settings, resync};
pub use error::{Error, Refusal};

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::Utc;
use contracts::envelope::{Lsn, Position};
use telemetry::CancellationToken;
use tokio::time::Instant;
use tokio_postgres::Client;

use crate::{
    database::connect,
    delivery::Delivery,
    outbox::{Preset, Transaction, is_topic_name, postgres_micros},
    publisher::{LONGEST_DELIVERY, Publisher},
    replication::{self, Endpoint, Server},
    settings::OtherHistory,
};
use aggregates::Aggregates;
use error::unavailable;
use on_kafka::Topic;
use publish::Publishing;
use rows::{Outbox, Totals};
use slot::{Condition, Right};

/// So many of the aggregates with gaps are named.
const EXAMPLES: usize = 3;
/// How often it is said how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// What was wrong with the slot; none when nothing was.
    pub was: Option<String>,
    /// Where the new slot begins.
    pub from: Lsn,
    /// Aggregates with rows in the tables.
    pub aggregates: u64,
    /// Rows that were read.
    pub rows: u64,
    /// Those that were published.
    pub published: u64,
    /// Those of them that could not be published and were set aside, by the kind of reason.
    pub set_aside: BTreeMap<&'static str, u64>,
    /// Those that Kafka had.
    pub found: u64,
    /// What is missing all the same.
    pub gaps: Vec<String>,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, aggregates, rows, published, set_aside, found, gaps, .. } = self;
        write!(f, "the new slot begins at {from}; {rows} rows of {aggregates} aggregates read, ")?;
        let set_aside: u64 = set_aside.values().sum();
        write!(f, "{} published, {found} already there", published - set_aside)?;
        if set_aside > 0 {
            write!(f, ", {set_aside} set aside as dead letters")?;
        }
        gaps.iter().try_for_each(|gap| write!(f, "; accepted: {gap}"))
    }
}

/// A slot's replacement.
pub(crate) struct Resync<'a> {
    pub(crate) settings: &'a crate::Settings,
    pub(crate) endpoints: &'a [Endpoint],
    /// Replace a slot that could be streamed, too.
    pub(crate) even_if_free: bool,
    /// Go on although events are missing that nobody has.
    pub(crate) accept_gaps: bool,
    /// Is told every few seconds how far it is.
    pub(crate) tell: &'a (dyn Fn(&str) + Send + Sync),
}

/// How far it is.
struct Progress<'a> {
    of: u64,
    sent: u64,
    found: u64,
    left_out: u64,
    tell: &'a (dyn Fn(&str) + Send + Sync),
    told: Instant,
}

/// What the tables and Kafka have.
struct Survey {
    aggregates: Aggregates,
    totals: Totals,
    gaps: Vec<String>,
}

impl Resync<'_> {
    /// Replaces the slot. The publisher is of no more use after it.
    ///
    /// # Errors
    /// When it could not be done. What was published by then will be found.
    pub(crate) async fn run(&self, mut publisher: Publisher, shutdown: &CancellationToken) -> Result<Done, Error> {
        let outcome = tokio::select! {
            biased;
            () = shutdown.cancelled() => Err(Error::Interrupted),
            outcome = self.with_the_right(&mut publisher) => outcome,
        };
        if outcome.is_err() {
            publisher.purge();
        }
        publisher.discard().await;
        outcome
    }

    async fn with_the_right(&self, publisher: &mut Publisher) -> Result<Done, Error> {
        if self.settings.format.preset == Preset::Debezium {
            return Err(Refusal::Debezium.into());
        }
        (self.tell)("waits for the transactions that are running now");
        let mut right = Right::acquire(self.settings, self.endpoints).await?;
        let connected = connect(&self.settings.database).await;
        let (client, connection) = connected.map_err(replication::Error::Unavailable)?;
        let work = async {
            rows::begin(&client, &right.from.snapshot).await?;
            let condition = right.condition(self.settings, &client).await?;
            if matches!(condition, Condition::Free { .. }) && !self.even_if_free {
                return Err(Error::NotNeeded);
            }
            let (server, from) = (right.server.clone(), right.from.consistent);
            self.begin(publisher, &server).await?;
            // With the right goes all that is under way.
            tokio::select! {
                biased;
                lost = right.until_lost() => Err(lost),
                done = self.replace(&client, &condition, &server, from, publisher) => done,
            }
        };
        tokio::select! {
            outcome = work => outcome,
            () = connection => Err(replication::Error::Unavailable("the server closed the connection".to_owned()).into()),
        }
    }

    /// Voids what an earlier relay of this slot has under way, before it is looked up what Kafka has.
    async fn begin(&self, publisher: &mut Publisher, server: &Server) -> Result<(), Error> {
        if self.settings.delivery == Delivery::AtLeastOnce {
            return Ok(());
        }
        let transactional = self.settings.publisher(self.settings.linger, LONGEST_DELIVERY, Some(server));
        let transactional = transactional.map_err(|error| Error::Kafka(error.to_string()))?;
        std::mem::replace(publisher, transactional).discard().await;
        publisher.begin().await.map(drop).map_err(Error::Kafka)
    }

    async fn replace(
        &self,
        client: &Client,
        condition: &Condition,
        server: &Server,
        from: Lsn,
        publisher: &mut Publisher,
    ) -> Result<Done, Error> {
        let outboxes = rows::outboxes(client, self.settings).await?;
        let mut survey = self.survey(client, &outboxes, server).await?;
        let was = match condition {
            Condition::Lost { problem, .. } => Some(problem.clone()),
            Condition::Free { .. } => {
                // From here on no relay can publish, and so what Kafka has is looked up again. What would be refused was
                // refused before anything was changed.
                slot::drop_it(client, &self.settings.slot).await?;
                survey = self.survey(client, &outboxes, server).await?;
                None
            }
        };
        (self.tell)(&format!("publishes what Kafka lacks of {} rows", survey.totals.rows));
        let mut progress = Progress::new(survey.totals.rows, self.tell);
        // Before each transaction of the new slot's stream.
        let place = Lsn(from.0.saturating_sub(1));
        let mut transaction = Transaction::default();
        transaction.restart(server.system, server.timeline, place, postgres_micros(Utc::now()));
        let router = self.settings.router(server);
        let Server { system, timeline, .. } = *server;
        let place = Position { system, timeline, commit: place, ordinal: 0 };
        let dead_letters = self.settings.dead_letter_topic.as_ref().map(|topic| self.settings.kafka.topic(topic));
        let mut publishing = Publishing::new(publisher, router, transaction, place, dead_letters);
        for outbox in &outboxes {
            let rows = outbox.rows(client).await?;
            publishing.publish(outbox, rows, &survey.aggregates, &mut progress).await?;
        }
        let set_aside = publishing.finish().await?;
        client.batch_execute("COMMIT").await.map_err(|error| unavailable(&error))?;
        slot::replace(client, &self.settings.slot, from).await?;
        if condition.was_failover() {
            slot::make_failover(self.endpoints, &self.settings.slot).await?;
        }
        let (rows, published, found) = (progress.rows(), progress.sent, progress.found);
        let (aggregates, _) = survey.aggregates.count();
        Ok(Done { was, from, aggregates, rows, published, set_aside, found, gaps: survey.gaps })
    }

    /// What the tables hold of each aggregate, how far Kafka has it, and what neither has.
    async fn survey(&self, client: &Client, outboxes: &[Outbox], server: &Server) -> Result<Survey, Error> {
        (self.tell)("looks at the tables");
        let (mut aggregates, mut totals) = (Aggregates::default(), Totals::default());
        for outbox in outboxes {
            outbox.survey(client, &mut aggregates, &mut totals).await?;
        }
        let mut aggregates = self.read_topics(&totals, server, aggregates).await?;
        if aggregates.are_foreign() {
            if self.settings.other_history == OtherHistory::Halt {
                let Server { system, timeline, .. } = *server;
                return Err(Refusal::OtherHistory { system, timeline }.into());
            }
            (self.tell)("compares the ids of events of another server or timeline");
            for outbox in outboxes {
                outbox.compare(client, &self.settings.format, &mut aggregates).await?;
            }
        }
        let gaps = self.gaps(client, outboxes, &totals, &aggregates).await?;
        if !gaps.is_empty() && !self.accept_gaps {
            return Err(Refusal::Gaps(gaps).into());
        }
        for gap in &gaps {
            tracing::warn!("accepted: {gap}");
        }
        Ok(Survey { aggregates, totals, gaps })
    }

    async fn read_topics(
        &self,
        totals: &Totals,
        server: &Server,
        mut aggregates: Aggregates,
    ) -> Result<Aggregates, Error> {
        let kafka = &self.settings.kafka;
        for name in &totals.topics {
            let on_cluster = kafka.topic(name);
            // Its rows will be refused.
            if !is_topic_name(&on_cluster) {
                continue;
            }
            let is_compacted = on_kafka::is_compacted(kafka, &on_cluster).await;
            let topic = Topic { on_cluster: on_cluster.clone(), name: name.clone(), is_compacted };
            let (kafka, server) = (kafka.clone(), server.clone());
            let count = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&count);
            // The thread ends when this future does.
            let ended = CancellationToken::new();
            let (to_end, _ends) = (ended.clone(), ended.drop_guard());
            let reading = tokio::task::spawn_blocking(move || {
                on_kafka::read(&kafka, &topic, &server, &mut aggregates, &counted, &to_end).map(|()| aggregates)
            });
            let telling = async {
                loop {
                    let records = count.load(Ordering::Relaxed);
                    (self.tell)(&format!("reads topic {on_cluster}: {records} records so far"));
                    tokio::time::sleep(TELL_EVERY).await;
                }
            };
            let read = tokio::select! {
                read = reading => read,
                never = telling => never,
            };
            aggregates = read.map_err(|error| Error::Kafka(error.to_string()))?.map_err(Error::Kafka)?;
        }
        Ok(aggregates)
    }

    /// What may be missing on Kafka and is not in the tables.
    async fn gaps(
        &self,
        client: &Client,
        outboxes: &[Outbox],
        totals: &Totals,
        aggregates: &Aggregates,
    ) -> Result<Vec<String>, Error> {
        let mut gaps = Vec::new();
        if self.settings.format.message_prefix.is_some() {
            gaps.push("of logical messages nothing is retained".to_owned());
        }
        if totals.rows == 0 {
            gaps.push("the tables hold no rows, so what was committed since the slot was lost is not known".to_owned());
        }
        if totals.unversioned > 0 {
            gaps.push(format!("{} rows have no version and are left out", totals.unversioned));
        }
        if totals.ambiguous > 0 {
            gaps.push(format!("{} aggregates have several events of one version", totals.ambiguous));
        }
        let (all, with_gaps) = aggregates.count();
        if with_gaps > 0 {
            let mut examples = Vec::new();
            for outbox in outboxes {
                examples.extend(outbox.gaps(client, aggregates, EXAMPLES - examples.len()).await?);
            }
            let examples = examples.join(", ");
            gaps.push(format!(
                "of {with_gaps} of {all} aggregates, versions are neither on Kafka nor in the tables ({examples})"
            ));
        }
        Ok(gaps)
    }
}

impl<'a> Progress<'a> {
    fn new(of: u64, tell: &'a (dyn Fn(&str) + Send + Sync)) -> Self {
        Self { of, sent: 0, found: 0, left_out: 0, tell, told: Instant::now() }
    }

    fn rows(&self) -> u64 {
        self.sent + self.found + self.left_out
    }

    /// Says how far it is, when that was not said just now.
    fn tell(&mut self) {
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            let (rows, Self { of, sent, found, .. }) = (self.rows(), &*self);
            (self.tell)(&format!("{rows} of {of} rows read, {sent} published, {found} already there"));
        }
    }
}
