//! A private PostgreSQL server: made by `initdb` in a temporary directory, listening on a free port of 127.0.0.1 only,
//! asking for a random password, ready for logical replication. It ends with the process that started it.

mod installation;
mod session;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use nix::unistd::User;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use self::installation::Installation;
use crate::child::Child;
use crate::scratch::Scratch;
use crate::{ports, unique};

pub use self::installation::Release;
pub(crate) use self::session::{quoted_identifier, quoted_literal, with_session};

const LOG: &str = "postgres.log";
const SUPERUSER: &str = "postgres";
/// Time to get ready, crash recovery included.
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(60);
/// A port may be taken between the moment it was found free and the server's start.
const PORTS_TO_TRY: usize = 5;

/// What every server here is set to; [`PostgresOptions::settings`] come after and win.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("wal_level", "logical"),
    // A test that ends in the middle of a log-in leaves it hanging, and DROP DATABASE waits for it as long as this.
    ("authentication_timeout", "3s"),
    ("max_wal_senders", "50"),
    ("max_replication_slots", "50"),
    ("max_connections", "300"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
];

/// How a server differs from the usual one.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// Which version it is.
    pub release: Release,
    /// Settings for `postgresql.conf`, name and value.
    pub settings: Vec<(String, String)>,
    /// Files of the data directory, name and content, readable by the server alone: certificates, `pg_hba.conf`.
    pub files: Vec<(String, String)>,
    /// Whether what committed must survive a crash of the machine. Not by default: the data are thrown away, and a
    /// crash of the server alone loses nothing that was written.
    pub fsync: bool,
}

/// How to stop a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Clients are disconnected, a checkpoint is written.
    Fast,
    /// As in a crash: the next start has to recover.
    Immediate,
}

/// A private PostgreSQL server. Dropping it stops it and removes its data.
#[derive(Debug)]
pub struct Postgres {
    server: Option<Child>,
    installation: Installation,
    user: Option<User>,
    port: u16,
    password: String,
    scratch: Scratch,
}

impl Postgres {
    /// Makes an empty server and starts it.
    pub async fn start(options: PostgresOptions) -> Result<Self> {
        let mut postgres = Self::without_data(options.release, unique::random_word(32))?;
        postgres.initialise().await?;
        postgres.configure(&options)?;
        postgres.start_on_a_free_port().await.map(|()| postgres)
    }

    /// Makes a physical standby of this server and starts it; this one is stopped for a moment, since its data are
    /// copied. `options` are the standby's; those of the primary do not hold for it.
    pub async fn standby(&mut self, mut options: PostgresOptions) -> Result<Self> {
        let mut standby = Self::without_data(options.release, self.password.clone())?;
        self.stop(Mode::Fast).await?;
        let copied = Command::new("cp").arg("-a").arg(self.scratch.join("data")).arg(standby.scratch.path()).status();
        if !copied.context("cannot run cp")?.success() {
            bail!("cannot copy the data of the primary");
        }
        // Slots are a server's own; the copies would keep its log for ever.
        for slot in fs::read_dir(standby.scratch.join("data/pg_replslot"))?.flatten() {
            fs::remove_dir_all(slot.path())?;
        }
        let primary =
            format!("host=127.0.0.1 port={} user={SUPERUSER} password={} dbname=postgres", self.port, self.password);
        options.settings.push(("primary_conninfo".to_owned(), primary));
        options.files.push(("standby.signal".to_owned(), String::new()));
        standby.configure(&options)?;
        self.start_again().await?;
        standby.start_on_a_free_port().await.map(|()| standby)
    }

    fn without_data(release: Release, password: String) -> Result<Self> {
        let scratch = Scratch::new("postgres")?;
        let user = installation::substitute_for_root()?;
        let mut installation = Installation::find(release)?;
        if user.is_some() {
            installation = installation.open_to_all(&scratch.join("installation"))?;
        }
        let postgres = Self { server: None, installation, user, port: ports::free()?, password, scratch };
        postgres.give_to_server(postgres.scratch.path())?;
        Ok(postgres)
    }

    async fn start_on_a_free_port(&mut self) -> Result<()> {
        for _ in 1..PORTS_TO_TRY {
            match self.start_again().await {
                Err(error) if format!("{error:#}").contains("Address already in use") => {
                    fs::remove_file(self.scratch.join(LOG)).ok();
                    self.port = ports::free()?;
                }
                result => return result,
            }
        }
        self.start_again().await
    }

