//! Other relays, for the same figures on the same machine.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use super::{
    EVENTS, Scale,
    backlog::Backlog,
    drain::{self, Contestant},
    latency::{self, MILLISECONDS},
    progress,
    relay::Program,
    stage::{PUBLICATION, Stage, Target},
};
use crate::report::Report;

/// A relay that others would pick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Peer {
    /// Debezium's PostgreSQL connector with its outbox event router, on a Kafka Connect worker.
    Debezium,
}

const START: Duration = Duration::from_secs(90);
const END: Duration = Duration::from_secs(30);
/// After it has begun to stream, so that it has noted from where.
const SETTLING: Duration = Duration::from_secs(4);

/// Measures it, and what ours is beside it: the ratio is ours to the peer's.
pub(super) async fn measure(peer: Peer, stage: &Stage, scale: Scale, report: &mut Report) -> Result<()> {
    progress(format_args!("fetching {}", peer.name()));
    peer.fetch().await?;
    let contestant = Contestant::Relay(Program::Peer(peer));
    let rates = drain::measure(stage, Backlog::batched(scale.backlog), scale.runs, &[contestant]).await?;
    report.add_rival(peer.name(), "drain_batched", EVENTS, &rates[0]);
    let mut runs = Vec::new();
    for _ in 0..scale.runs {
        runs.push(latency::relay(stage, Program::Peer(peer), 50, scale.latency_seconds).await?);
    }
    let (p50, p99): (Vec<_>, Vec<_>) = runs.iter().map(|run| (run.p50, run.p99)).unzip();
    report.add_rival(peer.name(), "latency_50_p50_ms", MILLISECONDS, &p50);
    report.add_rival(peer.name(), "latency_50_p99_ms", MILLISECONDS, &p99);
    report.add_rival(peer.name(), "rss_mib", "MiB", &stage.peak_of(peer.name()));
    fs::remove_dir_all(peer.memory()).context("cannot remove the peer's positions")
}

impl Peer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Debezium => "debezium",
        }
    }

    /// Where its workers note their positions.
    fn memory(self) -> PathBuf {
        std::env::temp_dir().join(format!("waybill-bench-{}-{}", self.name(), std::process::id()))
    }

    fn script(self) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(format!("{}.sh", self.name()));
        let mut command = Command::new(script);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn fetch(self) -> Result<()> {
        let status = self.script().arg("fetch").status().await.context("cannot run the peer's script")?;
        if status.success() { Ok(()) } else { bail!("fetching {} failed ({status})", self.name()) }
    }

    /// Starts it once, so that it notes the slot's position before there are rows.
    pub(super) async fn prepare(self, stage: &Stage, slot: &str, target: &Target) -> Result<()> {
        let worker = self.start(stage, slot, target)?;
        let start = Instant::now();
        while stage.walsender(slot).await?.is_none() {
            if start.elapsed() > START {
                bail!("{} has not started to stream within {START:?}; its log:\n{}", self.name(), worker.log());
            }
            sleep(Duration::from_millis(100)).await;
        }
        sleep(SETTLING).await;
        worker.stop().await?;
        // The server may notice a moment later.
        while stage.walsender(slot).await?.is_some() {
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Starts it with the memory of its last run on this slot.
    pub(super) fn start(self, stage: &Stage, slot: &str, target: &Target) -> Result<Worker> {
        let dir = self.memory().join(slot);
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let log = dir.join("output.log");
        let output = File::options().create(true).append(true).open(&log).context("cannot open a log")?;
        let database: tokio_postgres::Config = stage.url().parse()?;
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let child = self
            .script()
            .arg("run")
            .env("WORK", &dir)
            .env("DATABASE_PORT", stage.postgres.port().to_string())
            .env("DATABASE_USER", database.get_user().unwrap_or_default())
            .env("DATABASE_PASSWORD", text(database.get_password()))
            .env("DATABASE_NAME", database.get_dbname().unwrap_or_default())
            .env("SLOT", slot)
            .env("PUBLICATION", PUBLICATION)
            .env("KAFKA_BOOTSTRAP_SERVERS", stage.kafka.bootstrap_servers())
            .env("TOPIC_PREFIX", &target.prefix)
            .stdout(output.try_clone().context("cannot share a log")?)
            .stderr(output)
            .spawn()
            .context("cannot start the peer")?;
        let pid = child.id().context("the peer has ended at once")?;
        Ok(Worker { child, pid, log })
    }
}

/// A running peer. Dropping it kills it.
pub(super) struct Worker {
    child: Child,
    pid: u32,
    log: PathBuf,
}

impl Worker {
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn log(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(3_000)..]).into_owned()
    }

    /// Asks it to end, and kills it when it takes too long.
    pub(super) async fn stop(mut self) -> Result<()> {
        let asked = Command::new("kill").arg(self.pid.to_string()).status().await;
        asked.context("cannot ask the peer to end")?;
        if timeout(END, self.child.wait()).await.is_err() {
            self.child.kill().await.context("cannot kill the peer")?;
        }
        Ok(())
    }
}
