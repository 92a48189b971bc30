//! One stream from its start to its end: the loop that waits.
//!
//! It waits for many things at once, so that none can hold up another: while the producer has no room, a topic is
//! missing or a row halts everything, frames are not read, but statuses go out all the same.

use std::time::Duration;

use bytes::Bytes;
use contracts::envelope::{Lsn, Position};
use telemetry::{CancellationToken, backoff::Backoff};
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    Parts,
    kafka_watch::{KafkaWatch, Later},
    recovery::Recovery,
    relay::{self, Relay, Step},
};
use crate::{
    metrics::{CaptureMetrics, Moment},
    outbox::unix_micros,
    publisher::{self, Failure, SETTLING, StoodStill, TopicState},
    replication::{self, Frame, Stream},
};

/// The most frames that are taken before other things are looked at.
const BITE: usize = 1024;
/// How long the cluster may take to answer a question.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the reason of a failure may come after the failure.
const AFTERTHOUGHT: Duration = Duration::from_millis(300);
/// How long the answers to what has been sent are waited for, once an event was refused.
const ANSWERS: Duration = Duration::from_millis(500);
/// How long what is in flight may take at the end, and then the last confirmation.
const FLUSH: Duration = Duration::from_secs(6);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const GOODBYE: Duration = Duration::from_secs(2);

/// Why a stream has ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Postgres(#[from] replication::Error),
    #[error("{0}")]
    Kafka(String),
    /// What was read before belongs to whoever has the slot now.
    #[error("this process stood still for {0:?}; the slot may be another's")]
    Stopped(Duration),
    #[error(transparent)]
    Undelivered(#[from] Failure),
}

impl From<publisher::Error> for Error {
    fn from(error: publisher::Error) -> Self {
        match error {
            publisher::Error::Undelivered(failure) => Self::Undelivered(failure),
            publisher::Error::Uncommitted(reason) => Self::Kafka(reason),
        }
    }
}

/// What the metrics have already been told.
#[derive(Default)]
struct Counted {
    events: u64,
    bytes: u64,
    left_out: u64,
}

/// What the next frame waits for.
enum Waiting {
    /// Nothing: frames are read.
    No,
    /// The end of what an earlier relay had under way.
    ToBegin(Later<Result<Option<Position>, String>>),
    /// That the broker has all events below this number.
    ForRoom(u64),
    /// The end of a transaction.
    ForCommit,
    /// Word about a topic.
    ForTopic(String, Later<TopicState>),
    /// That more frames have come: they come fast, and are dearer one by one.
    ForMore(Instant),
    /// Another try.
    Until(Instant),
}

enum Wake {
    End,
    StatusDue,
    KafkaChanged,
    KafkaProbed(Result<(), String>),
    CommitDue,
    Begun(Result<Option<Position>, String>),
    TopicLookedUp(TopicState),
    TryAgain,
    ReadOn,
    Frame(Result<Frame, replication::Error>),
}

pub(super) struct Session<'a> {
    stream: Stream,
    relay: Relay<'a>,
    parts: &'a Parts,
    metrics: &'a CaptureMetrics,
    waiting: Waiting,
    /// Nobody else can write in this slot's name any more; without transactions there is no telling.
    begun: bool,
    /// The message that could not be dealt with yet.
    pending: Option<Bytes>,
    /// Something was acknowledged that has not been looked at.
    acknowledged: bool,
    counted: Counted,
    kafka: KafkaWatch<'a>,
    tries: Backoff,
    recovery: Recovery,
    /// All events below this number were in flight at that time.
    oldest: (u64, Instant),
}

impl<'a> Session<'a> {
    pub(super) fn new(
        stream: Stream,
        mut relay: Relay<'a>,
        recovery: Recovery,
        parts: &'a Parts,
        metrics: &'a CaptureMetrics,
    ) -> Self {
        let begun = relay.publisher.position_topic().is_none();
        relay.publisher.watch_the_clock();
        Self {
            stream,
            relay,
            parts,
            metrics,
            // Not a frame is taken before all is there that sending needs.
            waiting: if begun { Waiting::No } else { Waiting::Until(Instant::now()) },
            begun,
            pending: None,
            acknowledged: false,
            counted: Counted::default(),
            kafka: KafkaWatch::new(&parts.kafka),
            tries: Backoff::new(Duration::from_millis(200), Duration::from_secs(30)),
            recovery,
            oldest: (0, Instant::now()),
        }
    }

