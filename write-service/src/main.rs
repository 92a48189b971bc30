//! `write-service serve`, `write-service migrate` and `write-service acls`.

use std::{io::Write as _, process::ExitCode};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use telemetry::{database, health::Health, logs, metrics::Metrics, settings, shutdown};
use tokio::net::TcpListener;
use write_service::{
    acls::AclArgs,
    settings::{InboxArgs, MigrateArgs, Republish, RepublishArgs, Serve, ServeArgs},
};

/// A request's many small pieces are faster to get and to give back than from the C library's allocator.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The hotel's contexts: commands over HTTP, one transaction for state and event.
#[derive(Parser)]
#[command(version)]
struct Line {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one, and it is used once")]
enum Action {
    /// Runs contexts until SIGTERM.
    Serve(ServeArgs),
    /// Tells aggregates again as they are, for readers that start late or have lost what they had, then exits.
    Republish(RepublishArgs),
    /// Shows what reactors could not apply, and sees to it. Works while the service runs.
    Inbox(InboxArgs),
    /// Creates or upgrades the contexts' schemas and roles, then exits.
    Migrate(MigrateArgs),
    /// Prints, as a shell script, what every service may do on a Kafka that has ACLs: made from the contracts.
    Acls(AclArgs),
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    match Line::parse().action {
        Action::Serve(args) => {
            let log_args = args.logs.clone();
            match args.check() {
                Ok(serve) => run(serve, &log_args).await,
                Err(problems) => Ok(settings::refuse(&problems)),
            }
        }
        Action::Republish(args) => {
            let log_args = args.logs.clone();
            match args.check() {
                Ok(republish) => tell_again(republish, &log_args).await,
                Err(problems) => Ok(settings::refuse(&problems)),
            }
        }
        Action::Inbox(args) => match args.check() {
            Ok(inbox) => {
                let done = inbox::command::run(&args.action, &inbox.desks()?, &mut std::io::stdout()).await?;
                // What is left to be done, the output says.
                Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            Err(problems) => Ok(settings::refuse(&problems)),
        },
        Action::Migrate(args) => match args.check() {
            Ok(admin) => migrate(&admin, &args.logs).await,
            Err(problems) => Ok(settings::refuse(&problems)),
        },
        Action::Acls(args) => match args.script() {
            Ok(script) => {
                std::io::stdout().write_all(script.as_bytes()).context("the script cannot be written")?;
                Ok(ExitCode::SUCCESS)
            }
            Err(problems) => Ok(settings::refuse(&problems)),
        },
    }
}

async fn run(serve: Serve, log_args: &logs::LogArgs) -> anyhow::Result<ExitCode> {
    let _guard = logs::init("write-service", log_args).map_err(anyhow::Error::from_boxed)?;
    let shutdown = shutdown::on_signal()?;
    let listener =
        TcpListener::bind(serve.listen).await.with_context(|| format!("cannot listen on {}", serve.listen))?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    write_service::serve(serve.settings, listener, Health::new(), Metrics::new(), shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

async fn tell_again(republish: Republish, log_args: &logs::LogArgs) -> anyhow::Result<ExitCode> {
    let _guard = logs::init("write-service", log_args).map_err(anyhow::Error::from_boxed)?;
    for (context, database) in republish.contexts {
        let told = |topic, count| tracing::info!(topic, count, "told again");
        write_service::republish(context, &database, &republish.selection, told).await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn migrate(admin: &telemetry::database::Database, log_args: &logs::LogArgs) -> anyhow::Result<ExitCode> {
    let _guard = logs::init("write-service", log_args).map_err(anyhow::Error::from_boxed)?;
    let shutdown = shutdown::on_signal()?;
    let part = Health::new().part("database");
    if !database::wait_until_there(&admin.pool()?, &part, &shutdown).await {
        return Ok(ExitCode::FAILURE);
    }
    write_service::migrate(admin).await?;
    Ok(ExitCode::SUCCESS)
}
