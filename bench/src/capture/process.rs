//! What the kernel knows of a process: Linux only, elsewhere nothing.

use std::{fs, time::Duration};

use super::stage::Stage;

/// Linux counts CPU time in hundredths of a second wherever it shows it.
const TICKS_PER_SECOND: f64 = 100.0;

/// The most memory that was ever resident, in KiB.
pub(super) fn peak_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// CPU time of all its threads.
pub(super) fn cpu(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold blanks. User and system time are the 14th and 15th field of all.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<u32>);
    let (user, system) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    Some(Duration::from_secs_f64(f64::from(user + system) / TICKS_PER_SECOND))
}

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
