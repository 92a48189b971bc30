//! What others would pick instead, run beside ours on the same machine: fetched once, and run by a script of `peers/`.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

const END: Duration = Duration::from_secs(30);

/// What others would pick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Peer {
    /// Debezium's PostgreSQL connector with its outbox event router, on a Kafka Connect worker; in a chain with its JDBC sink.
    Debezium,
}

/// How much of it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// From the outbox to Kafka.
    Relay,
    /// From the outbox to a table.
    Chain,
}

impl Extent {
    fn argument(self) -> Option<&'static str> {
        match self {
            Self::Relay => None,
            Self::Chain => Some("chain"),
        }
    }
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Debezium => "debezium",
        }
    }

    /// Where its workers note their positions.
    pub(crate) fn memory(self) -> PathBuf {
        std::env::temp_dir().join(format!("waybill-bench-{}-{}", self.name(), std::process::id()))
    }

    /// Forgets all positions.
    pub(crate) fn forget(self) -> Result<()> {
        fs::remove_dir_all(self.memory()).context("cannot remove the peer's positions")
    }

    /// Fetches what is run.
    pub(crate) async fn fetch(self, extent: Extent) -> Result<()> {
        let status = self.script("fetch", extent).status().await.context("cannot run the peer's script")?;
        if status.success() { Ok(()) } else { bail!("fetching {} failed ({status})", self.name()) }
    }

    /// Starts it with the memory of its last run on this slot. `settings` are what the script wants beside the slot and the database.
    pub(crate) fn start(
        self,
        extent: Extent,
        slot: &str,
        database_url: &str,
        settings: &[(&str, &str)],
    ) -> Result<Worker> {
        let dir = self.memory().join(slot);
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let log = dir.join("output.log");
        let output = File::options().create(true).append(true).open(&log).context("cannot open a log")?;
        let database: tokio_postgres::Config = database_url.parse()?;
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let port = database.get_ports().first().context("a database without a port")?;
        let child = self
            .script("run", extent)
            .env("WORK", &dir)
            .env("DATABASE_PORT", port.to_string())
            .env("DATABASE_USER", database.get_user().unwrap_or_default())
            .env("DATABASE_PASSWORD", text(database.get_password()))
            .env("DATABASE_NAME", database.get_dbname().unwrap_or_default())
            .env("SLOT", slot)
            .envs(settings.iter().copied())
            .stdout(output.try_clone().context("cannot share a log")?)
            .stderr(output)
            .spawn()
            .context("cannot start the peer")?;
        let pid = child.id().context("the peer has ended at once")?;
        Ok(Worker { child, pid, log })
    }

    fn script(self, what: &str, extent: Extent) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(format!("{}.sh", self.name()));
        let mut command = Command::new(script);
        command.arg(what).args(extent.argument()).stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}

/// A running peer. Dropping it kills it.
pub(crate) struct Worker {
    child: Child,
    pid: u32,
    log: PathBuf,
}

impl Worker {
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn log(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(3_000)..]).into_owned()
    }

    /// Has it stand still, as warm as it is, while something else is done.
    pub(crate) async fn pause(&self) -> Result<()> {
        self.signal("-STOP").await
    }

    /// Has it go on.
    pub(crate) async fn resume(&self) -> Result<()> {
        self.signal("-CONT").await
    }

    /// Asks it to end, and kills it when it takes too long.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.signal("-TERM").await?;
        if timeout(END, self.child.wait()).await.is_err() {
            self.child.kill().await.context("cannot kill the peer")?;
        }
        Ok(())
    }

    async fn signal(&self, signal: &str) -> Result<()> {
        let sent = Command::new("kill").arg(signal).arg(self.pid.to_string()).status().await?;
        if sent.success() { Ok(()) } else { bail!("cannot send {signal} to the peer; its log:\n{}", self.log()) }
    }
}
