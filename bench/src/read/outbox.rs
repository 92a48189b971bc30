//! The write side of a chain: its database, events that wait in its outbox, and the relay.

use anyhow::{Context, Result};
use contracts::{direct_booking::BOOKING, envelope::names};
use futures::SinkExt;
use servers::Process;
use tokio_postgres::Client;

use super::{bookings::Told, house::House};
use crate::services::{self, connect, done};

const CONTEXTS: [&str; 5] = ["accounts", "direct_booking", "payments", "housekeeping", "channel_manager"];
const COPY: &str = "COPY direct_booking.outbox (id, aggregatetype, aggregateid, type, payload, aggregateversion, headers) \
                    FROM STDIN";
/// Rows of a transaction.
const TRANSACTION: usize = 10_000;

/// The write service's database.
pub(super) struct Outbox {
    /// The database's name, and its first slot's.
    pub(super) name: &'static str,
    pub(super) url: String,
    session: Client,
}

impl Outbox {
    /// Makes a database of this name, its publication, and a slot of this name, too.
    pub(super) async fn open(house: &House, name: &'static str) -> Result<Self> {
        house.postgres.create_database(name).await?;
        let url = house.postgres.url(name);
        services::migrate("write-service", &url).await?;
        let tables = CONTEXTS.map(|context| format!("--table={context}.outbox"));
        let mut args = vec!["setup", "--role", "postgres", "--slot", name];
        args.extend(tables.iter().map(String::as_str));
        done("cdc-capture", &args, &[("ADMIN_DATABASE_URL", &url)]).await?;
        Ok(Self { name, session: connect(&url).await?, url })
    }

    /// Makes a slot. It has every row that is inserted from now on.
    pub(super) async fn slot(&self, name: &str) -> Result<()> {
        let make = "SELECT pg_create_logical_replication_slot($1, 'pgoutput')";
        self.session.execute(make, &[&name]).await.context("cannot make a slot").map(drop)
    }

    /// Removes all events.
    pub(super) async fn empty(&self) -> Result<()> {
        self.session.batch_execute("TRUNCATE direct_booking.outbox").await.context("cannot empty the outbox")
    }

    /// Inserts events, many in a transaction, and writes everything to disk.
    pub(super) async fn fill(&self, told: impl Iterator<Item = Result<Told>>) -> Result<()> {
        let mut told = told.peekable();
        while told.peek().is_some() {
            let mut lines = String::new();
            for told in told.by_ref().take(TRANSACTION) {
                line(&told?, &mut lines)?;
            }
            let sink = self.session.copy_in(COPY).await.context("cannot write to the outbox")?;
            let mut sink = std::pin::pin!(sink);
            sink.send(bytes::Bytes::from(lines)).await?;
            sink.finish().await.context("cannot write to the outbox")?;
        }
        self.session.batch_execute("CHECKPOINT").await.context("cannot write a checkpoint")
    }

    /// Starts the relay on a slot, to the topics of this prefix.
    pub(super) fn relay(&self, house: &House, slot: &str, prefix: &str) -> Result<Process> {
        let bootstrap = house.kafka.bootstrap_servers();
        let args = ["run", "--admin-listen", "127.0.0.1:0", "--database-url", &self.url, "--slot", slot];
        let kafka = ["--kafka-bootstrap-servers", &bootstrap, "--topic-prefix", prefix];
        Process::spawn("cdc-capture", args.iter().chain(&kafka), &[("RUST_LOG", "warn")])
    }
}

/// A row as COPY's text format has it.
fn line(told: &Told, lines: &mut String) -> Result<()> {
    use std::fmt::Write as _;

    const OWN: [&str; 5] =
        [names::SOURCE, names::DATASCHEMA, names::CORRELATION_ID, names::CAUSATION_ID, names::TRACEPARENT];
    let envelope = &told.envelope;
    let headers = envelope.to_headers().into_iter().filter(|(name, _)| OWN.contains(name));
    let headers: serde_json::Map<_, _> = headers.map(|(name, value)| (name.to_owned(), value.into())).collect();
    let headers = serde_json::to_string(&headers)?;
    let document = serde_json::to_string(&told.document)?;
    let (id, subject, ty, version) = (envelope.id, &envelope.subject, &envelope.ty, told.document.version);
    // Neither JSON has a backslash, a tab or a line break here.
    writeln!(lines, "{id}\t{}\t{subject}\t{ty}\t{document}\t{version}\t{headers}", BOOKING.name)?;
    Ok(())
}
