//! `slot show` and `slot drop`: the replication slot as the server knows it. Everything here works as the relay's role.

use std::{fmt, time::Duration};

use clap::Subcommand;
use contracts::envelope::Lsn;
use telemetry::{
    database::{Database, reason},
    settings::Problems,
};
use tokio_postgres::{Client, error::SqlState};

use crate::{
    database::{DatabaseArgs, connect},
    names::SlotName,
};

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The flags of `slot`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

/// What to do with the slot.
#[derive(Debug, Subcommand)]
enum Action {
    /// Show where the slot is and how much log it keeps.
    Show(TargetArgs),
    /// Drop the slot. What it has not captured yet is lost.
    Drop {
        #[command(flatten)]
        target: TargetArgs,
        /// Really drop it.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
struct TargetArgs {
    #[command(flatten)]
    database: DatabaseArgs,

    /// The replication slot.
    #[arg(long, env = "SLOT", default_value = SlotName::DEFAULT, value_name = "NAME")]
    slot: String,
}

/// What is to be done with which slot.
#[derive(Clone)]
pub struct Settings {
    /// The database, as the relay's role.
    pub database: Database,
    /// The slot.
    pub slot: SlotName,
    /// What to do.
    pub task: Task,
}

/// What to do with the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Show it.
    Show,
    /// Drop it, when that is confirmed.
    Drop {
        /// It is.
        confirmed: bool,
    },
}

impl Args {
    /// Checks all flags.
    ///
    /// # Errors
    /// All problems at once.
    pub fn check(self) -> Result<Settings, Problems> {
        let mut problems = Problems::new();
        let (target, task) = match self.action {
            Action::Show(target) => (target, Task::Show),
            Action::Drop { target, yes } => (target, Task::Drop { confirmed: yes }),
        };
        let database = target.database.check(&mut problems);
        let slot = problems.parse("--slot / SLOT", &target.slot);
        let settings =
            || Some(Settings { database: database?.application_name("cdc-capture slot"), slot: slot?, task });
        let settings = settings();
        problems.finish(settings)
    }
}

/// Why a slot was not shown or not dropped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Transient: the server is not there.
    #[error("PostgreSQL: {0}")]
    Unavailable(String),
    /// The server refused a statement.
    #[error("PostgreSQL refused: {0}")]
    Refused(String),
    /// There is no such slot.
    #[error(
        "replication slot {0} does not exist: run `cdc-capture setup` for an outbox that was never relayed, else \
             `cdc-capture resync`; or name another with --slot"
    )]
    Missing(SlotName),
    /// Somebody reads it.
    #[error("replication slot {slot} is in use by the process {pid} of the server: stop that relay first")]
    InUse {
        /// Which slot.
        slot: SlotName,
        /// The walsender's process.
        pid: i32,
    },
    /// Dropping was not confirmed.
    #[error(
        "nothing was dropped: events committed since {confirmed} that are not captured yet ({lag} of log) would never \
         reach Kafka; repeat it with --yes to drop the replication slot {slot} all the same"
    )]
    Unconfirmed {
        /// Which slot.
        slot: SlotName,
        /// Up to where everything was captured.
        confirmed: String,
        /// How much log is behind that.
        lag: Bytes,
    },
}

/// A slot at one moment.
#[derive(Clone, Debug)]
pub struct SlotState {
    /// Its name.
    pub name: SlotName,
    /// `pgoutput`; none for a physical slot.
    pub plugin: Option<String>,
    /// The database it belongs to; none for a physical slot.
    pub database: Option<String>,
    /// The server's process that reads it.
    pub active_pid: Option<i32>,
    /// `reserved`, `extended`, `unreserved` or `lost`.
    pub wal_status: Option<String>,
    /// From here on the server keeps its log; none when it is lost.
    pub restart: Option<Lsn>,
    /// Up to here everything is captured.
    pub confirmed: Option<Lsn>,
    /// The end of the server's log.
    pub wal_end: Lsn,
    /// Whether it is copied to the standbys; none before PostgreSQL 17.
    pub failover: Option<bool>,
    /// How much more log can be written until it may be lost; none when there is no limit.
    pub safe: Option<i64>,
}

/// What was done, as the command prints it.
#[derive(Debug)]
pub enum Done {
    /// The slot's state.
    Shown(SlotState),
    /// The slot as it was before it was dropped.
    Dropped(SlotState),
}

/// Shows or drops a slot.
///
/// # Errors
/// When there is none, it is in use, dropping was not confirmed, or the server does not answer.
pub async fn slot(settings: &Settings) -> Result<Done, Error> {
    let work = async {
        let (client, connection) = connect(&settings.database).await.map_err(Error::Unavailable)?;
        tokio::select! {
            done = perform(&client, settings) => done,
            () = connection => Err(Error::Unavailable("the server closed the connection".to_owned())),
        }
    };
    let late = |_| Error::Unavailable(format!("no answer within {PATIENCE:?}"));
    tokio::time::timeout(PATIENCE, work).await.map_err(late)?
}

