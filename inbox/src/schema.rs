//! The inbox's own tables: made, upgraded, and granted to the role that works with them.

use refinery::error::WrapMigrationError;
use tokio_postgres::Client;

mod embedded {
    refinery::embed_migrations!("migrations");
}

const HISTORY: &str = "inbox_migrations";

/// Creates or upgrades the inbox's tables in `schema`, which exists, and lets `role` read and write them. Several may
/// do so at once. The session's `search_path` is as before afterwards.
///
/// # Errors
/// When the database refuses.
pub async fn migrate(client: &mut Client, schema: &str, role: &str) -> Result<(), refinery::Error> {
    let lock = format!("inbox migrations of {schema}");
    client
        .execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", &[&lock])
        .await
        .migration_err("error taking the migrations' lock", None)?;
    let migrated = migrate_locked(client, schema, role).await;
    let unlocked = client.execute("SELECT pg_advisory_unlock(hashtextextended($1, 0))", &[&lock]).await;
    migrated?;
    unlocked.migration_err("error giving back the migrations' lock", None)?;
    Ok(())
}

async fn migrate_locked(client: &mut Client, schema: &str, role: &str) -> Result<(), refinery::Error> {
    let before: String = client
        .query_one("SELECT current_setting('search_path')", &[])
        .await
        .and_then(|row| row.try_get(0))
        .migration_err("error reading search_path", None)?;
    set_search_path(client, &quote(schema)).await?;
    let migrated = migrate_here(client, role).await;
    let restored = set_search_path(client, &before).await;
    migrated.and(restored)
}

async fn migrate_here(client: &mut Client, role: &str) -> Result<(), refinery::Error> {
    embedded::migrations::runner().set_migration_table_name(HISTORY).run_async(client).await?;
    let role = quote(role);
    client
        .batch_execute(&format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON inbox_offset, inbox_dead_letter, inbox_parked TO {role}"
        ))
        .await
        .migration_err("error granting the inbox's tables", None)
}

async fn set_search_path(client: &Client, path: &str) -> Result<(), refinery::Error> {
    client
        .execute("SELECT set_config('search_path', $1, false)", &[&path])
        .await
        .migration_err("error setting search_path", None)?;
    Ok(())
}

/// An identifier as SQL text.
pub(crate) fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
