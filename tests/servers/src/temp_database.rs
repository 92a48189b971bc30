//! A database for one test or one run of the demo, dropped with the value that stands for it.
//!
//! Roles and replication slots belong to the whole server, not to a database. So its logins have unique names, and its
//! slots are dropped by the database they belong to.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;

use crate::postgres::{quoted_identifier, quoted_literal, with_session};
use crate::shared;
use crate::unique::{random_word, unique};

/// How long a slot may stay in use, or a database refuse to go.
const PATIENCE: Duration = Duration::from_secs(10);

/// An empty database with a name of its own. Dropping it drops the database, whoever is connected to it, with its
/// logical replication slots and the logins made through it.
#[derive(Debug)]
pub struct TempDatabase {
    name: String,
    admin_url: String,
    logins: Mutex<Vec<String>>,
}

/// A role that may log in.
#[derive(Clone, Debug)]
pub struct Login {
    /// The role's name, unique on the server.
    pub role: String,
    /// The database as this role.
    pub url: String,
}

impl TempDatabase {
    /// Makes an empty database on the shared server.
    ///
    /// # Panics
    /// When there is no shared server, or it makes no database.
    pub async fn create(purpose: &str) -> Self {
        Self::create_on(&shared::postgres().admin_url, purpose).await.expect("the server makes a database")
    }

    /// Makes an empty database on the server of `admin_url`, a superuser's.
    pub async fn create_on(admin_url: &str, purpose: &str) -> Result<Self> {
        let name = format!("tmp_{}", unique(purpose, '_'));
        let create = format!("CREATE DATABASE {} TEMPLATE template0", quoted_identifier(&name));
        with_session(admin_url, async |session| session.batch_execute(&create).await)
            .await
            .with_context(|| format!("cannot make the database {name}"))?;
        Ok(Self { name, admin_url: admin_url.to_owned(), logins: Mutex::default() })
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL as the superuser.
    pub fn url(&self) -> String {
        with_database(&self.admin_url, &self.name)
    }

    /// Makes a login with a unique name and a random password. `options` are those of `CREATE ROLE`, such as
    /// `REPLICATION` or `NOINHERIT IN ROLE accounts`.
    pub async fn create_login(&self, purpose: &str, options: &str) -> Result<Login> {
        let role = unique(purpose, '_');
        let password = random_word(20);
        let create =
            format!("CREATE ROLE {} LOGIN PASSWORD {} {options}", quoted_identifier(&role), quoted_literal(&password));
        with_session(&self.admin_url, async |session| session.batch_execute(&create).await)
            .await
            .with_context(|| format!("cannot make the login {role}"))?;
        self.logins.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(role.clone());
        let url = with_login(&self.url(), &role, &password);
        Ok(Login { role, url })
    }
}

impl Drop for TempDatabase {
    /// Best effort: what remains goes with the server.
    fn drop(&mut self) {
        let logins = std::mem::take(self.logins.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner));
        let (name, admin_url) = (self.name.clone(), self.admin_url.clone());
        // The test's runtime may be the one that this thread blocks, so the work gets a runtime of its own.
        let cleaner = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(with_session(&admin_url, async |session| remove(session, &name, &logins).await))
        });
        match cleaner.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("the database {} stays: {error:#}", self.name),
            Err(_) => eprintln!("the database {} stays", self.name),
        }
    }
}

async fn remove(session: &Client, database: &str, logins: &[String]) -> Result<(), tokio_postgres::Error> {
    let deadline = Instant::now() + PATIENCE;
    let drop_database = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted_identifier(database));
    loop {
        session
            .execute(
                "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = $1",
                &[&database],
            )
            .await?;
        session
            .execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1 AND NOT active",
                &[&database],
            )
            .await
            .ok();
        match session.batch_execute(&drop_database).await {
            Ok(()) => break,
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
    for login in logins {
        session.batch_execute(&format!("DROP ROLE IF EXISTS {}", quoted_identifier(login))).await?;
    }
    Ok(())
}

/// The same server's URL for another database.
fn with_database(url: &str, database: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let server = path.split_once('/').map_or(path, |(server, _)| server);
    match query {
        Some(query) => format!("{scheme}://{server}/{database}?{query}"),
        None => format!("{scheme}://{server}/{database}"),
    }
}

/// The same URL for another login, whose name and password need no escaping.
fn with_login(url: &str, role: &str, password: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let end_of_server = rest.find('/').unwrap_or(rest.len());
    let (server, path) = rest.split_at(end_of_server);
    let host = server.rsplit_once('@').map_or(server, |(_, host)| host);
    format!("{scheme}://{role}:{password}@{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_changed_in_one_part_only() {
        let url = "postgres://postgres:secret@127.0.0.1:5432/postgres?connect_timeout=3";
        let database = with_database(url, "hotel");
        assert_eq!(database, "postgres://postgres:secret@127.0.0.1:5432/hotel?connect_timeout=3");
        assert_eq!(
            with_login(&database, "capture", "pw"),
            "postgres://capture:pw@127.0.0.1:5432/hotel?connect_timeout=3"
        );
        assert_eq!(with_database("postgres://localhost", "hotel"), "postgres://localhost/hotel");
        assert_eq!(with_login("postgres://localhost/hotel", "a", "b"), "postgres://a:b@localhost/hotel");
    }
}
