//! Waiting for a slot that another relay has.
//!
//! The connection stays open and the cluster is asked again and again, so that taking over is one statement away. All
//! that is verified before streaming is verified each time: a standby that says that it is ready could take over now.

use std::time::Duration;

use telemetry::backoff::Backoff;

use super::{Capture, PATIENCE};
use crate::{
    publisher::Publisher,
    replication::{self, Connection, Server, Slot, verify},
};

/// How often the slot is asked for: within a second of its being free.
pub(super) fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(100), Duration::from_secs(1))
}

impl Capture {
    /// Waits until nobody has the slot, and gives it as it is then.
    pub(super) async fn free_slot(
        &self,
        connection: &mut Connection,
        server: &Server,
        publisher: &Publisher,
    ) -> Result<Slot, replication::Error> {
        let (name, publication, format) = (&self.settings.slot, &self.settings.publication, &self.settings.format);
        let mut tries = backoff();
        loop {
            let slot = verify(connection, server, name, publication, format).await?;
            let Some(pid) = slot.active_pid else { return Ok(slot) };
            // As the server itself says it when the slot is taken between this question and the start.
            self.stand_by(&format!("replication slot \"{name}\" is active for PID {pid}"));
            tokio::join!(tokio::time::sleep(tries.next_wait()), self.look_for_kafka(publisher));
        }
    }

    /// Says that another relay has the slot: what a standby is for, or else what someone has to look at.
    pub(super) fn stand_by(&self, reason: &str) {
        if self.settings.standby {
            self.parts.postgres.ready_as(format!("standby: {reason}"));
            self.parts.outbox.ready();
        } else {
            let remedy = "stop that relay, or give this one --standby if it is meant to wait for it";
            self.parts.postgres.not_ready(format!("standby: {reason}: {remedy}"));
        }
    }

    async fn look_for_kafka(&self, publisher: &Publisher) {
        match publisher.reach(PATIENCE).await {
            Ok(()) => self.parts.kafka.ready(),
            Err(trouble) => self.parts.kafka.not_ready(format!("Kafka: {trouble}")),
        }
    }
}