    /// Relays until the token is cancelled, which is the good end, or something fails.
    pub(super) async fn run(&mut self, shutdown: &CancellationToken) -> Result<(), Error> {
        match self.run_until(shutdown).await {
            Err(Error::Undelivered(failure)) if !failure.is_consequence => Err(Error::Undelivered(failure)),
            Err(error @ (Error::Kafka(_) | Error::Undelivered(_))) => Err(self.blame(error).await),
            ended => ended,
        }
    }

    /// What the producer says once an event was refused says less than the refusal, which may come a moment later.
    async fn blame(&mut self, consequence: Error) -> Error {
        let publisher = &self.relay.publisher;
        let refusal = async {
            loop {
                match publisher.failure() {
                    Some(failure) if !failure.is_consequence => return failure,
                    _ => publisher.changed().await,
                }
            }
        };
        timeout(AFTERTHOUGHT, refusal).await.map_or(consequence, Error::Undelivered)
    }

    async fn run_until(&mut self, shutdown: &CancellationToken) -> Result<(), Error> {
        loop {
            let wake = self.wake(shutdown).await;
            self.look_at_the_clock()?;
            match wake {
                Wake::End => return Ok(()),
                Wake::StatusDue => self.report().await?,
                Wake::KafkaChanged => self.kafka_changed()?,
                Wake::KafkaProbed(answer) => self.kafka.answered(answer, || probe(&self.relay)),
                Wake::CommitDue => {
                    self.commit()?;
                    self.make_room()?;
                }
                Wake::Begun(last) => self.begun(last.map_err(Error::Kafka)?)?,
                Wake::TopicLookedUp(state) => self.topic_looked_up(state)?,
                Wake::TryAgain => self.resume()?,
                Wake::ReadOn => self.waiting = Waiting::No,
                Wake::Frame(frame) => self.take(frame?).await?,
            }
        }
    }

