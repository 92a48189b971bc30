//! One generation of a handler's effects as the inbox's tables know it: what a rebuild begins with, waits for and replaces.
//!
//! What is held here is held in the order in which an intake and a retry lock it: offsets, then parked aggregates, and
//! only then what the handler writes to.

use std::collections::BTreeMap;

use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Error;

use crate::schema::quote;

/// A generation of a handler's effects.
#[derive(Clone, Copy, Debug)]
pub struct Generation<'a> {
    /// The schema that holds the inbox's tables.
    pub schema: &'a str,
    /// The handler's name.
    pub handler: &'a str,
    /// The generation's number.
    pub number: i32,
}

/// What is held of a generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The next offset of each partition of the topic that was asked for.
    pub next: BTreeMap<i32, i64>,
    /// How many offsets there are, whatever their topics.
    pub offsets: u64,
}

const OF: &str = "handler = $1 AND generation = $2";

impl Generation<'_> {
    fn table(&self, name: &str) -> String {
        format!("{}.{name}", quote(self.schema))
    }

    /// The next offset of each partition of a topic, by its name on the cluster.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn next(&self, client: &impl GenericClient, topic: &str) -> Result<BTreeMap<i32, i64>, Error> {
        let sql =
            format!("SELECT partition, next_offset FROM {} WHERE {OF} AND topic = $3", self.table("inbox_offset"));
        let rows = client.query(&sql, &[&self.handler, &self.number, &topic]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Holds all of it until the transaction ends: no intake moves an offset meanwhile, and nothing is parked or retried.
    ///
    /// # Errors
    /// When the database refuses, or the locks cannot be had in time.
    pub async fn hold(&self, transaction: &Transaction<'_>, topic: &str) -> Result<Held, Error> {
        let offsets = format!(
            "SELECT topic = $3, partition, next_offset FROM {} WHERE {OF} ORDER BY topic, partition FOR UPDATE",
            self.table("inbox_offset")
        );
        let parked = format!(
            "SELECT FROM {} WHERE {OF} ORDER BY topic, partition, aggregate FOR UPDATE",
            self.table("inbox_parked")
        );
        let mut held = Held::default();
        for row in transaction.query(&offsets, &[&self.handler, &self.number, &topic]).await? {
            held.offsets += 1;
            if row.try_get(0)? {
                held.next.insert(row.try_get(1)?, row.try_get(2)?);
            }
        }
        transaction.execute(&parked, &[&self.handler, &self.number]).await?;
        Ok(held)
    }

    /// Sets offsets back to these where they are beyond them, and forgets those of partitions that are not among them.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn go_back(
        &self,
        transaction: &Transaction<'_>,
        topic: &str,
        to: &BTreeMap<i32, i64>,
    ) -> Result<(), Error> {
        let table = self.table("inbox_offset");
        let (numbers, offsets): (Vec<i32>, Vec<i64>) = to.iter().unzip();
        let forget = format!("DELETE FROM {table} WHERE {OF} AND NOT (topic = $3 AND partition = ANY ($4))");
        transaction.execute(&forget, &[&self.handler, &self.number, &topic, &numbers]).await?;
        let back = format!(
            "UPDATE {table} AS stored SET next_offset = least(next_offset, back.next)
             FROM unnest($4::int[], $5::bigint[]) AS back (partition, next)
             WHERE {OF} AND topic = $3 AND stored.partition = back.partition"
        );
        transaction.execute(&back, &[&self.handler, &self.number, &topic, &numbers, &offsets]).await?;
        Ok(())
    }

    /// Forgets its offsets and what was set aside. Gives how many offsets there were.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn forget(&self, transaction: &Transaction<'_>) -> Result<u64, Error> {
        for name in ["inbox_dead_letter", "inbox_parked"] {
            let sql = format!("DELETE FROM {} WHERE {OF}", self.table(name));
            transaction.execute(&sql, &[&self.handler, &self.number]).await?;
        }
        let sql = format!("DELETE FROM {} WHERE {OF}", self.table("inbox_offset"));
        transaction.execute(&sql, &[&self.handler, &self.number]).await
    }

    /// Makes it the generation of another number, of which there is nothing. Who fills that finds, at the next batch, that
    /// the offsets have moved, and goes on from where they are.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn becomes(&self, transaction: &Transaction<'_>, number: i32) -> Result<(), Error> {
        for name in ["inbox_offset", "inbox_parked", "inbox_dead_letter"] {
            let sql = format!("UPDATE {} SET generation = $3 WHERE {OF}", self.table(name));
            transaction.execute(&sql, &[&self.handler, &self.number, &number]).await?;
        }
        Ok(())
    }
}
