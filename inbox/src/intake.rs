//! From the start of an intake to its end: what it needs is waited for, and a session in the group follows another as long
//! as that makes sense.

use std::{mem, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use rdkafka::error::KafkaError;
use telemetry::{CancellationToken, backoff::Backoff};
use tokio::sync::watch;

use crate::{
    Applied, Halt, Handler, Intake, Reached, Share, cluster, consumer::Subscription, dead_letter::DeadLetters,
    metrics::Meters, obstacle::Obstacle, offsets::Offsets, owner::Owner, parked::Parked, session::Session,
    span::Tracing, status::Status, topics::Topics,
};

/// Runs the handler until the token is cancelled. `applied` is told after each commit.
///
/// The health part is there, and not ready, from the call on, before the future is first polled: a service that starts
/// its intakes late is not ready meanwhile.
///
/// Dropping the future instead loses and repeats nothing; the group is left within the drop, which blocks as long as a
/// request to the broker takes.
///
/// # Errors
/// When going on would lose or repeat an effect; the health part says why too.
pub fn run<H: Handler>(
    handler: H,
    intake: Intake,
    applied: Applied,
    shutdown: CancellationToken,
) -> impl Future<Output = Result<(), Halt>> + Send {
    start(handler, intake, applied, None, shutdown)
}

/// The same, or alone where there is somebody to tell how far it has come.
pub(crate) fn start<H: Handler>(
    handler: H,
    intake: Intake,
    applied: Applied,
    alone: Option<(Share, watch::Sender<Reached>)>,
    shutdown: CancellationToken,
) -> impl Future<Output = Result<(), Halt>> + Send {
    let owner = Owner::of(&handler);
    let meters = Arc::new(Meters::register(&intake.metrics, owner));
    applied.intakes.add(owner, &meters);
    let group = format!("{}{}.{owner}", intake.kafka.topic_prefix, intake.service);
    let setting = Setting {
        topics: Arc::new(Topics::new(handler.topics(), &intake.kafka)),
        offsets: Offsets::new(&intake.schema, owner, handler.insert()),
        parked: Parked::new(&intake.schema, owner),
        dead_letters: DeadLetters::new(&intake.schema, owner),
        tracing: Tracing { enabled: intake.trace_messages, group },
        meters,
        status: Status::new(&intake.health, owner),
        handler,
        intake,
        applied,
        alone,
        shutdown,
    };
    async move {
        match AssertUnwindSafe(setting.run()).catch_unwind().await {
            Ok(ended) => ended,
            Err(_) => {
                setting.status.halted(&Halt::Crashed);
                Err(Halt::Crashed)
            }
        }
    }
}

/// How often it is looked whether offsets that did not fit have been replaced.
const LOOK: Duration = Duration::from_secs(5);

/// Why a session ends other than by shutdown.
pub(crate) enum End {
    /// For good.
    Halt(Halt),
    /// This client is of no use any more; another one may be.
    Lost(String),
}

impl From<Halt> for End {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

impl From<KafkaError> for End {
    fn from(error: KafkaError) -> Self {
        Self::Lost(error.to_string())
    }
}

/// What outlives a session.
pub(crate) struct Setting<H> {
    pub(crate) handler: H,
    pub(crate) intake: Intake,
    pub(crate) applied: Applied,
    /// Which share an intake without a group has, and who is told how far it has come; none in a group.
    pub(crate) alone: Option<(Share, watch::Sender<Reached>)>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) topics: Arc<Topics>,
    pub(crate) offsets: Offsets,
    pub(crate) parked: Parked,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) tracing: Tracing,
    pub(crate) meters: Arc<Meters>,
    pub(crate) status: Status,
}

