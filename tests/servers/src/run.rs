//! The servers of one run, and the command inside it.

use std::future::pending;
use std::io::{IsTerminal, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use servers::shared::{KAFKA_BOOTSTRAP_SERVERS, TEST_DATABASE_URL};
use servers::{Kafka, Postgres, PostgresOptions};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long an interrupted command may take to end.
const GRACE: Duration = Duration::from_secs(20);

/// Runs `command` with both servers around it; its exit code is the result.
pub(crate) async fn around(command: &[String]) -> Result<ExitCode> {
    let [program, args @ ..] = command else { bail!("no command given") };
    let mut interrupts = Interrupts::new()?;
    let servers = tokio::select! {
        servers = Servers::start() => servers?,
        interrupt = interrupts.next() => return Ok(interrupt.exit_code()),
    };
    let mut child = Command::new(program)
        .args(args)
        .envs(servers.variables())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let status = tokio::select! {
        status = child.wait() => status?,
        interrupt = interrupts.next() => end(&mut child, &interrupt).await?,
    };
    Ok(exit_code(status))
}

/// Prints the variables that name the servers and keeps them running until SIGINT or SIGTERM.
pub(crate) async fn until_interrupted() -> Result<ExitCode> {
    let mut interrupts = Interrupts::new()?;
    let servers = tokio::select! {
        servers = Servers::start() => servers?,
        interrupt = interrupts.next() => return Ok(interrupt.exit_code()),
    };
    let lines: String = servers.variables().iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect();
    std::io::stdout().write_all(lines.as_bytes()).context("cannot print the variables")?;
    eprintln!("Ctrl-C stops both servers and removes their data.");
    interrupts.next().await;
    Ok(ExitCode::SUCCESS)
}

/// The servers that the environment does not name already.
struct Servers {
    postgres: Option<Postgres>,
    kafka: Option<Kafka>,
}

impl Servers {
    async fn start() -> Result<Self> {
        let (postgres, kafka) = tokio::try_join!(
            unless_set(TEST_DATABASE_URL, Postgres::start(PostgresOptions::default())),
            unless_set(KAFKA_BOOTSTRAP_SERVERS, Kafka::start()),
        )?;
        Ok(Self { postgres, kafka })
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let named = |name| std::env::var(name).unwrap_or_default();
        vec![
            (
                TEST_DATABASE_URL,
                self.postgres.as_ref().map_or_else(|| named(TEST_DATABASE_URL), |server| server.url("postgres")),
            ),
            (
                KAFKA_BOOTSTRAP_SERVERS,
                self.kafka.as_ref().map_or_else(|| named(KAFKA_BOOTSTRAP_SERVERS), Kafka::bootstrap_servers),
            ),
        ]
    }
}

async fn unless_set<S>(variable: &str, start: impl Future<Output = Result<S>>) -> Result<Option<S>> {
    let is_set = std::env::var_os(variable).is_some_and(|value| !value.is_empty());
    if is_set { Ok(None) } else { start.await.map(Some) }
}

struct Interrupts {
    int: Signal,
    term: Signal,
}

enum Interrupt {
    Int,
    Term,
}

impl Interrupts {
    fn new() -> Result<Self> {
        Ok(Self { int: signal(SignalKind::interrupt())?, term: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> Interrupt {
        tokio::select! {
            Some(()) = self.int.recv() => Interrupt::Int,
            Some(()) = self.term.recv() => Interrupt::Term,
            else => pending().await,
        }
    }
}

impl Interrupt {
    fn signal(&self) -> nix::sys::signal::Signal {
        match self {
            Self::Int => nix::sys::signal::Signal::SIGINT,
            Self::Term => nix::sys::signal::Signal::SIGTERM,
        }
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::from(128 + self.signal() as u8)
    }
}

/// Passes an interrupt on to the command and waits for its end; too late, it is killed.
async fn end(child: &mut Child, interrupt: &Interrupt) -> Result<ExitStatus> {
    // A terminal has sent Ctrl-C to the command as well.
    let sent_by_terminal = matches!(interrupt, Interrupt::Int) && std::io::stdin().is_terminal();
    if let Some(id) = child.id().filter(|_| !sent_by_terminal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(id.cast_signed()), interrupt.signal()).ok();
    }
    match tokio::time::timeout(GRACE, child.wait()).await {
        Ok(status) => Ok(status?),
        Err(_) => {
            child.kill().await?;
            Ok(child.wait().await?)
        }
    }
}

/// As a shell tells it: 128 and the signal for a command that a signal has ended.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
