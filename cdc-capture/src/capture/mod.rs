//! The relay: streams a slot, publishes its rows, confirms what was acknowledged; again and again until told to end.
//!
//! Guarantees: at least once, in commit order per key. Whatever fails, streaming starts again from the position that the
//! server has as confirmed, and that is never past an event which Kafka has not acknowledged. What can only be repaired
//! by someone is said in the health report and tried again; only settings that can never work end the run.
//!
//! ```text
//!   slot ──frames──▶ session ──message──▶ relay ──event──▶ publisher ──▶ Kafka
//!    ▲                  │                   ▲                  │
//!    └────── status ────┴──── progress ◀────┴─ acknowledgement ┘
//! ```

mod dead_letters;
mod kafka_watch;
mod lost_slot;
mod recovery;
mod relay;
mod session;
mod standby;
mod suspects;

use std::time::Duration;

use contracts::envelope::Lsn;
use telemetry::{
    CancellationToken,
    backoff::Backoff,
    health::{Health, Part},
    metrics::Metrics,
};
use tokio::time::Instant;

use crate::{
    delivery::Delivery,
    metrics::CaptureMetrics,
    publisher::{LONGEST_DELIVERY, Publisher, Start, UnusableSettings},
    replication::{self, Connection, Endpoint, Server, UnusableTls, verify},
    settings::{LostSlot, Settings},
};
use dead_letters::DeadLetters;
use lost_slot::Refused;
use recovery::Recovery;
use relay::Relay;
use session::Session;

/// How long the cluster may take to answer a question.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the producer waits for more at most, where events are sent few at a time.
const SHORT_LINGER: Duration = Duration::from_millis(1);
/// A stream that has lasted so long was a good one: the next trouble is a new one.
const GOOD: Duration = Duration::from_secs(10);