impl<H: Handler> Setting<H> {
    /// One session after another, until one is the last.
    async fn run(&self) -> Result<(), Halt> {
        let (mut backoff, mut waits_for) = (Backoff::for_connecting(), None);
        let ended = loop {
            match self.session().await {
                Ok(()) => break Ok(()),
                // Who fills something alone is told that it has ended.
                Err(End::Halt(halt)) if self.alone.is_some() || !halt.is_mended_by_rebuilding() => break Err(halt),
                Err(End::Halt(halt)) => {
                    let command = self.remedy();
                    self.status.waits_for(&command, &halt);
                    // Where a topic ends changes from look to look.
                    if waits_for.replace(mem::discriminant(&halt)) != Some(mem::discriminant(&halt)) {
                        tracing::error!(handler = self.handler.name(), error = %halt, command, "standing still");
                    }
                    backoff = Backoff::new(LOOK, LOOK);
                }
                Err(End::Lost(reason)) => self.status.kafka(Some(reason)),
            }
            self.pause(&mut backoff).await;
        };
        match &ended {
            Ok(()) => self.status.stopped(),
            Err(halt) => self.status.halted(halt),
        }
        ended
    }

    /// The command after which the handler begins anew.
    fn remedy(&self) -> String {
        let restart = || format!("{} inbox restart --handler {}", self.intake.service, self.handler.name());
        self.handler.rebuilt_by().unwrap_or_else(restart)
    }

    /// From joining the group to leaving it.
    async fn session(&self) -> Result<(), End> {
        let subscription =
            Subscription::connect(&self.intake.kafka, &self.tracing.group, &self.topics, self.alone.is_some())
                .map_err(|error| Halt::Settings(telemetry::kafka::reason(&error)))?;
        let client = subscription.member.client();
        let checked = tokio::select! {
            checked = self.overcome(|| cluster::check(client.clone(), self.topics.clone())) => checked,
            never = subscription.member.listen() => match never {},
        };
        drop(client);
        let ended = match checked {
            Ok(Some(())) => return self.joined(subscription).await,
            Ok(None) => Ok(()),
            Err(halt) => Err(End::Halt(halt)),
        };
        self.leave(subscription).await;
        ended
    }

    async fn joined(&self, subscription: Subscription) -> Result<(), End> {
        if self.alone.is_none() {
            subscription.member.join()?;
        }
        let mut session = Session::new(self, subscription);
        let ended = session.run().await;
        self.leave(session.subscription).await;
        ended
    }

    /// Asks until there is an answer, saying meanwhile why not. `None` when the intake is to stop first.
    pub(crate) async fn overcome<T, F>(&self, question: impl Fn() -> F) -> Result<Option<T>, Halt>
    where
        F: Future<Output = Result<T, Obstacle>>,
    {
        let mut backoff = Backoff::for_connecting();
        while !self.shutdown.is_cancelled() {
            let answer = tokio::select! {
                answer = question() => answer,
                () = self.shutdown.cancelled() => break,
            };
            match answer {
                Ok(answer) => {
                    self.status.kafka(None);
                    self.status.database(None);
                    return Ok(Some(answer));
                }
                Err(Obstacle::Halt(halt)) => return Err(halt),
                Err(Obstacle::Kafka(reason) | Obstacle::Topic(reason)) => self.status.kafka(Some(reason)),
                Err(Obstacle::Database(reason)) => self.status.database(Some(reason)),
            }
            self.pause(&mut backoff).await;
        }
        Ok(None)
    }

    /// Tells that anything of what the handler fills may have changed.
    pub(crate) async fn tell_anything(&self) -> Result<(), Obstacle> {
        let client = self.intake.pool.get().await?;
        Ok(self.handler.tell(&client, None).await?)
    }

    /// Leaves the group, on a thread that may block. Nobody waits for a client that is in none.
    async fn leave(&self, subscription: Subscription) {
        let left = tokio::task::spawn_blocking(move || drop(subscription));
        if self.alone.is_none() {
            // Fails only when the runtime is going away, and then nobody is left to be told.
            let _ = left.await;
        }
    }

    /// Waits before the next try, or until the intake is to stop.
    pub(crate) async fn pause(&self, backoff: &mut Backoff) {
        tokio::select! {
            () = tokio::time::sleep(backoff.next_wait()) => {}
            () = self.shutdown.cancelled() => {}
        }
    }
}
