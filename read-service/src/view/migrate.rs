//! Making the role, the schema and the tables. Safe to run again, and by two at once.

use telemetry::database::Database;
use tokio_postgres::Client;

use super::{ROLE, SCHEMA};

mod embedded {
    #![allow(missing_docs, unreachable_pub, reason = "generated")]
    refinery::embed_migrations!("src/view/migrations");
}

/// Why the migrations did not go through.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is not there, or does not let us in.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// A statement was refused.
    #[error("{step}: {reason}")]
    Statement {
        /// What was being made.
        step: &'static str,
        /// What PostgreSQL says.
        reason: String,
    },
    /// A migration was refused, or is not the one that was run here before.
    #[error("{step}: {source}")]
    Migration {
        /// Whose migrations.
        step: &'static str,
        /// What went wrong.
        source: Box<refinery::Error>,
    },
}

/// Roles belong to the whole server, so another database's migration may be making it at this moment.
const CREATE_ROLE: &str = "DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'read_service') THEN
        CREATE ROLE read_service NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$";

/// Reaching the schema, and nothing more.
const SCHEMA_SQL: &str = "CREATE SCHEMA IF NOT EXISTS view;
    REVOKE ALL ON SCHEMA view FROM PUBLIC;
    GRANT USAGE ON SCHEMA view TO read_service";

/// One migration at a time in this database; the lock goes with the connection.
const LOCK: &str = "SELECT pg_advisory_lock(hashtext('read-service'), hashtext('migrate'))";
const UNLOCK: &str = "SELECT pg_advisory_unlock(hashtext('read-service'), hashtext('migrate'))";

/// Creates or upgrades everything that the read service needs in its database, as the owner of it.
///
/// # Errors
/// When the database is not there or refuses a statement.
pub async fn migrate(owner: &Database) -> Result<(), Error> {
    let pool = owner.clone().pool_size(1).pool().map_err(|error| Error::Connect(error.to_string()))?;
    let mut connection = pool.get().await.map_err(|error| Error::Connect(telemetry::database::reason(&error)))?;
    let client: &mut Client = &mut connection;
    run(client, "waiting for another migration", LOCK).await?;
    let done = steps(client).await;
    // The connection may have been lost, and the lock with it.
    let _ = client.batch_execute(UNLOCK).await;
    done
}

async fn steps(client: &mut Client) -> Result<(), Error> {
    run(client, "role read_service", CREATE_ROLE).await?;
    run(client, "schema view", SCHEMA_SQL).await?;
    embedded::migrations::runner()
        .set_migration_table_name("view.migration")
        .run_async(client)
        .await
        .map_err(|source| Error::Migration { step: "views", source: Box::new(source) })?;
    inbox::migrate(client, SCHEMA, ROLE)
        .await
        .map_err(|source| Error::Migration { step: "inbox", source: Box::new(source) })
}

async fn run(client: &Client, step: &'static str, sql: &str) -> Result<(), Error> {
    let refused = |error| Error::Statement { step, reason: telemetry::database::reason(&error) };
    client.batch_execute(sql).await.map_err(refused)
}
