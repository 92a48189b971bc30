//! The rows of the outbox tables as a snapshot sees them, in the very form in which the stream would bring them.
//!
//! Values come by the simple protocol, which writes them with their types' output functions as the stream does; a cast to
//! text would write some types otherwise. Only rows that the publication publishes are read.

use futures::{Stream, StreamExt};
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::{
    Error, Refusal,
    aggregates::{Aggregates, Retained},
    error::unavailable,
};
use crate::{
    Settings,
    names::{TableName, quote_identifier},
    outbox::{Format, Part},
    pgoutput::{Column, Relation},
};

/// No time limit of the role's or the database's ends a long transaction, texts are those of the stream, and rows that
/// the role may not see are an error.
const SESSION: &str = "
    SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout',
        'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout');
    SET DateStyle = 'ISO, YMD'; SET TimeZone = 'UTC'; SET row_security = off;";

/// A table of the publication.
pub(super) struct Outbox {
    name: TableName,
    /// Which of its rows are published.
    filter: Option<String>,
    columns: Vec<(String, u32)>,
    /// Topic, key and version of a row, in SQL.
    topic: String,
    key: String,
    version: String,
}

/// A row with its place.
pub(super) struct Row(SimpleQueryRow);

/// What all rows have in common, beside [`Aggregates`].
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) rows: u64,
    /// Rows without a version.
    pub(super) unversioned: u64,
    /// Aggregates with several rows of one version.
    pub(super) ambiguous: u64,
    /// The topics, without prefix.
    pub(super) topics: std::collections::BTreeSet<String>,
}

/// Opens the transaction in which everything is read.
pub(super) async fn begin(client: &Client, snapshot: &str) -> Result<(), Error> {
    client.batch_execute(SESSION).await.map_err(|error| unavailable(&error))?;
    let snapshot = crate::names::quote_literal(snapshot);
    let begin = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {snapshot}");
    client.batch_execute(&begin).await.map_err(|error| unavailable(&error))
}

/// The publication's tables, each of which must have versions.
pub(super) async fn outboxes(client: &Client, settings: &Settings) -> Result<Vec<Outbox>, Error> {
    let ask = "SELECT t.schemaname::text, t.tablename::text, t.rowfilter, a.attname::text, a.atttypid,
            has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
        FROM pg_publication_tables t JOIN pg_namespace n ON n.nspname = t.schemaname
        JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
        JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE t.pubname = $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY (t.attnames)
        ORDER BY 1, 2, a.attnum";
    let rows = client.query(ask, &[&settings.publication.as_str()]).await.map_err(|error| unavailable(&error))?;
    let mut outboxes = Vec::new();
    for table in rows.chunk_by(|a, b| (a.get::<_, &str>(0), a.get::<_, &str>(1)) == (b.get(0), b.get(1))) {
        let name = TableName { schema: table[0].get(0), table: table[0].get(1) };
        let columns: Vec<(String, u32)> = table.iter().map(|row| (row.get(3), row.get(4))).collect();
        if !table[0].get::<_, bool>(5) {
            return Err(Refusal::Unreadable(name).into());
        }
        let part = |part| column(&settings.format, part, &columns);
        let version = part(Part::Version).ok_or_else(|| Refusal::NoVersions(name.clone()))?;
        let key = part(Part::AggregateId).ok_or_else(|| Refusal::NoVersions(name.clone()))?;
        let topic = settings.format.topic_in_sql();
        let (key, filter) = (format!("{key}::text"), table[0].get(2));
        outboxes.push(Outbox { name, filter, columns, topic, key, version });
    }
    Ok(outboxes)
}

/// A part's column, for a statement.
fn column(format: &Format, part: Part, columns: &[(String, u32)]) -> Option<String> {
    let wanted = format.column(part)?;
    columns.iter().any(|(name, _)| name == wanted).then(|| quote_identifier(wanted))
}

impl Outbox {
    /// What it holds of each aggregate.
    pub(super) async fn survey(
        &self,
        client: &Client,
        aggregates: &mut Aggregates,
        totals: &mut Totals,
    ) -> Result<(), Error> {
        let Self { topic, key, version, .. } = self;
        let statement = format!(
            "SELECT {topic}, {key}, min({version}), max({version}), count(DISTINCT {version}), count({version}), count(*)
             FROM {} GROUP BY 1, 2",
            self.published()
        );
        let mut rows = std::pin::pin!(read(client, &statement).await?);
        while let Some(row) = rows.next().await {
            let row = row?;
            let number = |at: usize| row.0.get(at).and_then(|text| text.parse::<i64>().ok());
            let (versions, versioned, all) = (number(4), number(5), number(6).unwrap_or_default());
            let versioned = versioned.unwrap_or_default();
            totals.rows += all.cast_unsigned();
            totals.unversioned += all.saturating_sub(versioned).cast_unsigned();
            totals.ambiguous += u64::from(versions < Some(versioned));
            if !totals.topics.contains(row.topic()) {
                totals.topics.insert(row.topic().to_owned());
            }
            let (lowest, highest) = (number(2).unwrap_or(1), number(3).unwrap_or(1));
            let retained = Retained { lowest, highest, versions: versions.unwrap_or_default() };
            if !aggregates.retain(row.topic(), row.key(), retained) {
                let (key, topic) = (row.key().to_owned(), row.topic().to_owned());
                return Err(Refusal::TwoTables { key, topic }.into());
            }
        }
        Ok(())
    }

