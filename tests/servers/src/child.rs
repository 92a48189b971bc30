//! A child process that cannot outlive the process that started it, even when that one is killed with `kill -9`.
//!
//! Linux sends a process the signal it asked for when the *thread* that started it ends. So each child has a thread of
//! its own here, which starts it, waits for its end and reaps it: it lives exactly as long as the child. macOS has no
//! such signal; there a child ends when its owner drops it.

use std::io;
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use tokio::sync::watch;

/// How long a killed process may take to disappear.
const DEATH: Duration = Duration::from_secs(10);

/// A running (or ended) child process. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Child {
    pid: Pid,
    reaped: Reaped,
    end: watch::Receiver<Option<ExitStatus>>,
}

/// Whether the process has been reaped. Held while a signal is sent: a reaped process's id may belong to another one.
#[derive(Clone, Debug, Default)]
struct Reaped(Arc<Mutex<bool>>);

impl Reaped {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Child {
    /// Starts `command`; `last_signal` is what it gets when this process ends without having stopped it.
    pub(crate) fn spawn(mut command: Command, last_signal: Signal) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        die_with_parent(&mut command, last_signal);
        let (started, pid) = mpsc::sync_channel(1);
        let (ended, end) = watch::channel(None);
        let reaped = Reaped::default();
        let keeper = reaped.clone();
        thread::Builder::new()
            .name(format!("keeper of {program}"))
            .spawn(move || keep(command, &started, &keeper, &ended))
            .context("cannot start a thread")?;
        let pid = pid
            .recv()
            .map_err(|_| anyhow!("the thread that starts it has died"))
            .and_then(|started| started.map_err(Into::into))
            .with_context(|| format!("cannot start {program}"))?;
        Ok(Self { pid, reaped, end })
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// How it ended, if it has.
    pub(crate) fn status(&self) -> Option<ExitStatus> {
        *self.end.borrow()
    }

    /// Sends a signal; a process that has ended takes it in silence.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let reaped = self.reaped.lock();
        if *reaped {
            return Ok(());
        }
        match signal::kill(self.pid, signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot send {signal} to process {}", self.pid)),
        }
    }

    /// Waits for its end.
    pub(crate) async fn wait(&self) -> Result<ExitStatus> {
        let mut end = self.end.clone();
        let status = *end.wait_for(Option::is_some).await.map_err(|_| anyhow!("lost sight of process {}", self.pid))?;
        status.ok_or_else(|| anyhow!("process {} has not ended", self.pid))
    }

    /// Waits for its end, at most for `bound`.
    pub(crate) async fn wait_at_most(&self, bound: Duration) -> Result<Option<ExitStatus>> {
        tokio::time::timeout(bound, self.wait()).await.ok().transpose()
    }

    /// Kills it at once and waits until it is gone.
    pub(crate) async fn kill(&self) -> Result<ExitStatus> {
        self.signal(Signal::SIGKILL)?;
        self.wait_at_most(DEATH)
            .await?
            .ok_or_else(|| anyhow!("process {} is still there {DEATH:?} after SIGKILL", self.pid))
    }

    /// Sends `signal`, waits up to `bound`, then kills it: for a `drop`, which cannot wait otherwise.
    pub(crate) fn end_blocking(&self, signal: Signal, bound: Duration) {
        for (signal, bound) in [(signal, bound), (Signal::SIGKILL, DEATH)] {
            let deadline = Instant::now() + bound;
            if self.signal(signal).is_err() {
                continue;
            }
            while Instant::now() < deadline {
                if self.status().is_some() {
                    return;
                }
                thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.status().is_none() {
            self.end_blocking(Signal::SIGKILL, DEATH);
        }
    }
}

/// The life of the thread: start the child, say so, wait for its end, reap it, say so.
fn keep(
    mut command: Command,
    started: &SyncSender<io::Result<Pid>>,
    reaped: &Reaped,
    ended: &watch::Sender<Option<ExitStatus>>,
) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            started.send(Err(error)).ok();
            return;
        }
    };
    let pid = Pid::from_raw(child.id().cast_signed());
    started.send(Ok(pid)).ok();
    wait_without_reaping(pid);
    let mut reaped = reaped.lock();
    let status = child.wait();
    *reaped = true;
    drop(reaped);
    ended.send_replace(status.ok());
}

/// Returns once the process has ended, leaving its id in place until the lock is held.
#[cfg(target_os = "linux")]
fn wait_without_reaping(pid: Pid) {
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    while let Err(Errno::EINTR) = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {}
}

/// Returns once the process has ended, leaving its id in place until the lock is held.
#[cfg(not(target_os = "linux"))]
fn wait_without_reaping(pid: Pid) {
    // A zombie still answers to signal 0, so its parent is asked through ps.
    while Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .is_ok_and(|output| !output.stdout.is_empty() && !output.stdout.starts_with(b"Z"))
    {
        thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "the signal can only be asked for between fork and exec, after the change of user")]
fn die_with_parent(command: &mut Command, last_signal: Signal) {
    use std::os::unix::process::CommandExt;
    let parent = Pid::this();
    let ask = move || {
        nix::sys::prctl::set_pdeathsig(last_signal)?;
        // The parent may have died before the child could ask.
        if Pid::parent() == parent { Ok(()) } else { Err(Errno::ESRCH.into()) }
    };
    // SAFETY: two system calls, both async-signal-safe, and no allocation.
    unsafe {
        command.pre_exec(ask);
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: &mut Command, _: Signal) {}
