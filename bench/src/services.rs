//! What every benchmark's stage needs: the servers, and the programs of this workspace as processes, until they are ready and
//! to their end in good order.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use servers::{Postgres, PostgresOptions, Process};
use tokio_postgres::{Client, NoTls};

const START: Duration = Duration::from_secs(60);
const END: Duration = Duration::from_secs(30);

/// A PostgreSQL that keeps what was committed, with a shared buffer of this size. What starts by itself in one run and not in another
/// would be measured too: there is no autovacuum.
pub(crate) async fn postgres(shared_buffers: &str) -> Result<Postgres> {
    let settings = [
        ("shared_buffers", shared_buffers),
        ("max_wal_size", "4GB"),
        ("autovacuum", "off"),
        ("max_connections", "200"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Postgres::start(PostgresOptions { settings, fsync: true, ..PostgresOptions::default() }).await
}

/// A session.
pub(crate) async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("cannot connect to PostgreSQL")?;
    // Its end shows in the statement that it interrupts.
    tokio::spawn(connection);
    Ok(client)
}

/// Runs statements, each by itself, since some may not be in a transaction with others.
pub(crate) async fn execute(session: &Client, statements: &str) -> Result<()> {
    for statement in statements.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        session.batch_execute(statement).await.with_context(|| format!("cannot execute {statement}"))?;
    }
    Ok(())
}

/// An address that nobody listens on.
pub(crate) fn free_address() -> Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// Makes a service's tables.
pub(crate) async fn migrate(program: &str, url: &str) -> Result<()> {
    done(program, &["migrate"], &[("MIGRATION_DATABASE_URL", url)]).await
}

/// Runs a program to its end, which has to be a good one.
pub(crate) async fn done(program: &str, args: &[&str], envs: &[(&str, &str)]) -> Result<()> {
    let process = Process::spawn(program, args, envs)?;
    let status = process.wait(START).await?;
    ensure!(status.success(), "{program}: {status}\n{}", process.log());
    Ok(())
}

/// Waits until a service says that it is ready.
pub(crate) async fn until_ready(address: &str, process: &Process) {
    servers::eventually("it is ready", START, async || match crate::http::get(address, "/readyz").await {
        Ok(200) => Ok(Some(())),
        other => Err(format!("{other:?}; its log:\n{}", process.log())),
    })
    .await;
}

/// Ends a service in good order.
pub(crate) async fn end(process: Process, name: &str) -> Result<()> {
    let status = process.terminate(END).await?;
    ensure!(status.success(), "{name} ended with {status}; its log:\n{}", process.log());
    Ok(())
}