    /// `postgres://postgres:PASSWORD@127.0.0.1:PORT/DATABASE`, as the superuser.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Where one of its installation's other programs is, such as `pg_recvlogical`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.installation.program(name)
    }

    /// Its port, which stays the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the postmaster, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().filter(|server| server.status().is_none()).map(Child::pid)
    }

    /// The end of what the server has logged.
    pub fn log_tail(&self) -> String {
        self.scratch.tail(LOG)
    }

    /// Makes an empty database.
    pub async fn create_database(&self, name: &str) -> Result<()> {
        let create = format!("CREATE DATABASE {}", quoted_identifier(name));
        with_session(&self.url("postgres"), async |session| session.batch_execute(&create).await)
            .await
            .with_context(|| format!("cannot make the database {name}"))
    }

    /// Stops the server; port and data stay for [`Self::start_again`].
    pub async fn stop(&mut self, mode: Mode) -> Result<()> {
        let Some(server) = self.server.take() else { return Ok(()) };
        server.signal(match mode {
            Mode::Fast => Signal::SIGINT,
            Mode::Immediate => Signal::SIGQUIT,
        })?;
        if server.wait_at_most(STOP).await?.is_none() {
            server.kill().await?;
            bail!("PostgreSQL did not stop within {STOP:?} and was killed; its log ends with:\n{}", self.log_tail());
        }
        Ok(())
    }

    /// Kills the server's first process; the others end when they notice. Port and data stay for [`Self::start_again`].
    pub async fn kill(&mut self) -> Result<()> {
        match self.server.take() {
            Some(server) => server.kill().await.map(drop),
            None => Ok(()),
        }
    }

    /// Starts a stopped server again, on the same port with the same data, and waits until it takes connections.
    pub async fn start_again(&mut self) -> Result<()> {
        if self.pid().is_some() {
            return Ok(());
        }
        let mut command = self.command("postgres", LOG)?;
        command.arg("-D").arg(self.scratch.join("data")).args(["-p", &self.port.to_string()]);
        // SIGQUIT, not SIGKILL: the postmaster then takes its children and its shared memory along.
        let server = Child::spawn(command, Signal::SIGQUIT)?;
        let ready = self.wait_until_ready(&server).await;
        if ready.is_ok() {
            self.server = Some(server);
        } else {
            server.end_blocking(Signal::SIGQUIT, Duration::from_secs(5));
        }
        ready
    }

    async fn wait_until_ready(&self, server: &Child) -> Result<()> {
        let url = self.url("postgres");
        let deadline = Instant::now() + START;
        let mut ticks = interval(Duration::from_millis(10));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(status) = server.status() {
                bail!("PostgreSQL ended at its start ({status}); its log ends with:\n{}", self.log_tail());
            }
            let answer = timeout(
                Duration::from_secs(2),
                with_session(&url, async |session| session.batch_execute("SELECT 1").await),
            );
            let error = match answer.await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            if Instant::now() > deadline {
                bail!("PostgreSQL was not ready within {START:?} ({error}); its log ends with:\n{}", self.log_tail());
            }
        }
    }

    async fn initialise(&self) -> Result<()> {
        const OUTPUT: &str = "initdb.log";
        let password_file = self.scratch.join("password");
        fs::write(&password_file, &self.password).context("cannot write the password file")?;
        fs::set_permissions(&password_file, fs::Permissions::from_mode(0o600))?;
        self.give_to_server(&password_file)?;
        let mut command = self.command("initdb", OUTPUT)?;
        command
            .args(["--username", SUPERUSER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"])
            .args(["--no-sync", "--no-instructions", "--pwfile"])
            .arg(&password_file)
            .arg("-D")
            .arg(self.scratch.join("data"));
        let status = Child::spawn(command, Signal::SIGKILL)?.wait().await?;
        if !status.success() {
            bail!("initdb failed ({status}):\n{}", self.scratch.tail(OUTPUT));
        }
        fs::remove_file(&password_file).context("cannot remove the password file")
    }

    fn configure(&self, options: &PostgresOptions) -> Result<()> {
        let durable = if options.fsync { "on" } else { "off" };
        let fixed = SETTINGS.iter().copied().chain([("fsync", durable), ("full_page_writes", durable)]);
        let own = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut lines = String::new();
        for (name, value) in fixed.chain(own) {
            lines.push_str(&format!("{name} = {}\n", quoted_literal(value)));
        }
        let data = self.scratch.join("data");
        for (name, content) in &options.files {
            let path = data.join(name);
            fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            self.give_to_server(&path)?;
        }
        let path = data.join("postgresql.auto.conf");
        fs::write(&path, lines).with_context(|| format!("cannot write {}", path.display()))
    }

    /// One of PostgreSQL's programs, as the user it may run as, in a process group of its own (Ctrl-C is for those who
    /// use the server, not for the server), with its output in a file.
    fn command(&self, program: &str, output: &str) -> Result<Command> {
        let output = self.scratch.append(output)?;
        let mut command = Command::new(self.installation.program(program));
        command
            .current_dir(self.scratch.path())
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| is_inherited(name)))
            .env("LC_ALL", "C")
            .process_group(0)
            .stdin(std::process::Stdio::null())
            .stdout(output.try_clone().context("cannot share the log file")?)
            .stderr(output);
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        Ok(command)
    }

    fn give_to_server(&self, path: &Path) -> Result<()> {
        let Some(user) = &self.user else { return Ok(()) };
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
            .with_context(|| format!("cannot give {} to the user {}", path.display(), user.name))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            // The data are about to be removed: nothing is worth a checkpoint.
            server.end_blocking(Signal::SIGQUIT, Duration::from_secs(5));
        }
    }
}

/// Of the environment, only what finds programs and libraries: none of the PG variables.
fn is_inherited(name: &OsStr) -> bool {
    ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR"].iter().any(|kept| name == *kept)
}