async fn perform(client: &Client, settings: &Settings) -> Result<Done, Error> {
    let refused = |error: tokio_postgres::Error| Error::Refused(reason(&error));
    let name = &settings.slot;
    let state = SlotState::read(client, name).await.map_err(refused)?;
    let state = state.ok_or_else(|| Error::Missing(name.clone()))?;
    let Task::Drop { confirmed } = settings.task else { return Ok(Done::Shown(state)) };
    if let Some(pid) = state.active_pid {
        return Err(Error::InUse { slot: name.clone(), pid });
    }
    if !confirmed {
        return Err(Error::Unconfirmed { slot: name.clone(), confirmed: or_none(&state.confirmed), lag: state.lag() });
    }
    match client.execute("SELECT pg_drop_replication_slot($1)", &[&name.as_str()]).await {
        Ok(_) => Ok(Done::Dropped(state)),
        // Taken or gone since it was looked at.
        Err(error) if error.code() == Some(&SqlState::OBJECT_IN_USE) => {
            let now = SlotState::read(client, name).await.map_err(refused)?;
            match now.and_then(|now| now.active_pid) {
                Some(pid) => Err(Error::InUse { slot: name.clone(), pid }),
                None => Err(refused(error)),
            }
        }
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => Err(Error::Missing(name.clone())),
        Err(error) => Err(refused(error)),
    }
}

impl SlotState {
    /// The slot as it is now, if there is one.
    pub(crate) async fn read(client: &Client, slot: &SlotName) -> Result<Option<Self>, tokio_postgres::Error> {
        let ask = "SELECT plugin::text, database::text, active_pid, wal_status, restart_lsn::text,
                confirmed_flush_lsn::text, safe_wal_size,
                (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text,
                (to_jsonb(slot)->>'failover')::boolean
            FROM pg_replication_slots slot WHERE slot_name = $1";
        let row = client.query_opt(ask, &[&slot.as_str()]).await?;
        let lsn = |text: Option<&str>| text.and_then(|text| text.parse::<Lsn>().ok());
        Ok(row.map(|row| Self {
            name: slot.clone(),
            plugin: row.get(0),
            database: row.get(1),
            active_pid: row.get(2),
            wal_status: row.get(3),
            restart: lsn(row.get(4)),
            confirmed: lsn(row.get(5)),
            failover: row.get(8),
            safe: row.get(6),
            wal_end: lsn(row.get(7)).unwrap_or_default(),
        }))
    }

    /// Whether the server has removed log that it still needed, so that it can never be streamed again.
    pub fn is_lost(&self) -> bool {
        self.wal_status.as_deref() == Some("lost")
    }

    /// How much log the server keeps for it.
    pub fn retained(&self) -> Option<Bytes> {
        self.restart.map(|restart| Bytes(self.wal_end.bytes_since(restart)))
    }

    /// How much log is not captured.
    pub fn lag(&self) -> Bytes {
        Bytes(self.wal_end.bytes_since(self.confirmed.or(self.restart).unwrap_or(self.wal_end)))
    }
}

impl fmt::Display for SlotState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let active = self.active_pid.map_or_else(|| "no".to_owned(), |pid| format!("yes, process {pid}"));
        writeln!(f, "name        {}", self.name)?;
        writeln!(f, "plugin      {}", or_none(&self.plugin))?;
        writeln!(f, "database    {}", or_none(&self.database))?;
        writeln!(f, "active      {active}")?;
        writeln!(f, "wal_status  {}", or_none(&self.wal_status))?;
        if let Some(failover) = self.failover {
            writeln!(f, "failover    {}", if failover { "yes" } else { "no" })?;
        }
        writeln!(f, "restart     {}", or_none(&self.restart))?;
        writeln!(f, "confirmed   {}", or_none(&self.confirmed))?;
        writeln!(f, "retained    {}", or_none(&self.retained()))?;
        if let Some(safe) = self.safe {
            writeln!(f, "until lost  {}", Bytes(safe.max(0).cast_unsigned()))?;
        }
        write!(f, "lag         {}", self.lag())?;
        if self.is_lost() {
            write!(f, "\nremedy      `cdc-capture resync` publishes what Kafka lacks and makes a new slot")?;
        }
        Ok(())
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shown(state) => state.fmt(f),
            Self::Dropped(state) => {
                write!(f, "replication slot {}: dropped at {}", state.name, or_none(&state.confirmed))?;
                write!(f, "; the log after it, {}, was not captured", state.lag())
            }
        }
    }
}

fn or_none(value: &Option<impl fmt::Display>) -> String {
    value.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)
}

/// A size, shown exactly and for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0)?;
        let (mut size, mut unit) = (self.0 as f64, "");
        for larger in ["KiB", "MiB", "GiB", "TiB"] {
            if size < 1024.0 {
                break;
            }
            (size, unit) = (size / 1024.0, larger);
        }
        if unit.is_empty() { Ok(()) } else { write!(f, " ({size:.1} {unit})") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_for_machines_and_for_people() {
        assert_eq!(Bytes(1000).to_string(), "1000 bytes");
        assert_eq!(Bytes(1536).to_string(), "1536 bytes (1.5 KiB)");
        assert_eq!(Bytes(16 << 20).to_string(), "16777216 bytes (16.0 MiB)");
    }
}
