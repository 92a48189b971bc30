//! A short session with a server, for what the harness itself has to say to it.

use std::pin::pin;

use anyhow::{Context, Result, bail};
use tokio_postgres::{Client, NoTls};

/// Connects, does `work`, disconnects.
pub(crate) async fn with_session<T>(
    url: &str,
    work: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
) -> Result<T> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("cannot connect to PostgreSQL")?;
    let mut connection = pin!(connection);
    tokio::select! {
        done = work(&client) => Ok(done?),
        end = &mut connection => match end {
            Ok(()) => bail!("PostgreSQL closed the connection"),
            Err(error) => Err(error).context("lost the connection to PostgreSQL"),
        },
    }
}

/// A name for use in a statement.
pub(crate) fn quoted_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text for use in a statement or in postgresql.conf.
pub(crate) fn quoted_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
