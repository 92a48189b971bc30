//! The loop: partitions are positioned as the group gives them out, and batches are written while the next ones are read.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, OptionFuture},
};
use rdkafka::{error::KafkaError, types::RDKafkaErrorCode};
use telemetry::backoff::Backoff;
use tokio::time::Instant;

use crate::{
    Handler, Reached,
    cluster::{self, Ids},
    consumer::{Member, Rebalance, Sight, Subscription},
    intake::{End, Setting},
    lanes::{Done, Lanes, Writing},
    obstacle::Obstacle,
    parked::Aside,
    position::Finder,
    reader::Reader,
    topics::Partition,
    writer::Written,
};

/// A membership in the group.
pub(crate) struct Session<'a, H: Handler> {
    of: &'a Setting<H>,
    reader: Reader<'a, H>,
    lanes: Lanes<'a, H>,
    writing: Writing<'a, H>,
    /// The ids of the cluster and the topics when this instance was last positioned.
    ids: Ids,
    /// When it is looked next whether they are still the same.
    look_at_topics: Instant,
    /// That look, while it lasts: a broker answers it after the fetch that is under way, and messages do not wait for that.
    asking: Option<Asking>,
    /// The partitions that the group has given out to this instance.
    mine: Vec<Partition>,
    /// Those of them that stand still, since too much of them is set aside.
    full: BTreeSet<Partition>,
    /// When it is looked next what is parked.
    look_at: Instant,
    trouble: Option<Trouble>,
    /// When reading is held, unless there is room for messages before.
    hold_at: Instant,
    /// Where partitions were seen to end; known only without a group.
    ends: BTreeMap<Partition, i64>,
    /// Partitions that are applied to their end, or were.
    ended: BTreeSet<Partition>,
    pub(crate) subscription: Subscription,
}

/// A question which topics there are.
type Asking = BoxFuture<'static, Result<Ids, Obstacle>>;

/// The answer, once there is one.
async fn answered(asking: &mut Option<Asking>) -> Result<Ids, Obstacle> {
    let Some(question) = asking else { return std::future::pending().await };
    let answer = question.await;
    *asking = None;
    answer
}

/// What kind of trouble Kafka was last in, which decides what shows that it is over.
#[derive(PartialEq, Eq)]
enum Trouble {
    /// No broker answered: over as soon as one is connected.
    Away,
    /// A broker refused something: over when messages come.
    Refusal,
}

/// How often it is looked what is parked, while anything is: whether a partition that stands still may go on.
const LOOK: Duration = Duration::from_secs(1);

/// How often it is looked whether the topics are still those that they were. The client reads on in a topic that was deleted and
/// made anew as if it were the same, and takes minutes to notice that one has more partitions.
const LOOK_AT_TOPICS: Duration = Duration::from_secs(5);

/// How long messages may have to wait for room, as when the database is away, until no more of them are fetched and the client is heard
/// all the same: what it has to tell would pile up, and the group would take this instance for dead.
const HOLD: Duration = Duration::from_secs(5);

/// Whether what was read is what has to be written next.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Noted {
    AsExpected,
    /// It has to be read from somewhere else.
    Moved,
}

/// What a session attends to next.
enum Next<'a, H> {
    Stop,
    Rebalance(Rebalance),
    Sight(Sight),
    /// Kafka has said which topics there are.
    Asked(Result<Ids, Obstacle>),
    /// What is parked may have become less, so that partitions which stand still can go on.
    Look,
    /// There has been no room for long.
    Hold,
    /// A batch has waited for long enough.
    Gathered,
    /// Something was read, or the client reports something.
    Read(Result<(), KafkaError>),
    Written(Done<'a, H>),
}

impl<'a, H: Handler> Session<'a, H> {
    /// A session of a member that has asked to join.
    pub(crate) fn new(of: &'a Setting<H>, subscription: Subscription) -> Self {
        Self {
            of,
            reader: Reader::new(of),
            lanes: Lanes::new(of),
            writing: Writing::new(),
            ids: Ids::default(),
            look_at_topics: Instant::now(),
            asking: None,
            mine: Vec::new(),
            full: BTreeSet::new(),
            look_at: Instant::now(),
            trouble: None,
            hold_at: Instant::now() + HOLD,
            ends: BTreeMap::new(),
            ended: BTreeSet::new(),
            subscription,
        }
    }

