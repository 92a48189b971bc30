//! Readiness: what a service depends on, and for each part whether it is there, with the reason when it is not.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio::sync::watch;

/// The states of all parts of one service. Cheap to clone; all clones share them.
#[derive(Clone, Default)]
pub struct Health {
    parts: watch::Sender<BTreeMap<String, State>>,
}

/// Whether a part is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    /// Whether it is.
    pub ready: bool,
    /// Why not; or, of a part that is ready, what one may want to know (`standby`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What `/readyz` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether there are parts and all of them are ready: a service that has none yet has just begun to start.
    pub ready: bool,
    /// Each part's state, by name.
    pub parts: BTreeMap<String, State>,
}

impl Health {
    /// No parts yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part, not ready until it says so.
    pub fn part(&self, name: impl Into<String>) -> Part {
        let part = Part { name: name.into(), health: self.clone() };
        part.set(State { ready: false, reason: Some("starting".to_owned()) });
        part
    }

    /// All states at this moment.
    pub fn report(&self) -> Report {
        Report::of(&self.parts.borrow())
    }

    /// Waits until there are parts and all of them are ready.
    pub async fn until_ready(&self) {
        // The sender lives in self: waiting for it cannot fail.
        let _ = self.parts.subscribe().wait_for(|parts| Report::of(parts).ready).await;
    }
}

impl Report {
    fn of(parts: &BTreeMap<String, State>) -> Self {
        Self { ready: !parts.is_empty() && parts.values().all(|state| state.ready), parts: parts.clone() }
    }
}

/// One part's handle on its own state.
#[derive(Clone)]
pub struct Part {
    name: String,
    health: Health,
}

impl Part {
    /// It is ready.
    pub fn ready(&self) {
        self.change(State { ready: true, reason: None });
    }

    /// It is ready, and this is worth saying.
    pub fn ready_as(&self, note: impl Into<String>) {
        self.change(State { ready: true, reason: Some(note.into()) });
    }

    /// It is not ready, and this is why. The reason is public: no secrets.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.change(State { ready: false, reason: Some(reason.into()) });
    }

    /// It was told to stop: not ready any more, which nobody needs to be warned of.
    pub fn stopped(&self) {
        self.set(State { ready: false, reason: Some("stopped".to_owned()) });
    }

    /// Sets the state, and logs it when it is another one.
    fn change(&self, state: State) {
        let (ready, reason) = (state.ready, state.reason.clone().unwrap_or_default());
        if self.set(state) {
            match ready {
                true => tracing::info!(part = self.name, reason, "ready"),
                false => tracing::warn!(part = self.name, reason, "not ready"),
            }
        }
    }

    /// Sets the state; whether it differs from the one before.
    fn set(&self, state: State) -> bool {
        self.health.parts.send_if_modified(|parts| {
            let changed = parts.get(&self.name) != Some(&state);
            parts.insert(self.name.clone(), state);
            changed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_ready_when_all_its_parts_are() {
        let health = Health::new();
        assert!(!health.report().ready, "ready without a part");
        let (postgres, kafka) = (health.part("postgres"), health.part("kafka"));
        assert!(!health.report().ready);
        postgres.ready();
        assert!(!health.report().ready);
        kafka.ready();
        assert!(health.report().ready);
        kafka.not_ready("no broker answers");
        let report = serde_json::to_value(health.report()).unwrap();
        assert_eq!(
            report,
            serde_json::json!({
                "ready": false,
                "parts": {"postgres": {"ready": true}, "kafka": {"ready": false, "reason": "no broker answers"}}
            })
        );
    }
}
