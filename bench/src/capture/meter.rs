//! CPU time of the processes that a run keeps busy.

use std::time::Duration;

use super::stage::Stage;
use crate::process::cpu;

/// CPU time of each process that a run keeps busy.
pub(super) struct Meter {
    processes: Vec<(&'static str, u32, Duration)>,
}

/// What each has used.
pub(super) struct Used(Vec<(&'static str, Duration)>);

impl Meter {
    /// Starts with the broker, from now on.
    pub(super) fn new(stage: &Stage) -> Self {
        let broker = stage.kafka.pid().map(|pid| ("broker", pid, cpu(pid).unwrap_or_default()));
        Self { processes: broker.into_iter().collect() }
    }

    /// Adds a process with all that it has used since its start.
    pub(super) fn add_whole(&mut self, name: &'static str, pid: Option<u32>) {
        self.processes.extend(pid.map(|pid| (name, pid, Duration::ZERO)));
    }

    /// What each has used until now.
    pub(super) fn used(&self) -> Used {
        let used = |(name, pid, before): &(_, u32, Duration)| Some((*name, cpu(*pid)?.saturating_sub(*before)));
        Used(self.processes.iter().filter_map(used).collect())
    }
}

impl Used {
    /// In words: microseconds for an event.
    pub(super) fn each(&self, events: u64) -> String {
        let each = |(name, used): &(_, Duration)| format!("{name} {:.1}", used.as_secs_f64() * 1e6 / events as f64);
        self.0.iter().map(each).collect::<Vec<_>>().join(", ")
    }
}
