//! How the `kafka` part of the health report comes about while a slot is streamed: the client's complaints, asked about
//! until the cluster answers again; a topic that is missing; acknowledgements that do not come.

use std::{pin::Pin, time::Duration};

use telemetry::health::Part;
use tokio::time::Instant;

use crate::publisher::TopicState;

/// With events in flight and no acknowledgement for so long, the relay is not ready.
const STALLED: Duration = Duration::from_secs(10);

/// An answer that is waited for beside other things.
pub(super) type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(super) struct KafkaWatch<'a> {
    part: &'a Part,
    probe: Option<Later<Result<(), String>>>,
    advanced: Instant,
    stalled: bool,
    /// What nothing can be sent without.
    lacks: Option<String>,
}

impl<'a> KafkaWatch<'a> {
    pub(super) fn new(part: &'a Part) -> Self {
        Self { part, probe: None, advanced: Instant::now(), stalled: false, lacks: None }
    }

    /// The client complains; `probe` will tell whether the cluster answers.
    pub(super) fn complains(&mut self, trouble: &str, probe: impl FnOnce() -> Later<Result<(), String>>) {
        if self.probe.is_none() {
            self.part.not_ready(format!("Kafka: {trouble}"));
            self.probe = Some(probe());
        }
    }

    /// The probe's answer; never, when there is no probe.
    pub(super) async fn probed(&mut self) -> Result<(), String> {
        match &mut self.probe {
            Some(probe) => probe.await,
            None => std::future::pending().await,
        }
    }

    /// Takes up the probe's answer. The next probe waits for the cluster by itself, so it can be put at once.
    pub(super) fn answered(&mut self, answer: Result<(), String>, probe: impl FnOnce() -> Later<Result<(), String>>) {
        self.probe = None;
        match answer {
            Ok(()) => self.is_well(),
            Err(trouble) => self.complains(&trouble, probe),
        }
    }

    /// Word about a topic has come.
    pub(super) fn topic(&mut self, topic: &str, state: &TopicState) {
        self.lacks = match state {
            TopicState::There(_) => None,
            TopicState::Missing(reason) => {
                Some(format!("Kafka: topic {topic}: {reason}: create it or permit writing to it"))
            }
            TopicState::Unknown(reason) => Some(format!("Kafka: topic {topic}: {reason}")),
        };
        self.is_well();
    }

    /// Nothing can be sent before the cluster has done this.
    pub(super) fn waits_for(&mut self, what: &str) {
        self.lacks = Some(format!("Kafka: waits for {what}"));
        self.is_well();
    }

    /// The cluster has done it.
    pub(super) fn has_waited(&mut self) {
        self.lacks = None;
        self.is_well();
    }

    /// Something was acknowledged, or there is nothing to be.
    pub(super) fn advanced(&mut self) {
        self.advanced = Instant::now();
        if std::mem::take(&mut self.stalled) {
            self.is_well();
        }
    }

    /// Looks at the time.
    pub(super) fn check(&mut self, in_flight: u64) {
        let silence = self.advanced.elapsed();
        if in_flight > 0 && silence > STALLED {
            let seconds = silence.as_secs();
            self.part.not_ready(format!("Kafka: {in_flight} events in flight, none acknowledged for {seconds} s"));
            self.stalled = true;
        }
    }

    /// The cluster answers; all is well unless something is missing.
    fn is_well(&self) {
        match &self.lacks {
            None => self.part.ready(),
            Some(reason) => self.part.not_ready(reason),
        }
    }
}
