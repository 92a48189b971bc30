//! `read-service`: parses its settings, wires, runs.

mod allocator;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use read_service::{InboxArgs, RebuildArgs, RebuildSettings, ServeArgs};
use telemetry::{
    database::Database,
    health::Health,
    logs::{self, LogArgs},
    metrics::Metrics,
    settings::{self, Problems},
    shutdown,
};
use tokio::net::TcpListener;

/// Views of what the contexts tell, served as GraphQL.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one, and it is used once")]
enum Command {
    /// Creates or upgrades the views, their schema and their role. Safe to run again.
    Migrate(MigrateArgs),
    /// Shows what projections could not apply, and sees to it. Works while the service runs.
    Inbox(InboxArgs),
    /// Fills views anew from Kafka, while they are served, and puts them in place of the old ones.
    Rebuild(RebuildArgs),
    /// Fills the views from Kafka and serves them.
    Serve(ServeArgs),
}

#[derive(clap::Args)]
struct MigrateArgs {
    /// The read database, as its owner, who may create roles.
    #[arg(long, env = "MIGRATION_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    migration_database_url: Option<String>,

    #[command(flatten)]
    logs: LogArgs,
}

impl MigrateArgs {
    fn check(&self) -> Result<Database, Problems> {
        let mut problems = Problems::new();
        self.logs.check(&mut problems);
        let setting = "--migration-database-url / MIGRATION_DATABASE_URL";
        let database = Database::check(setting, self.migration_database_url.as_deref(), &mut problems);
        problems.finish(database)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Migrate(args) => match args.check() {
            Ok(database) => migrate(&args.logs, &database).await,
            Err(problems) => return settings::refuse(&problems),
        },
        Command::Inbox(args) => match args.check() {
            Ok(database) => return inbox(&args, &database).await,
            Err(problems) => return settings::refuse(&problems),
        },
        Command::Rebuild(args) => {
            let logs = args.logs.clone();
            match args.check() {
                Ok(settings) => rebuild(&logs, settings).await,
                Err(problems) => return settings::refuse(&problems),
            }
        }
        Command::Serve(args) => {
            let logs = args.logs.clone();
            match args.check() {
                Ok((settings, listen)) => serve(&logs, settings, listen).await,
                Err(problems) => return settings::refuse(&problems),
            }
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn migrate(logs: &LogArgs, database: &Database) -> anyhow::Result<()> {
    let _guard = logs::init("read-service", logs).map_err(anyhow::Error::from_boxed)?;
    let shutdown = shutdown::on_signal()?;
    let part = Health::new().part("database");
    if !telemetry::database::wait_until_there(&database.pool()?, &part, &shutdown).await {
        anyhow::bail!("ended before PostgreSQL answered");
    }
    read_service::migrate(database).await?;
    tracing::info!("the views are up to date");
    Ok(())
}

/// Exits with 1 when something is left to be done; what is printed says what.
#[allow(clippy::print_stderr, reason = "a command talks to who typed it")]
async fn inbox(args: &InboxArgs, database: &Database) -> ExitCode {
    let done = async {
        let desk = read_service::desk(database)?;
        anyhow::Ok(inbox::command::run(&args.action, &[desk], &mut std::io::stdout()).await?)
    };
    match done.await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn rebuild(logs: &LogArgs, settings: RebuildSettings) -> anyhow::Result<()> {
    let _guard = logs::init("read-service", logs).map_err(anyhow::Error::from_boxed)?;
    let shutdown = shutdown::on_signal()?;
    let rebuilt = read_service::rebuild(settings, shutdown).await;
    rebuilt.map_err(|(view, error)| anyhow::anyhow!("{}: {error}", view.table()))
}

async fn serve(logs: &LogArgs, settings: read_service::Settings, listen: std::net::SocketAddr) -> anyhow::Result<()> {
    let _guard = logs::init("read-service", logs).map_err(anyhow::Error::from_boxed)?;
    let shutdown = shutdown::on_signal()?;
    let listener =
        TcpListener::bind(listen).await.map_err(|error| anyhow::anyhow!("cannot listen on {listen}: {error}"))?;
    tracing::info!(address = %listener.local_addr()?, "serving GraphQL");
    read_service::serve(settings, listener, Health::new(), Metrics::new(), shutdown).await?;
    Ok(())
}
