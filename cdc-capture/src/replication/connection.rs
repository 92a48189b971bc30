//! A connection in replication mode: statements before streaming, then the stream.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use pgwire::{
    error::ErrorInfo,
    messages::{PgWireBackendMessage, PgWireFrontendMessage, data::DataRow, simplequery::Query},
    tokio::client::PgWireClient,
};
use tokio::time::timeout;

use super::{Endpoint, Error, Slot, Stream, startup::ReplicationStartup};
use crate::names::{PublicationName, SlotName, quote_identifier};

/// How long connecting or a statement may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A session that is not streaming yet.
pub struct Connection {
    client: PgWireClient,
}

/// What `IDENTIFY_SYSTEM` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The cluster's identifier, one per `initdb`.
    pub system: u64,
    /// Its timeline; a failover starts a new one.
    pub timeline: u32,
    /// The database of this session.
    pub database: String,
}

/// A row of texts.
pub(super) type Row = Vec<Option<String>>;

impl Connection {
    /// Connects to the first endpoint that answers and is no standby: that has rows which its primary may yet lose, and
    /// not the slot.
    ///
    /// # Errors
    /// The last endpoint's, when there is none.
    pub(crate) async fn open(endpoints: &[Endpoint]) -> Result<Self, Error> {
        let mut last = Error::Unavailable("no host is named".to_owned());
        for endpoint in endpoints {
            let connecting =
                PgWireClient::connect(endpoint.config.clone(), ReplicationStartup::new(), endpoint.tls.clone());
            let mut connection = match timeout(PATIENCE, connecting).await {
                Ok(Ok(client)) => Self { client },
                Ok(Err(error)) => {
                    last = error.into();
                    continue;
                }
                Err(_) => {
                    last = Error::Unavailable(format!("no answer within {PATIENCE:?}"));
                    continue;
                }
            };
            match connection.is_standby().await {
                Ok(false) => return Ok(connection),
                Ok(true) => {
                    last = Error::Unavailable(format!(
                        "{} is a standby: name its primary, or all servers (host1,host2), in --database-url",
                        endpoint.name
                    ));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn is_standby(&mut self) -> Result<bool, Error> {
        let rows = self.query("SELECT pg_is_in_recovery()").await?;
        Ok(rows.first().and_then(|row| row.first()?.as_deref()) == Some("t"))
    }

    /// Lets the slot be copied to the standbys, from PostgreSQL 17 on. Nobody may be streaming it.
    ///
    /// # Errors
    /// When the server refuses, or the connection fails.
    pub(crate) async fn make_failover(&mut self, slot: &SlotName) -> Result<(), Error> {
        let statement = format!("ALTER_REPLICATION_SLOT {} (FAILOVER true)", quote_identifier(slot.as_str()));
        self.query(&statement).await.map(drop)
    }

    /// Asks which server this is.
    ///
    /// # Errors
    /// When the connection fails or the answer cannot be read.
    pub async fn identify(&mut self) -> Result<Server, Error> {
        let rows = self.query("IDENTIFY_SYSTEM").await?;
        let column = |at: usize| rows.first()?.get(at)?.as_deref();
        let server = || {
            Some(Server {
                system: column(0)?.parse().ok()?,
                timeline: column(1)?.parse().ok()?,
                database: column(3)?.to_owned(),
            })
        };
        server().ok_or_else(|| Error::Protocol("an unreadable answer to IDENTIFY_SYSTEM".to_owned()))
    }

    /// Runs one statement by the simple protocol, the only one there is in replication mode.
    pub(super) async fn query(&mut self, statement: &str) -> Result<Vec<Row>, Error> {
        timeout(PATIENCE, self.query_unbounded(statement))
            .await
            .unwrap_or_else(|_| Err(Error::Unavailable(format!("no answer to a statement within {PATIENCE:?}"))))
    }

    pub(super) async fn query_unbounded(&mut self, statement: &str) -> Result<Vec<Row>, Error> {
        self.client.send(PgWireFrontendMessage::Query(Query::new(statement.to_owned()))).await?;
        let (mut rows, mut failure) = (Vec::new(), None);
        loop {
            match self.next().await? {
                PgWireBackendMessage::DataRow(row) => rows.push(texts(&row)?),
                PgWireBackendMessage::ErrorResponse(error) => failure = Some(ErrorInfo::from(error)),
                PgWireBackendMessage::ReadyForQuery(_) => break,
                _ => {}
            }
        }
        failure.map_or(Ok(rows), |failure| Err(Error::reported(&failure)))
    }

    pub(super) async fn next(&mut self) -> Result<PgWireBackendMessage, Error> {
        Ok(self.client.next().await.ok_or_else(Error::closed)??)
    }

    /// Starts streaming from the position that the server has confirmed for the slot; with `messages`, logical messages
    /// too.
    ///
    /// # Errors
    /// When another has the slot, or the connection fails.
    pub async fn start(
        mut self,
        slot: &SlotName,
        publication: &PublicationName,
        messages: bool,
        state: &Slot,
    ) -> Result<Stream, Error> {
        // 0/0 means "where the slot is": the server's position wins in any case.
        let statement = format!(
            "START_REPLICATION SLOT {} LOGICAL 0/0 (proto_version '1', publication_names {}{})",
            quote_identifier(slot.as_str()),
            // The replication grammar knows no E strings; a backslash means itself there.
            format_args!("'{}'", quote_identifier(publication.as_str()).replace('\'', "''")),
            if messages { ", messages 'true'" } else { "" },
        );
        let starting = async {
            self.client.send(PgWireFrontendMessage::Query(Query::new(statement))).await?;
            loop {
                match self.next().await? {
                    PgWireBackendMessage::CopyBothResponse(_) => return Ok(()),
                    PgWireBackendMessage::ErrorResponse(error) => {
                        return Err(Error::reported(&ErrorInfo::from(error)));
                    }
                    _ => {}
                }
            }
        };
        timeout(PATIENCE, starting)
            .await
            .unwrap_or_else(|_| Err(Error::Unavailable(format!("streaming did not start within {PATIENCE:?}"))))?;
        Ok(Stream::new(self.client, state))
    }
}

fn texts(row: &DataRow) -> Result<Row, Error> {
    let malformed = || Error::Protocol("a row that ends too soon".to_owned());
    let (mut rest, mut values) = (&row.data[..], Vec::new());
    for _ in 0..row.field_count {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
        rest = after;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            values.push(None);
            continue;
        };
        let (value, after) = rest.split_at_checked(length).ok_or_else(malformed)?;
        values.push(Some(String::from_utf8_lossy(value).into_owned()));
        rest = after;
    }
    Ok(values)
}
