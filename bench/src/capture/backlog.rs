//! Rows for the outbox: many before a run, or one at a time during it.

use anyhow::{Context, Result};
use tokio_postgres::{Client, Statement};

use super::stage::{KIND, Stage};
use crate::warm::PAYLOAD;

/// Rows go to so many aggregates, hence keys.
const AGGREGATES: u32 = 5_000;
/// Connections that insert single-row transactions.
const INSERTERS: u64 = 4;

/// Rows that wait in the outbox before a relay starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backlog {
    pub(super) rows: u64,
    pub(super) per_transaction: u64,
}

impl Backlog {
    /// In transactions of 10,000 rows.
    pub(super) fn batched(rows: u64) -> Self {
        Self { rows, per_transaction: 10_000 }
    }

    /// One row a transaction.
    pub(super) fn single(rows: u64) -> Self {
        Self { rows, per_transaction: 1 }
    }

    pub(super) async fn insert(self, stage: &Stage) -> Result<()> {
        if self.per_transaction == 1 { self.insert_singly(stage).await } else { self.insert_batches(stage).await }
    }

    async fn insert_batches(self, stage: &Stage) -> Result<()> {
        let key = format!("'booking-' || (row % {AGGREGATES})");
        let insert = format!("{} FROM generate_series($1::bigint, $2::bigint) row", insert(&key, "row"));
        let insert = stage.session.prepare(&insert).await?;
        let mut start = 1;
        while start <= self.rows {
            let end = (start + self.per_transaction - 1).min(self.rows);
            let bounds = (start.cast_signed(), end.cast_signed());
            stage.session.execute(&insert, &[&bounds.0, &bounds.1]).await.context("cannot insert rows")?;
            start = end + 1;
        }
        Ok(())
    }

    /// Nobody waits for the disk here: the backlog is what is measured, not its making.
    async fn insert_singly(self, stage: &Stage) -> Result<()> {
        let mut inserters = Vec::new();
        for at in 0..INSERTERS {
            let session = stage.connect().await?;
            let (start, end) = (at * self.rows / INSERTERS, (at + 1) * self.rows / INSERTERS);
            let insert = insert(&format!("'booking-' || ($1 % {AGGREGATES})"), "$2").replace('\'', "''");
            let statements =
                format!("SET synchronous_commit = off; CALL insert_singly('{insert}', {}, {})", end - start, start + 1);
            inserters.push(tokio::spawn(async move {
                // One statement each: a procedure may commit only outside of a transaction.
                for statement in statements.split("; ") {
                    session.batch_execute(statement).await?;
                }
                Ok::<_, tokio_postgres::Error>(())
            }));
        }
        for inserter in inserters {
            inserter.await?.context("cannot insert rows")?;
        }
        Ok(())
    }
}

/// The statement up to its FROM; `key` and `version` are SQL.
fn insert(key: &str, version: &str) -> String {
    let open = PAYLOAD - 2;
    format!(
        "INSERT INTO outbox (aggregatetype, aggregateid, type, payload, aggregateversion, headers)
         SELECT '{KIND}', {key}, 'BookingMade',
                (rpad('{{\"bookingId\":\"' || {key} || '\",\"notes\":\"', {open}, 'n') || '\"}}')::json, {version},
                '{{\"ce_source\":\"/bench\",\"ce_correlationid\":\"0193d9a4-7c3e-7f2b-9a59-2f5a0a4f1c11\"}}'"
    )
}

/// Inserts one row per transaction, on one connection.
pub(super) struct Inserter {
    session: Client,
    insert: Statement,
}

impl Inserter {
    pub(super) async fn new(stage: &Stage) -> Result<Self> {
        let session = stage.connect().await?;
        let insert = session.prepare(&insert("$1::text", "1")).await.context("cannot prepare an insert")?;
        Ok(Self { session, insert })
    }

    /// Inserts a row with this number as its key, and returns when it is committed.
    pub(super) async fn insert(&self, number: u64) -> Result<()> {
        self.session.execute(&self.insert, &[&number.to_string()]).await.context("cannot insert a row").map(drop)
    }
}