    /// Tells the aggregates which events it holds.
    pub(super) async fn compare(
        &self,
        client: &Client,
        format: &Format,
        aggregates: &mut Aggregates,
    ) -> Result<(), Error> {
        let Some(id) = column(format, Part::Id, &self.columns) else { return Ok(()) };
        let Self { topic, key, version, .. } = self;
        let statement = format!("SELECT {topic}, {key}, {version}, {id} FROM {}", self.published());
        let mut rows = std::pin::pin!(read(client, &statement).await?);
        while let Some(row) = rows.next().await {
            let row = row?;
            let version = row.version().and_then(|version| version.parse().ok());
            if let (Some(version), Some(id)) = (version, row.0.get(3)) {
                aggregates.compare(row.topic(), row.key(), version, id);
            }
        }
        Ok(())
    }

    /// Names some aggregates of which versions are missing.
    pub(super) async fn gaps(
        &self,
        client: &Client,
        aggregates: &Aggregates,
        most: usize,
    ) -> Result<Vec<String>, Error> {
        let statement = format!("SELECT DISTINCT {}, {} FROM {}", self.topic, self.key, self.published());
        let mut rows = std::pin::pin!(read(client, &statement).await?);
        let mut named = Vec::new();
        while let Some(row) = rows.next().await {
            let row = row?;
            let Some((first, last)) = aggregates.gap(row.topic(), row.key()) else { continue };
            if named.len() < most {
                let key: String = row.key().chars().take(64).collect();
                named.push(match first == last {
                    true => format!("version {first} of {key} for {}", row.topic()),
                    false => format!("versions {first} to {last} of {key} for {}", row.topic()),
                });
            }
        }
        Ok(named)
    }

    /// All rows, each aggregate's by version.
    pub(super) async fn rows<'c>(
        &self,
        client: &'c Client,
    ) -> Result<impl Stream<Item = Result<Row, Error>> + use<'c>, Error> {
        let columns = self.columns.iter().map(|(name, _)| quote_identifier(name)).collect::<Vec<_>>().join(", ");
        let Self { topic, key, version, .. } = self;
        let statement = format!(
            "SELECT {topic}, {key}, {version}, {columns} FROM {}
             ORDER BY {topic} COLLATE \"C\", {key} COLLATE \"C\", {version}",
            self.published()
        );
        read(client, &statement).await
    }

    /// As the stream would describe it.
    pub(super) fn relation(&self) -> Relation<'_> {
        let columns = self.columns.iter().map(|(name, type_oid)| Column { name, type_oid: *type_oid }).collect();
        Relation { id: 0, schema: &self.name.schema, table: &self.name.table, columns }
    }

    fn published(&self) -> String {
        match &self.filter {
            Some(filter) => format!("{} WHERE ({filter})", self.name.quoted()),
            None => self.name.quoted(),
        }
    }
}

impl Row {
    /// Its topic, without prefix.
    pub(super) fn topic(&self) -> &str {
        self.0.get(0).unwrap_or_default()
    }

    pub(super) fn key(&self) -> &str {
        self.0.get(1).unwrap_or_default()
    }

    pub(super) fn version(&self) -> Option<&str> {
        self.0.get(2)
    }

    /// The values of the table's columns.
    pub(super) fn values(&self) -> impl Iterator<Item = Option<&str>> {
        (3..self.0.len()).map(|at| self.0.get(at))
    }
}

/// The rows of a statement, as far as they are asked for: the server waits with the rest.
async fn read<'c>(
    client: &'c Client,
    statement: &str,
) -> Result<impl Stream<Item = Result<Row, Error>> + use<'c>, Error> {
    let messages = client.simple_query_raw(statement).await.map_err(|error| unavailable(&error))?;
    Ok(messages.filter_map(async |message| match message {
        Ok(SimpleQueryMessage::Row(row)) => Some(Ok(Row(row))),
        Ok(_) => None,
        Err(error) => Some(Err(unavailable(&error))),
    }))
}
