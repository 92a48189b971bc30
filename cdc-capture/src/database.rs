//! The database as an ordinary client sees it: the flags that name it, and a plain connection for questions that are put
//! beside the stream.

use clap::Args;
use telemetry::{
    database::{Database, reason},
    settings::Problems,
};
use tokio_postgres::{Client, config::TargetSessionAttrs};

const URL: &str = "--database-url / DATABASE_URL";

/// The flags that name the database as the relay's role.
#[derive(Debug, Args)]
pub struct DatabaseArgs {
    /// The database with the outbox, as a role with REPLICATION: `postgres://user:password@host/database`. Without
    /// `sslmode`, TLS is off on this machine and verified for every other; `sslrootcert` names a CA's file. Of several
    /// hosts (`host1,host2`) it is the one that is no standby.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,

    /// A file with the password, for a URL without one. Read once, at the start.
    #[arg(long, env = "DATABASE_PASSWORD_FILE", value_name = "FILE")]
    database_password_file: Option<String>,
}

impl DatabaseArgs {
    /// Checks the flags, noting each problem.
    pub fn check(&self, problems: &mut Problems) -> Option<Database> {
        let file = ("--database-password-file / DATABASE_PASSWORD_FILE", &self.database_password_file);
        let database = database(URL, &self.database_url, file, problems)?;
        if database.config().get_user().is_none() {
            problems.add(URL, "no user is named");
        }
        Some(database)
    }
}

/// The flags that name the database as a role that may prepare it.
#[derive(Debug, Args)]
pub struct AdminDatabaseArgs {
    /// The database, as the tables' owner with REPLICATION, or as a superuser.
    #[arg(long, env = "ADMIN_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    admin_url: Option<String>,

    /// A file with the password, for a URL without one.
    #[arg(long, env = "ADMIN_DATABASE_PASSWORD_FILE", value_name = "FILE")]
    admin_password_file: Option<String>,
}

impl AdminDatabaseArgs {
    /// Checks the flags, noting each problem.
    pub fn check(&self, problems: &mut Problems) -> Option<Database> {
        let file = ("--admin-password-file / ADMIN_DATABASE_PASSWORD_FILE", &self.admin_password_file);
        database("--admin-url / ADMIN_DATABASE_URL", &self.admin_url, file, problems)
    }
}

fn database(
    setting: &str,
    url: &Option<String>,
    (file_setting, file): (&str, &Option<String>),
    problems: &mut Problems,
) -> Option<Database> {
    let database = Database::check(setting, url.as_deref().filter(|url| !url.is_empty()), problems)?;
    Some(match file.as_deref().filter(|file| !file.is_empty()) {
        Some(file) => database.password_from_file(file_setting, file, problems),
        None => database,
    })
}

/// Connects. The second part is the connection itself: it must be polled beside the client, and ends with it.
pub(crate) async fn connect(database: &Database) -> Result<(Client, impl Future<Output = ()> + use<>), String> {
    let tls = database.tls().map_err(|error| error.to_string())?;
    let mut config = database.config().clone();
    if config.get_hosts().len() > 1 {
        // As for the stream: the primary, wherever that is now.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    let (client, connection) = config.connect(tls).await.map_err(|error| reason(&error))?;
    Ok((client, async move {
        // Ends when the client is dropped; an error shows in the statement that it interrupts.
        let _ = connection.await;
    }))
}
