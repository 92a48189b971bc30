//! The programs of this workspace, run beside a test as processes of their own.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::child::Child;

const LOG: &str = "output.log";

/// Where a program of this workspace is: beside the running test, or one folder up.
pub fn find(name: &str) -> Result<PathBuf> {
    let this = std::env::current_exe().context("cannot find the running program")?;
    this.ancestors().skip(1).take(2).map(|dir| dir.join(name)).find(|program| program.is_file()).with_context(|| {
        format!("there is no program {name} beside {}: cargo build --workspace --bins", this.display())
    })
}

/// A running program of this workspace. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    dir: TempDir,
}

impl Process {
    /// Starts a program with these arguments and, of the environment, only these variables and what any program needs
    /// (`PATH`, `HOME` and their like): a variable of whoever runs the tests changes nothing.
    pub fn spawn<A: AsRef<OsStr>>(
        name: &str,
        args: impl IntoIterator<Item = A>,
        envs: &[(&str, &str)],
    ) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix(&format!("waybill-{name}-")).tempdir()?;
        let output = File::create(dir.path().join(LOG)).context("cannot make the log")?;
        let mut command = Command::new(find(name)?);
        command
            .args(args)
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| is_inherited(name)))
            .envs(envs.iter().copied())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("cannot share the log file")?)
            .stderr(output);
        Ok(Self { name: name.to_owned(), child: Child::spawn(command, Signal::SIGKILL)?, dir })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// How it ended, if it has.
    pub fn status(&self) -> Option<ExitStatus> {
        self.child.status()
    }

    /// Everything that it has written so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// The file that it writes to.
    pub fn log_path(&self) -> PathBuf {
        Path::new(self.dir.path()).join(LOG)
    }

    /// Waits until it ends by itself, at most for `bound`; later is an error with its log.
    pub async fn wait(&self, bound: Duration) -> Result<ExitStatus> {
        match self.child.wait_at_most(bound).await? {
            Some(status) => Ok(status),
            None => bail!("{} has not ended within {bound:?}; its log:\n{}", self.name, self.log()),
        }
    }

    /// Asks it to end (SIGTERM) and waits for that, at most for `bound`; later is an error with its log.
    pub async fn terminate(&self, bound: Duration) -> Result<ExitStatus> {
        self.child.signal(Signal::SIGTERM)?;
        self.wait(bound).await
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub async fn kill(&self) -> Result<ExitStatus> {
        self.child.kill().await
    }

    /// Freezes it (SIGSTOP): it knows nothing of the time that passes.
    pub fn pause(&self) -> Result<()> {
        self.child.signal(Signal::SIGSTOP)
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) -> Result<()> {
        self.child.signal(Signal::SIGCONT)
    }
}

fn is_inherited(name: &OsStr) -> bool {
    const KEPT: [&str; 9] = [
        "PATH",
        "HOME",
        "TMPDIR",
        "LANG",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "RUST_LOG",
        "RUST_BACKTRACE",
        "SSL_CERT_FILE",
    ];
    KEPT.iter().any(|kept| name == *kept)
}