/// Settings that can never work. Everything else is waited for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Those of the database connection.
    #[error("database: {0}")]
    Database(#[from] UnusableTls),
    /// Those of the Kafka client.
    #[error("Kafka: {0}")]
    Kafka(#[from] UnusableSettings),
}

/// The parts of the health report.
struct Parts {
    postgres: Part,
    kafka: Part,
    outbox: Part,
}

/// Relays until the token is cancelled; then what is in flight is flushed and confirmed, in bounded time.
///
/// # Errors
/// When the settings can never work.
pub async fn run(
    settings: Settings,
    health: Health,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let parts = Parts { postgres: health.part("postgres"), kafka: health.part("kafka"), outbox: health.part("outbox") };
    let endpoints = Endpoint::all(&settings.database)?;
    let metrics = CaptureMetrics::registered(&metrics);
    let dead_letter_topic = settings.dead_letter_topic.as_ref().map(|topic| settings.kafka.topic(topic));
    let mut capture = Capture {
        endpoints,
        parts,
        dead_letters: DeadLetters::new(dead_letter_topic, metrics.dead_letters.clone()),
        metrics,
        last: None,
        connecting: Backoff::for_connecting(),
        standby: standby::backoff(),
        halted: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
        refused: None,
        settings,
    };
    while !shutdown.is_cancelled() {
        let wait = capture.stream_once(&shutdown).await?;
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
    Ok(())
}

struct Capture {
    settings: Settings,
    endpoints: Vec<Endpoint>,
    parts: Parts,
    metrics: CaptureMetrics,
    dead_letters: DeadLetters,
    /// The server of the last stream and what was confirmed to it.
    last: Option<(Server, Lsn)>,
    connecting: Backoff,
    standby: Backoff,
    halted: Backoff,
    refused: Option<Refused>,
}

impl Capture {
    /// Streams until something fails, and gives how long to wait before the next try.
    async fn stream_once(&mut self, shutdown: &CancellationToken) -> Result<Duration, Error> {
        let mut publisher = self.publisher(LONGEST_DELIVERY, None)?;
        let prepared = tokio::select! {
            () = shutdown.cancelled() => {
                publisher.discard().await;
                return Ok(Duration::ZERO);
            }
            (prepared, ()) = async { tokio::join!(self.connect(), self.reach(&publisher)) } => prepared,
        };
        let started = match prepared {
            Ok(connection) => tokio::select! {
                () = shutdown.cancelled() => {
                    publisher.discard().await;
                    return Ok(Duration::ZERO);
                }
                started = self.start(connection, &publisher) => started,
            },
            Err(error) => Err(error),
        };
        let (stream, server) = match started {
            Ok(started) => started,
            Err(replication::Error::LostSlot(lost)) if self.settings.lost_slot == LostSlot::Resync => {
                return Ok(self.resync(&lost, publisher, shutdown).await);
            }
            Err(error) => {
                publisher.discard().await;
                return Ok(self.wait_after(&error.into()));
            }
        };
        self.parts.postgres.ready_as("active");
        self.parts.outbox.ready();
        // What is not delivered by the time that the server gives the slot to another relay never may be: this process
        // may be stopped now and wake up then. The server counts from the last status, which may be a fifth of it old.
        let longest = (stream.patience() * 2 / 3).min(LONGEST_DELIVERY);
        if longest < LONGEST_DELIVERY || self.settings.delivery != Delivery::AtLeastOnce {
            let former = std::mem::replace(&mut publisher, self.publisher(longest, Some(&server))?);
            former.discard().await;
        }
        let confirmed = stream.confirmed();
        self.compare_with_last(&server, confirmed);
        tracing::info!(
            slot = %self.settings.slot, confirmed = %confirmed, system = server.system, timeline = server.timeline,
            "streaming"
        );

        let relay =
            Relay::new(server.clone(), self.settings.router(&server), confirmed, publisher, &mut self.dead_letters);
        let start = self.settings.read_back.then(|| Start { server: server.clone(), confirmed });
        let recovery = Recovery { start, other_history: self.settings.other_history };
        let mut session = Session::new(stream, relay, recovery, &self.parts, &self.metrics);
        let began = Instant::now();
        self.metrics.active(true);
        let ended = session.run(shutdown).await;
        self.metrics.active(false);
        self.last = Some((server, session.confirmed()));
        let error = match ended {
            Ok(()) => {
                if let Err(error) = session.finish().await {
                    tracing::warn!(%error, "the end was not a clean one; what was not confirmed will be repeated");
                }
                return Ok(Duration::ZERO);
            }
            Err(error) => error,
        };
        let learnt = session.abandon(&error).await;
        self.metrics.reconnects.inc();
        if began.elapsed() > GOOD {
            self.connecting.reset();
            self.standby.reset();
            self.halted.reset();
        }
        Ok(if learnt { Duration::ZERO } else { self.wait_after(&error) })
    }

    /// A producer, for looking around or, with the server whose slot was taken, for events.
    fn publisher(&self, longest_delivery: Duration, server: Option<&Server>) -> Result<Publisher, UnusableSettings> {
        let linger = self.settings.linger;
        // Where few events are in flight, each would wait for it.
        let linger = if self.dead_letters.are_sought() { SHORT_LINGER.min(linger) } else { linger };
        self.settings.publisher(linger, longest_delivery, server)
    }

    /// A verified connection that is not streaming.
    async fn connect(&self) -> Result<(Connection, Server), replication::Error> {
        let mut connection = Connection::open(&self.endpoints).await?;
        let server = connection.identify().await?;
        verify(&mut connection, &server, &self.settings.slot, &self.settings.publication, &self.settings.format)
            .await?;
        Ok((connection, server))
    }

    /// Starts streaming once no other relay has the slot, from where it is then.
    async fn start(
        &self,
        (mut connection, server): (Connection, Server),
        publisher: &Publisher,
    ) -> Result<(replication::Stream, Server), replication::Error> {
        let (slot, publication) = (&self.settings.slot, &self.settings.publication);
        let format = &self.settings.format;
        let state = self.free_slot(&mut connection, &server, publisher).await?;
        let messages = format.message_prefix.is_some();
        let stream = connection.start(slot, publication, messages, &state).await?;
        Ok((stream, server))
    }

    /// Waits until the cluster answers.
    async fn reach(&self, publisher: &Publisher) {
        let mut backoff = Backoff::for_connecting();
        while let Err(trouble) = publisher.reach(PATIENCE).await {
            self.parts.kafka.not_ready(format!("Kafka: {trouble}"));
            tokio::time::sleep(backoff.next_wait()).await;
        }
        self.parts.kafka.ready();
    }

    /// Says what another server, another timeline or a slot that went back means. The rows between come again, and
    /// those that Kafka already has are left out.
    fn compare_with_last(&self, server: &Server, confirmed: Lsn) {
        let Some((last_server, last_confirmed)) = &self.last else { return };
        if (last_server.system, last_server.timeline) != (server.system, server.timeline) {
            tracing::warn!(
                system = server.system,
                timeline = server.timeline,
                "another server or timeline than before: positions cannot be compared with earlier ones"
            );
        } else if confirmed < *last_confirmed {
            tracing::warn!(%confirmed, before = %last_confirmed, "the slot is behind what was confirmed");
        }
    }

    /// Says what is wrong, and how long to wait.
    fn wait_after(&mut self, error: &session::Error) -> Duration {
        match error {
            session::Error::Postgres(replication::Error::SlotInUse(reason)) => {
                self.stand_by(reason);
                self.standby.next_wait()
            }
            session::Error::Postgres(error) => {
                self.parts.postgres.not_ready(error.to_string());
                self.connecting.next_wait()
            }
            session::Error::Stopped(_) => {
                self.parts.postgres.not_ready(error.to_string());
                self.connecting.next_wait()
            }
            session::Error::Kafka(reason) => {
                self.parts.kafka.not_ready(format!("Kafka: {reason}"));
                self.connecting.next_wait()
            }
            session::Error::Undelivered(failure) if failure.is_unpublishable => {
                self.parts.outbox.not_ready(format!("halted: {failure} (position {})", failure.position));
                self.halted.next_wait()
            }
            session::Error::Undelivered(failure) => {
                self.parts.kafka.not_ready(format!("Kafka: {failure}"));
                self.connecting.next_wait()
            }
        }
    }
}
