//! What the health part `inbox.{handler}` says: the first of several reasons not to be ready.

use std::{
    mem,
    sync::{Mutex, PoisonError},
};

use telemetry::health::{Health, Part};

use crate::{Halt, owner::Owner};

/// The facts that readiness comes from.
pub(crate) struct Status {
    part: Part,
    facts: Mutex<Facts>,
}

#[derive(Default)]
struct Facts {
    /// Why the database is not served, if so.
    database: Option<String>,
    /// Why Kafka is not read, if so.
    kafka: Option<String>,
    /// Which partitions stand still because too much is parked, if any.
    full: Option<String>,
    /// How many partitions this instance has; none before the first assignment.
    partitions: Option<usize>,
}

impl Status {
    pub(crate) fn new(health: &Health, owner: Owner) -> Self {
        Self { part: health.part(format!("inbox.{owner}")), facts: Mutex::default() }
    }

    /// The database works, or why not.
    pub(crate) fn database(&self, trouble: Option<String>) {
        self.change(|facts| mem::replace(&mut facts.database, trouble) != facts.database);
    }

    /// Kafka works, or why not.
    pub(crate) fn kafka(&self, trouble: Option<String>) {
        self.change(|facts| mem::replace(&mut facts.kafka, trouble) != facts.kafka);
    }

    /// The group has given this instance so many partitions, and it knows where each goes on. A rebalance afterwards
    /// takes no readiness away: all instances would lose it at the same moment. Some may stand still, and why.
    pub(crate) fn assigned(&self, partitions: usize, full: Option<String>) {
        self.change(|facts| {
            *facts = Facts { partitions: Some(partitions), full, ..Facts::default() };
            true
        });
    }

    /// It has stopped for good.
    pub(crate) fn halted(&self, halt: &Halt) {
        self.part.not_ready(halt.to_string());
    }

    /// It stands still until this command has been run.
    pub(crate) fn waits_for(&self, command: &str, halt: &Halt) {
        self.part.not_ready(format!("{halt}: `{command}`"));
    }

    /// It was told to stop.
    pub(crate) fn stopped(&self) {
        self.part.stopped();
    }

    /// Changes the facts and says what they come to, unless nothing has changed.
    fn change(&self, change: impl FnOnce(&mut Facts) -> bool) {
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        if !change(&mut facts) {
            return;
        }
        match &*facts {
            Facts { database: Some(trouble), .. } => self.part.not_ready(format!("PostgreSQL: {trouble}")),
            Facts { kafka: Some(trouble), .. } => self.part.not_ready(format!("Kafka: {trouble}")),
            Facts { partitions: None, .. } => self.part.not_ready("joining the consumer group"),
            Facts { full: Some(remedy), .. } => self.part.not_ready(remedy.clone()),
            Facts { partitions: Some(0), .. } => self.part.ready_as("standby: other instances have all partitions"),
            Facts { partitions: Some(_), .. } => self.part.ready(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_when_nothing_is_in_the_way() {
        let health = Health::new();
        let status = Status::new(&health, Owner { handler: "accounts", generation: 1 });
        let says = || {
            let state = health.report().parts["inbox.accounts"].clone();
            (state.ready, state.reason.unwrap_or_default())
        };
        status.kafka(Some("no broker answers".into()));
        assert_eq!(says(), (false, "Kafka: no broker answers".into()));
        status.kafka(None);
        assert_eq!(says(), (false, "joining the consumer group".into()));
        status.assigned(2, None);
        assert_eq!(says(), (true, String::new()));
        status.kafka(Some("gone".into()));
        status.database(Some("gone too".into()));
        assert_eq!(says(), (false, "PostgreSQL: gone too".into()));
        status.database(None);
        assert_eq!(says(), (false, "Kafka: gone".into()));
        status.assigned(2, Some("too much is parked".into()));
        assert_eq!(says(), (false, "too much is parked".into()));
        status.assigned(0, None);
        assert_eq!(says(), (true, "standby: other instances have all partitions".into()));
    }
}