    /// Reads and writes until the intake is to stop.
    pub(crate) async fn run(&mut self) -> Result<(), End> {
        if let Some((share, _)) = &self.of.alone {
            let all = self.of.topics.partitions().into_iter();
            self.mine = all.filter(|partition| share.has(partition.number)).collect();
            self.position().await?;
        }
        while !self.of.shutdown.is_cancelled() {
            self.tell();
            let gathered_at = self.lanes.start(&mut self.writing);
            if self.lanes.has_room() {
                self.go_on()?;
            }
            match self.next(gathered_at).await {
                Next::Stop => break,
                Next::Rebalance(Rebalance::Assigned(partitions)) => {
                    self.mine = partitions;
                    self.full.clear();
                    self.position().await?;
                }
                Next::Rebalance(Rebalance::Revoked) => self.give_up().await?,
                Next::Sight(sight) => self.see(&sight),
                Next::Asked(asked) => self.compare(asked).await?,
                Next::Look => self.look().await?,
                Next::Gathered => {}
                Next::Hold => hold(self.of, &mut self.subscription.member)?,
                Next::Read(Ok(())) => {}
                Next::Read(Err(error)) => self.heed(error).await?,
                Next::Written(done) => {
                    if self.note(done) == Noted::Moved {
                        self.position().await?;
                    }
                }
            }
        }
        self.settle().await?;
        Ok(())
    }

