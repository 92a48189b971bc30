//! The loop: partitions are positioned as the group gives them out, and a batch is written while the next one is read.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    pin::pin,
    time::Duration,
};

use rdkafka::{error::KafkaError, types::RDKafkaErrorCode};
use telemetry::backoff::Backoff;
use tokio::time::Instant;

use crate::{
    Handler, Reached,
    batch::Batch,
    consumer::{Rebalance, Sight, Subscription},
    intake::{End, Setting},
    obstacle::Obstacle,
    position::Finder,
    reader::Reader,
    topics::Partition,
    writer::{Writer, Written},
};

/// A membership in the group.
pub(crate) struct Session<'a, H: Handler> {
    of: &'a Setting<H>,
    /// The id of the cluster, where known.
    cluster: Option<String>,
    reader: Reader<'a, H>,
    writer: Writer<'a, H>,
    /// The partitions that the group has given out to this instance.
    mine: Vec<Partition>,
    /// Those of them that stand still, since too much of them is parked.
    full: BTreeSet<Partition>,
    /// When it is looked next whether they may go on.
    look_at: Instant,
    /// Read, but not yet being written.
    ahead: Batch<H::Event>,
    trouble: Option<Trouble>,
    /// Partitions whose end comes after what is in `ahead`; known only without a group, by their numbers alone.
    ends_ahead: BTreeSet<i32>,
    /// Partitions that are applied to their end, or were.
    ended: BTreeSet<i32>,
    pub(crate) subscription: Subscription,
}

/// What kind of trouble Kafka was last in, which decides what shows that it is over.
#[derive(PartialEq, Eq)]
enum Trouble {
    /// No broker answered: over as soon as one is connected.
    Away,
    /// A broker refused something: over when messages come.
    Refusal,
}

/// How often it is looked whether a partition that stands still may go on.
const LOOK: Duration = Duration::from_secs(1);

/// What a session attends to next.
enum Next {
    Stop,
    Rebalance(Rebalance),
    Sight(Sight),
    /// Partitions that stand still may be able to go on.
    Look,
    /// There is something to write, or the client reports something.
    Read(Result<(), KafkaError>),
}

impl<'a, H: Handler> Session<'a, H> {
    /// A session of a member that has asked to join.
    pub(crate) fn new(of: &'a Setting<H>, subscription: Subscription, cluster: Option<String>) -> Self {
        let (reader, writer) = (Reader::new(of), Writer::new(of));
        Self {
            of,
            cluster,
            reader,
            writer,
            mine: Vec::new(),
            full: BTreeSet::new(),
            look_at: Instant::now(),
            ahead: Batch::default(),
            trouble: None,
            ends_ahead: BTreeSet::new(),
            ended: BTreeSet::new(),
            subscription,
        }
    }

    /// Reads and writes until the intake is to stop.
    pub(crate) async fn run(&mut self) -> Result<(), End> {
        if self.of.alone.is_some() {
            self.mine = self.of.topics.partitions();
            self.position().await?;
        }
        while !self.of.shutdown.is_cancelled() {
            self.tell();
            match self.next().await {
                Next::Stop => break,
                Next::Rebalance(Rebalance::Assigned(partitions)) => {
                    self.mine = partitions;
                    self.full.clear();
                    self.position().await?;
                }
                Next::Rebalance(Rebalance::Revoked) => self.give_up()?,
                Next::Sight(sight) => self.see(&sight),
                Next::Look => self.look().await?,
                Next::Read(Err(error)) => self.heed(error).await?,
                Next::Read(Ok(())) => self.write().await?,
            }
        }
        Ok(())
    }

    /// News of the group come first. They are only heard between batches: what is being written is finished before its
    /// partitions are given up.
    async fn next(&mut self) -> Next {
        let Subscription { news, sights, member } = &mut self.subscription;
        let waiting = self.ahead.is_empty();
        tokio::select! {
            biased;
            () = self.of.shutdown.cancelled() => Next::Stop,
            rebalance = news.next() => Next::Rebalance(rebalance),
            sight = sights.next() => Next::Sight(sight),
            () = tokio::time::sleep_until(self.look_at), if !self.full.is_empty() => Next::Look,
            () = std::future::ready(()), if !waiting => Next::Read(Ok(())),
            read = self.reader.fill(member, &mut self.ahead), if waiting => Next::Read(read),
        }
    }

    /// Writes what is there and reads on meanwhile.
    async fn write(&mut self) -> Result<(), End> {
        let batch = mem::take(&mut self.ahead);
        let ends = mem::take(&mut self.ends_ahead);
        if batch.is_empty() {
            return Ok(());
        }
        let mut read = Ok(());
        let written = {
            let mut writing = pin!(self.writer.write(&batch));
            loop {
                let room = read.is_ok() && !self.ahead.is_full();
                tokio::select! {
                    biased;
                    written = &mut writing => break written,
                    // Writing can take as long as the database is away; how far behind that leaves us is told meanwhile.
                    sight = self.subscription.sights.next() => self.of.meters.ends(&sight.ends),
                    result = self.reader.fill(&self.subscription.member, &mut self.ahead), if room => read = result,
                }
            }
        };
        let committed = written == Written::Committed;
        match written {
            Written::Committed => {
                self.ended.extend(ends);
                self.no_trouble(&Trouble::Refusal);
            }
            Written::Stopped => return Ok(()),
            Written::Full(partitions) => {
                self.full.extend(partitions);
                self.position().await?;
            }
            Written::Fenced => {
                tracing::info!(handler = self.of.handler.name(), "the stored offsets have moved; going on from there");
                self.position().await?;
            }
        }
        match read {
            // What comes before that end has been forgotten, and is read again.
            Err(KafkaError::PartitionEOF(_)) if !committed => Ok(()),
            Ok(()) => Ok(()),
            Err(error) => self.heed(error).await,
        }
    }