    async fn wake(&mut self, shutdown: &CancellationToken) -> Wake {
        let status_due = match self.acknowledged {
            true => self.stream.confirmation_due(),
            false => self.stream.status_due(),
        };
        let commit_due = self.relay.publisher.commit_due(self.relay.progress.next_event());
        let commit = async {
            match commit_due {
                Some(due) => sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        let waited_for = async {
            match &mut self.waiting {
                Waiting::ToBegin(begun) => Wake::Begun(begun.await),
                Waiting::ForTopic(_, answer) => Wake::TopicLookedUp(answer.await),
                Waiting::ForMore(then) => {
                    sleep_until(*then).await;
                    Wake::ReadOn
                }
                Waiting::Until(then) => {
                    sleep_until(*then).await;
                    Wake::TryAgain
                }
                Waiting::ForRoom(_) | Waiting::ForCommit => std::future::pending().await,
                Waiting::No => Wake::Frame(self.stream.next().await),
            }
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Wake::End,
            () = sleep_until(status_due) => Wake::StatusDue,
            () = self.relay.publisher.changed() => Wake::KafkaChanged,
            answer = self.kafka.probed() => Wake::KafkaProbed(answer),
            () = commit => Wake::CommitDue,
            wake = waited_for => wake,
        }
    }

    fn look_at_the_clock(&mut self) -> Result<(), Error> {
        self.relay.publisher.look_at_the_clock().map_err(|StoodStill(time)| Error::Stopped(time))
    }

    /// No event is older than twice the time that passes here. The producer gives up an event that has become too old, and it
    /// alone: before that the stream is given up, with all that is in flight, so that none behind it overtakes its repetition.
    fn look_for_old_events(&mut self) -> Result<(), Error> {
        let (next, in_flight) = (self.relay.progress.next_event(), self.relay.progress.in_flight());
        if in_flight == 0 || next - in_flight >= self.oldest.0 {
            self.oldest = (next, Instant::now());
        }
        let waited = self.oldest.1.elapsed();
        if waited > self.relay.publisher.patience() {
            let seconds = waited.as_secs();
            return Err(Error::Kafka(format!("{in_flight} events in flight, none acknowledged for {seconds} s")));
        }
        Ok(())
    }

    /// Deals with a frame and with those that are here already.
    async fn take(&mut self, frame: Frame) -> Result<(), Error> {
        let mut next = Some(frame);
        for taken in 1.. {
            match next {
                None => {
                    if let Some(wait) = self.relay.publisher.lull(self.relay.progress.next_event()) {
                        self.waiting = Waiting::ForMore(Instant::now() + wait);
                    }
                    break;
                }
                Some(Frame::Data(message)) => self.deal_with(message)?,
                Some(Frame::Keepalive { wal_end, reply_wanted }) => {
                    self.settle()?;
                    self.relay.progress.idle_until(wal_end);
                    self.stream.confirm(self.relay.progress.confirmable());
                    if reply_wanted {
                        self.report().await?;
                    }
                }
            }
            if taken == BITE || !matches!(self.waiting, Waiting::No) {
                break;
            }
            next = self.stream.try_next()?;
        }
        Ok(())
    }

    fn deal_with(&mut self, message: Bytes) -> Result<(), Error> {
        let step = match self.relay.accept(&message) {
            Ok(step) => step,
            Err(relay::Error::Halt { row, commit }) => {
                self.parts.outbox.not_ready(format!("halted: {row} (commit {commit})"));
                self.pending = Some(message);
                self.waiting = Waiting::Until(Instant::now() + self.tries.next_wait());
                return Ok(());
            }
            Err(relay::Error::Publisher(reason)) => {
                // That may be why.
                self.look_at_the_clock()?;
                return Err(Error::Kafka(reason));
            }
            Err(error @ (relay::Error::Malformed(_) | relay::Error::Disorder(_))) => {
                return Err(replication::Error::Protocol(error.to_string()).into());
            }
        };
        match step {
            Step::Done => {}
            Step::Full => {
                // Not before a part of it is free again, so that there are few wake-ups.
                let (next, delivered) = (self.relay.progress.next_event(), self.relay.publisher.delivered());
                self.waiting = Waiting::ForRoom(delivered + ((next - delivered) / 4).max(1));
                self.pending = Some(message);
                self.make_room()?;
            }
            Step::Hurry => {
                self.relay.publisher.lull(self.relay.progress.next_event());
                self.waiting = Waiting::ForRoom(self.relay.publisher.delivered() + 1);
                self.pending = Some(message);
                self.make_room()?;
            }
            Step::Committing => {
                self.waiting = Waiting::ForCommit;
                self.pending = Some(message);
            }
            Step::Settling => {
                self.waiting = Waiting::Until(Instant::now() + SETTLING);
                self.pending = Some(message);
            }
            Step::UnknownTopic(topic) => {
                let answer =
                    Box::pin(self.relay.publisher.look_up(topic.clone(), PATIENCE, self.recovery.start.clone()));
                self.waiting = Waiting::ForTopic(topic, answer);
                self.pending = Some(message);
            }
        }
        Ok(())
    }

    /// Goes on with the message that had to wait.
    fn resume(&mut self) -> Result<(), Error> {
        self.waiting = Waiting::No;
        if let Some(topic) = self.relay.publisher.position_topic().filter(|_| !self.begun) {
            let answer = Box::pin(self.relay.publisher.look_up(topic.to_owned(), PATIENCE, None));
            self.waiting = Waiting::ForTopic(topic.to_owned(), answer);
            return Ok(());
        }
        if let Some(message) = self.pending.take() {
            self.deal_with(message)?;
        }
        if matches!(self.waiting, Waiting::No) {
            // No frame may come behind it for a while.
            self.relay.publisher.lull(self.relay.progress.next_event());
            self.parts.outbox.ready();
            self.tries.reset();
        }
        Ok(())
    }

    fn kafka_changed(&mut self) -> Result<(), Error> {
        self.acknowledged = true;
        if let Some(failure) = self.relay.publisher.failure() {
            return Err(failure.into());
        }
        if let Some(trouble) = self.relay.publisher.trouble() {
            self.kafka.complains(&trouble, || probe(&self.relay));
        }
        self.make_room()
    }

    /// Goes on when enough was delivered, or what is delivered is committed.
    fn make_room(&mut self) -> Result<(), Error> {
        if !matches!(self.waiting, Waiting::ForRoom(_) | Waiting::ForCommit) && !self.relay.publisher.is_committing() {
            return Ok(());
        }
        self.settle()?;
        let goes_on = match self.waiting {
            Waiting::ForRoom(below) => self.relay.publisher.delivered() >= below,
            Waiting::ForCommit => !self.relay.publisher.is_committing(),
            _ => false,
        };
        if goes_on { self.resume() } else { Ok(()) }
    }

    /// Ends the open transaction; what is delivered already may be all of it.
    fn commit(&mut self) -> Result<(), Error> {
        self.relay.publisher.commit(self.relay.progress.next_event())?;
        Ok(())
    }

    /// What another had under way is void.
    fn begun(&mut self, last: Option<Position>) -> Result<(), Error> {
        match &last {
            Some(last) if self.relay.was_committed(last, self.stream.wal_end()) => {
                tracing::info!(position = %last, "Kafka holds all events up to here");
            }
            Some(last) => tracing::info!(position = %last, "the last transaction's position is of no use here"),
            None => {}
        }
        self.begun = true;
        self.kafka.has_waited();
        self.resume()
    }

    fn topic_looked_up(&mut self, state: TopicState) -> Result<(), Error> {
        let Waiting::ForTopic(topic, _) = std::mem::replace(&mut self.waiting, Waiting::No) else { return Ok(()) };
        if !self.begun && matches!(state, TopicState::There(_)) {
            self.kafka.waits_for("the end of an earlier relay's transactions");
            self.waiting = Waiting::ToBegin(Box::pin(self.relay.publisher.begin()));
            return Ok(());
        }
        let state = match state {
            TopicState::There(found) => self.recovery.judge(&topic, found),
            state => state,
        };
        self.kafka.topic(&topic, &state);
        if let TopicState::There(found) = state {
            if !found.is_empty() {
                tracing::info!(topic, events = found.len(), "already on the topic, not to be sent again");
            }
            self.relay.topic_is_there(topic, found);
            return self.resume();
        }
        self.waiting = Waiting::Until(Instant::now() + self.tries.next_wait());
        Ok(())
    }

    /// Takes up what was acknowledged.
    fn settle(&mut self) -> Result<(), Error> {
        self.acknowledged = false;
        let progress = &mut self.relay.progress;
        let before = progress.next_event() - progress.in_flight();
        let upto = self.relay.publisher.acknowledged(progress.next_event())?;
        progress.acknowledged(upto);
        self.stream.confirm(progress.confirmable());
        if upto > before || progress.in_flight() == 0 {
            self.kafka.advanced();
        }
        Ok(())
    }

    /// Tells the server what is delivered, and the operator how things are.
    async fn report(&mut self) -> Result<(), Error> {
        self.settle()?;
        if !matches!(self.waiting, Waiting::No) {
            self.stream.not_listening();
        }
        self.stream.send_status().await?;
        self.count();
        self.kafka.check(self.relay.progress.in_flight());
        self.look_for_old_events()
    }

    fn count(&mut self) {
        let progress = &self.relay.progress;
        let (events, bytes) = (progress.next_event() - progress.in_flight(), self.relay.publisher.delivered_bytes());
        let left_out = self.relay.left_out();
        self.metrics.set(&Moment {
            events: events.saturating_sub(self.counted.events),
            bytes: bytes.saturating_sub(self.counted.bytes),
            left_out: left_out - self.counted.left_out,
            in_flight: progress.in_flight(),
            confirmed: self.stream.confirmed(),
            wal_end: self.stream.wal_end(),
            oldest: progress.oldest().map(unix_micros),
        });
        self.counted = Counted { events, bytes, left_out };
    }

    /// The position that is confirmed, or will be with the next status.
    pub(super) fn confirmed(&self) -> Lsn {
        self.stream.confirmed()
    }

    /// Waits, within bounds, for what is in flight, and tells the server the last position.
    pub(super) async fn finish(mut self) -> Result<(), Error> {
        let deadline = Instant::now() + FLUSH;
        loop {
            self.commit()?;
            self.settle()?;
            let in_flight = self.relay.progress.in_flight();
            if in_flight == 0 {
                break;
            }
            if Instant::now() > deadline {
                tracing::warn!(events = in_flight, "not acknowledged in time; they will be repeated");
                // Not beside another relay, which can have the slot in a moment.
                self.relay.publisher.purge();
                break;
            }
            // The client may free its queue without a word, too.
            _ = timeout(LOOK_EVERY, self.relay.publisher.changed()).await;
        }
        self.count();
        self.stream.finish(GOODBYE).await?;
        self.relay.publisher.discard().await;
        Ok(())
    }

    /// Gives up the stream, for this reason, and drops what the producer holds. Gives whether something was learnt by it,
    /// so that it may go better at once.
    pub(super) async fn abandon(mut self, error: &Error) -> bool {
        // What is on its way to a partition may lie behind what is read back there next. Only while the slot is held.
        if matches!(error, Error::Undelivered(failure) if failure.is_unpublishable) {
            self.relay.publisher.wind_down(ANSWERS).await;
        }
        // Before another can have the slot: a look-up that is under way may keep the producer alive for a while.
        self.relay.publisher.purge();
        drop(self.stream);
        let learnt = matches!(error, Error::Undelivered(failure) if self.relay.learn(failure));
        self.relay.publisher.discard().await;
        learnt
    }
}

fn probe(relay: &Relay<'_>) -> Later<Result<(), String>> {
    Box::pin(relay.publisher.probe(relay.known_topic(), PATIENCE))
}
