//! Creates or upgrades every context's schema, and the role that may work in it and nowhere else.

use contracts::{Cleanup, Topic};
use deadpool_postgres::PoolError;
use telemetry::database::Database;
use tokio_postgres::{Client, error::SqlState};

use crate::{context::Context, contexts};

/// What every schema has: the outbox, and the answers to commands.
mod foundation {
    refinery::embed_migrations!("src/migrations");
}

/// Where a schema says which of those it has.
const FOUNDATION: &str = "foundation_migrations";

/// Held during a migration, so that two at once follow each other. Any number that nobody else uses.
const LOCK: i64 = 0x5741_5942_494c_4c01;

/// Why the schemas could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] std::io::Error),
    /// The database cannot be reached.
    #[error("the database cannot be reached")]
    Unreachable(#[from] PoolError),
    /// The database refuses a statement.
    #[error("the database refuses")]
    Refused(#[from] tokio_postgres::Error),
    /// A migration fails, or those applied are not those of this program.
    #[error("schema {schema} cannot be migrated")]
    Migration {
        /// The schema.
        schema: &'static str,
        /// Why.
        source: Box<refinery::Error>,
    },
}

/// Brings the schemas of all contexts up to date, as the database's owner or an administrator. May be run at any time,
/// also by several at once.
///
/// # Errors
/// When the database cannot be reached or refuses. What had been done before stays, and a second run goes on from there.
pub async fn migrate(admin: &Database) -> Result<(), MigrateError> {
    let pool = admin.clone().application_name("write-service migrate").pool_size(1).pool()?;
    let mut connection = pool.get().await?;
    let client: &mut Client = &mut connection;
    client.execute("select pg_advisory_lock($1)", &[&LOCK]).await?;
    let done = migrate_all(client).await;
    // Closing the connection releases the lock too, but not before the pool gets to it.
    client.execute("select pg_advisory_unlock($1)", &[&LOCK]).await?;
    done
}

async fn migrate_all(client: &mut Client) -> Result<(), MigrateError> {
    for context in contexts::ALL {
        migrate_one(client, context).await?;
    }
    Ok(())
}

async fn migrate_one(client: &mut Client, context: &Context) -> Result<(), MigrateError> {
    let schema = context.schema;
    let failed = |source: refinery::Error| MigrateError::Migration { schema, source: Box::new(source) };
    ensure_role(client, schema).await?;
    client.batch_execute(&format!("create schema if not exists {schema}; set search_path to {schema}")).await?;
    foundation::migrations::runner().set_migration_table_name(FOUNDATION).run_async(client).await.map_err(failed)?;
    let report = (context.migrations)().run_async(client).await.map_err(failed)?;
    client
        .batch_execute(&format!(
            "{};
             reset search_path;
             grant usage on schema {schema} to {schema};
             grant select on {schema}.refinery_schema_history to {schema}",
            types(context)
        ))
        .await?;
    if !context.reactors.is_empty() {
        inbox::migrate(client, schema, schema).await.map_err(failed)?;
    }
    tracing::info!(schema, applied = report.applied_migrations().len(), "migrated");
    Ok(())
}

/// Holds the outbox to the types that the context owns, and tombstones to those of collections: on a journal one would mean
/// nothing. What is there already may be of a type that the contract has no more.
fn types(context: &Context) -> String {
    let list = |topics: &mut dyn Iterator<Item = &Topic>| {
        topics.map(|topic| format!("'{}'", topic.name)).collect::<Vec<_>>().join(", ")
    };
    let own = list(&mut context.topics.iter());
    let collections = list(&mut context.topics.iter().filter(|topic| topic.cleanup == Cleanup::Collection));
    let collections = if collections.is_empty() { "null".to_owned() } else { collections };
    format!(
        "alter table outbox
         drop constraint if exists outbox_is_of_this_context,
         drop constraint if exists outbox_tombstone_is_of_a_collection,
         add constraint outbox_is_of_this_context check (aggregatetype in ({own})) not valid,
         add constraint outbox_tombstone_is_of_a_collection
             check (payload is not null or coalesce(aggregatetype in ({collections}), false)) not valid"
    )
}

/// How often a role is looked for that somebody else is about to have made.
const LOOKS: u32 = 20;

/// Roles belong to the whole cluster, and a neighbour's migration may create the same one at the same moment: it can be there
/// already, and yet not be seen for an instant.
async fn ensure_role(client: &Client, name: &str) -> Result<(), tokio_postgres::Error> {
    let mut looks = 0;
    loop {
        match client.batch_execute(&role(name)).await {
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) && looks < LOOKS => looks += 1,
            done => return done,
        }
    }
}

fn role(name: &str) -> String {
    format!(
        "do $$ begin
           if not exists (select from pg_roles where rolname = '{name}') then
             create role {name} nologin;
           end if;
         exception when duplicate_object or unique_violation then null;
         end $$;
         do $$ begin
           if not pg_has_role(current_user, '{name}', 'member') then
             execute format('grant {name} to %I', current_user);
           end if;
         exception when duplicate_object or unique_violation then null;
         end $$"
    )
}
