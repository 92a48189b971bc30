//! A slot that is missing or lost, when that is to be repaired: how a resync's end, good or bad, is said.

use std::time::Duration;

use telemetry::CancellationToken;
use tokio::time::Instant;

use super::{Capture, session};
use crate::{
    publisher::Publisher,
    replication::Finding,
    resync::{Error, Resync},
};

/// What was refused is not looked at again for so long: that reads whole topics.
const REFUSED_FOR: Duration = Duration::from_secs(600);

/// Someone has to decide.
pub(super) struct Refused {
    since: Instant,
    reason: String,
}

impl Capture {
    /// Replaces the slot, and gives how long to wait before the next try to stream.
    pub(super) async fn resync(
        &mut self,
        lost: &Finding,
        publisher: Publisher,
        shutdown: &CancellationToken,
    ) -> Duration {
        let problem = &lost.problem;
        if let Some(refused) = self.refused.as_ref().filter(|refused| refused.since.elapsed() < REFUSED_FOR) {
            publisher.discard().await;
            self.parts.postgres.not_ready(&refused.reason);
            return self.halted.next_wait();
        }
        tracing::warn!(slot = %self.settings.slot, problem, "resync: what Kafka lacks is published from the tables");
        let part = &self.parts.postgres;
        let tell = |text: &str| part.not_ready(format!("resync: {problem}: {text}"));
        let resync = Resync {
            settings: &self.settings,
            endpoints: &self.endpoints,
            even_if_free: false,
            accept_gaps: false,
            tell: &tell,
        };
        let error = match resync.run(publisher, shutdown).await {
            Ok(done) => {
                tracing::warn!(slot = %self.settings.slot, "resync: {done}");
                self.metrics.resyncs.inc();
                self.metrics.resync_events.inc_by(done.published);
                for (class, rows) in done.set_aside {
                    self.metrics.dead_letters.count(class, rows);
                }
                self.refused = None;
                return Duration::ZERO;
            }
            Err(error) => error,
        };
        match error {
            Error::NotNeeded | Error::Interrupted => Duration::ZERO,
            Error::Postgres(error) => self.wait_after(&session::Error::Postgres(error)),
            Error::RightLost => self.connecting.next_wait(),
            Error::Kafka(reason) => self.wait_after(&session::Error::Kafka(reason)),
            Error::Undelivered(failure) => self.wait_after(&session::Error::Undelivered(failure)),
            Error::Stopped(still) => self.wait_after(&session::Error::Stopped(still)),
            Error::Halt { .. } | Error::TooMany => {
                self.parts.outbox.not_ready(format!("halted: {error}"));
                self.halted.next_wait()
            }
            Error::Refused(_) | Error::Unconfirmed => {
                let reason = format!("resync halted: {problem}: {error}");
                self.parts.postgres.not_ready(&reason);
                self.refused = Some(Refused { since: Instant::now(), reason });
                self.halted.next_wait()
            }
        }
    }
}