    /// Reads this instance's partitions from where they go on, and forgets what was read before.
    async fn position(&mut self) -> Result<(), End> {
        self.forget();
        self.look_at = Instant::now() + LOOK;
        let finder = Finder {
            topics: &self.of.topics,
            pool: &self.of.intake.pool,
            offsets: &self.of.offsets,
            cluster: self.cluster.as_deref(),
            client: self.subscription.member.client(),
        };
        let Some(positions) = self.of.overcome(|| finder.find(&self.mine)).await? else { return Ok(()) };
        let goes_on = positions.iter().filter(|(of, _)| !self.full.contains(of));
        let next: BTreeMap<Partition, i64> = goes_on.map(|(of, position)| (*of, position.next)).collect();
        self.subscription.member.assign(&next)?;
        self.of.meters.assigned(positions.into_iter().map(|(of, position)| (of, position.next, position.end)));
        self.of.status.assigned(self.mine.len(), self.standstill());
        self.trouble = None;
        self.reader.go_on_from(next.clone());
        self.writer.go_on_from(next);
        Ok(())
    }

    /// Goes on with the partitions of which enough has been retried or skipped.
    async fn look(&mut self) -> Result<(), End> {
        self.look_at = Instant::now() + LOOK;
        let counts = async {
            let client = self.of.intake.pool.get().await?;
            Ok::<_, Obstacle>(self.of.parked.count(&client, &self.of.topics).await?)
        };
        match counts.await {
            Ok(counts) => {
                let before = self.full.len();
                let limit = self.of.intake.max_parked;
                self.full.retain(|partition| counts.get(partition).is_some_and(|count| *count >= limit));
                if self.full.len() < before { self.position().await } else { Ok(()) }
            }
            Err(obstacle) => {
                tracing::debug!(?obstacle, "looking whether partitions may go on");
                Ok(())
            }
        }
    }

    /// Which partitions stand still, and what to do.
    fn standstill(&self) -> Option<String> {
        let named = |of: &Partition| format!("{} partition {}", self.of.topics.of(*of).on_cluster, of.number);
        let partitions: Vec<String> = self.full.iter().map(named).collect();
        let limit = self.of.intake.max_parked;
        (!partitions.is_empty()).then(|| {
            format!(
                "standing still: {}: {limit} aggregates are parked, the limit; see `inbox list`, mend the cause, then \
                 `inbox retry --all` or `inbox skip`",
                partitions.join(", ")
            )
        })
    }

    fn give_up(&mut self) -> Result<(), End> {
        self.mine.clear();
        self.full.clear();
        self.forget();
        self.of.meters.assigned([]);
        Ok(self.subscription.member.give_up()?)
    }

    fn forget(&mut self) {
        mem::take(&mut self.ahead).spans.given_up();
        self.ends_ahead.clear();
        self.reader.go_on_from(BTreeMap::new());
        self.writer.go_on_from(BTreeMap::new());
    }

    /// Tells how far an intake without a group has come.
    fn tell(&mut self) {
        let Some(reached) = &self.of.alone else { return };
        if self.ahead.is_empty() {
            self.ended.append(&mut self.ends_ahead);
        }
        let to_the_end = !self.mine.is_empty() && self.ended.len() == self.mine.len();
        reached.send_replace(Reached { ahead: Some(self.of.meters.lag()), to_the_end });
    }

    fn see(&mut self, sight: &Sight) {
        self.of.meters.ends(&sight.ends);
        if sight.connected {
            self.no_trouble(&Trouble::Away);
        }
    }

    fn no_trouble(&mut self, kind: &Trouble) {
        if self.trouble.take_if(|trouble| trouble == kind).is_some() {
            self.of.status.kafka(None);
        }
    }

    /// What the client reports beside messages.
    async fn heed(&mut self, error: KafkaError) -> Result<(), End> {
        match error {
            KafkaError::MessageConsumptionFatal(_) => return Err(error.into()),
            KafkaError::PartitionEOF(number) => {
                self.ends_ahead.insert(number);
                return Ok(());
            }
            _ => {}
        }
        match error.rdkafka_error_code() {
            // Positioning finds out whether the offset is really gone, and halts then.
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                self.of.pause(&mut Backoff::for_connecting()).await;
                self.position().await?;
            }
            // A single broker that is away, and an absence that the database caused and a rebalance ends.
            Some(
                RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::Resolve | RDKafkaErrorCode::PollExceeded,
            ) => tracing::debug!(%error, "consumer"),
            code => {
                let away = code == Some(RDKafkaErrorCode::AllBrokersDown);
                self.trouble = Some(if away { Trouble::Away } else { Trouble::Refusal });
                self.of.status.kafka(Some(if away { "no broker answers".to_owned() } else { error.to_string() }));
            }
        }
        Ok(())
    }
}
