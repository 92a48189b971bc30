//! What the kernel knows of a process: Linux only, elsewhere nothing.

use std::{fs, time::Duration};

/// Linux counts CPU time in hundredths of a second wherever it shows it.
const TICKS_PER_SECOND: f64 = 100.0;

/// The most memory that was ever resident, in MiB.
pub(crate) fn peak_mib(pid: u32) -> Option<f64> {
    Some(memory(pid, "VmHWM:")? / 1024.0)
}

/// The memory that is resident now, in KiB.
pub(crate) fn resident_kib(pid: u32) -> Option<f64> {
    memory(pid, "VmRSS:")
}

fn memory(pid: u32, of: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(of))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// CPU time of all its threads.
pub(crate) fn cpu(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold blanks. User and system time are the 14th and 15th field of all.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<u32>);
    let (user, system) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    Some(Duration::from_secs_f64(f64::from(user + system) / TICKS_PER_SECOND))
}