    /// News of the group come first. What is being written meanwhile is finished before they are acted upon.
    async fn next(&mut self, gathered_at: Option<Instant>) -> Next<'a, H> {
        let Subscription { news, sights, member } = &mut self.subscription;
        let (room, held) = (self.lanes.has_room(), member.is_held());
        let looks = !self.full.is_empty() || self.of.meters.has_parked();
        tokio::select! {
            biased;
            () = self.of.shutdown.cancelled() => Next::Stop,
            rebalance = news.next() => Next::Rebalance(rebalance),
            Some(done) = self.writing.next() => Next::Written(done),
            sight = sights.next() => Next::Sight(sight),
            asked = answered(&mut self.asking) => Next::Asked(asked),
            () = tokio::time::sleep_until(self.look_at), if looks => Next::Look,
            () = tokio::time::sleep_until(self.hold_at), if !room && !held => Next::Hold,
            Some(()) = OptionFuture::from(gathered_at.map(tokio::time::sleep_until)) => Next::Gathered,
            read = self.reader.fill(member, &mut self.lanes), if room || held => Next::Read(read),
        }
    }

    /// Waits until nothing is being written: what was begun is finished before its partitions are given up or read anew.
    async fn settle(&mut self) -> Result<Noted, End> {
        let mut noted = Noted::AsExpected;
        self.hold_at = Instant::now() + HOLD;
        while !self.writing.is_empty() {
            let Subscription { sights, member, .. } = &mut self.subscription;
            let held = member.is_held();
            tokio::select! {
                biased;
                Some(done) = self.writing.next() => noted = noted.max(self.note(done)),
                // Writing can take as long as the database is away; how far behind that leaves us is told meanwhile.
                sight = sights.next() => self.of.meters.ends(&sight.ends),
                () = tokio::time::sleep_until(self.hold_at), if !held => hold(self.of, member)?,
                _ = self.reader.fill(member, &mut self.lanes), if held => {}
            }
        }
        Ok(noted)
    }

    /// Has the client read on, where it was held, unless the group has something else in mind.
    fn go_on(&mut self) -> Result<(), End> {
        self.hold_at = Instant::now() + HOLD;
        let Subscription { news, member, .. } = &mut self.subscription;
        if member.is_held() && !news.are_waiting() {
            member.assign(self.reader.all_next())?;
            self.of.meters.held(false);
        }
        Ok(())
    }

    /// Takes note of what became of a batch.
    fn note(&mut self, done: Done<'a, H>) -> Noted {
        match self.lanes.free(done) {
            Written::Committed => self.no_trouble(&Trouble::Refusal),
            Written::Stopped => {}
            Written::Untold => return Noted::Moved,
            Written::Full(partitions) => {
                self.full.extend(partitions);
                return Noted::Moved;
            }
            Written::Fenced => {
                tracing::info!(handler = self.of.handler.name(), "the stored offsets have moved; going on from there");
                return Noted::Moved;
            }
        }
        Noted::AsExpected
    }

    /// Reads this instance's partitions from where they go on, and forgets what was read before.
    async fn position(&mut self) -> Result<(), End> {
        self.forget().await?;
        self.look_at = Instant::now() + LOOK;
        let finder = Finder {
            topics: &self.of.topics,
            pool: &self.of.intake.pool,
            offsets: &self.of.offsets,
            client: self.subscription.member.client(),
        };
        // Whoever had these partitions before may have ended between a commit and telling of it.
        let found = self.of.overcome(async || {
            let found = finder.find(&self.mine).await?;
            self.of.tell_anything().await?;
            Ok(found)
        });
        tokio::pin!(found);
        let hold_at = Instant::now() + HOLD;
        let found = loop {
            let member = &mut self.subscription.member;
            let held = member.is_held();
            tokio::select! {
                biased;
                found = &mut found => break found?,
                () = tokio::time::sleep_until(hold_at), if !held => hold(self.of, member)?,
                _ = self.reader.fill(member, &mut self.lanes), if held => {}
            }
        };
        let Some((positions, ids)) = found else { return Ok(()) };
        if self.subscription.member.is_held() && self.subscription.news.are_waiting() {
            return Ok(());
        }
        count_parked(self.of).await;
        self.ids = ids;
        self.look_at_topics = Instant::now() + LOOK_AT_TOPICS;
        let goes_on = positions.iter().filter(|(of, _)| !self.full.contains(of));
        let next: BTreeMap<Partition, i64> = goes_on.map(|(of, position)| (*of, position.next)).collect();
        self.subscription.member.assign(&next)?;
        self.of.meters.held(false);
        self.of.meters.assigned(positions.into_iter().map(|(of, position)| (of, position.next, position.end)));
        self.of.status.assigned(self.mine.len(), self.standstill());
        self.trouble = None;
        self.lanes.go_on_from(&next);
        self.reader.go_on_from(next);
        Ok(())
    }

    /// Goes on with the partitions of which enough has been retried or skipped.
    async fn look(&mut self) -> Result<(), End> {
        self.look_at = Instant::now() + LOOK;
        let Some(counts) = count_parked(self.of).await else { return Ok(()) };
        let before = self.full.len();
        let limit = self.of.intake.max_parked;
        self.full.retain(|partition| counts.get(partition).is_some_and(|aside| aside.count() >= limit));
        if self.full.len() < before { self.position().await } else { Ok(()) }
    }

    /// Which partitions stand still, and what to do.
    fn standstill(&self) -> Option<String> {
        let named = |of: &Partition| format!("{} partition {}", self.of.topics.of(*of).on_cluster, of.number);
        let partitions: Vec<String> = self.full.iter().map(named).collect();
        let limit = self.of.intake.max_parked;
        (!partitions.is_empty()).then(|| {
            format!(
                "standing still: {}: {limit} aggregates or messages without a usable key are set aside, the limit; see \
                 `inbox list`, mend the cause, then `inbox retry --all` or `inbox skip`; where what mends them comes later on \
                 the topic, raise --max-parked-aggregates",
                partitions.join(", ")
            )
        })
    }

    async fn give_up(&mut self) -> Result<(), End> {
        self.mine.clear();
        self.forget().await?;
        self.full.clear();
        self.of.meters.held(false);
        self.of.meters.assigned([]);
        Ok(self.subscription.member.give_up()?)
    }

    /// Forgets what was read, once nothing is being written any more.
    async fn forget(&mut self) -> Result<(), End> {
        self.settle().await?;
        self.asking = None;
        self.ends.clear();
        self.reader.go_on_from(BTreeMap::new());
        self.lanes.go_on_from(&BTreeMap::new());
        Ok(())
    }

    /// Tells how far an intake without a group has come.
    fn tell(&mut self) {
        let Some((_, reached)) = &self.of.alone else { return };
        let applied = self.ends.extract_if(.., |of, end| self.lanes.have_stored(*of, *end));
        self.ended.extend(applied.map(|(of, _)| of));
        let to_the_end = self.ended.len() == self.mine.len();
        reached.send_replace(Reached { ahead: Some(self.of.meters.lag()), to_the_end });
    }

    fn see(&mut self, sight: &Sight) {
        self.of.meters.ends(&sight.ends);
        if !sight.connected {
            return;
        }
        self.no_trouble(&Trouble::Away);
        if Instant::now() < self.look_at_topics || self.mine.is_empty() || self.asking.is_some() {
            return;
        }
        self.look_at_topics = Instant::now() + LOOK_AT_TOPICS;
        self.asking = Some(cluster::ids(self.subscription.member.client(), self.of.topics.clone()).boxed());
    }

    /// Compares the topics with what they were.
    async fn compare(&mut self, asked: Result<Ids, Obstacle>) -> Result<(), End> {
        match asked {
            Ok(ids) if ids == self.ids => Ok(()),
            // Positioning finds out what that means, and waits for a topic that is gone.
            Ok(_) | Err(Obstacle::Topic(_) | Obstacle::Halt(_)) => self.position().await,
            Err(_) => Ok(()),
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
                // Alone, an intake reads one topic.
                let partition = Partition { topic: 0, number };
                self.ends.extend(self.reader.next(partition).map(|next| (partition, next)));
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

/// Has the client fetch nothing more, and drop what nobody has taken.
fn hold<H>(of: &Setting<H>, member: &mut Member) -> Result<(), End> {
    of.meters.held(true);
    Ok(member.hold()?)
}

/// How much of each partition is set aside, if the database says so now.
async fn count_parked<H>(of: &Setting<H>) -> Option<BTreeMap<Partition, Aside>> {
    let counts = async {
        let client = of.intake.pool.get().await?;
        Ok::<_, Obstacle>(of.parked.count(&client, &of.topics).await?)
    };
    match counts.await {
        Ok(counts) => {
            of.meters.parked(&counts);
            Some(counts)
        }
        Err(obstacle) => {
            tracing::debug!(?obstacle, "looking what is parked");
            None
        }
    }
}
