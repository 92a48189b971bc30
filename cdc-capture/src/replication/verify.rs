//! What is verified before streaming, each finding with its remedy. Nothing is changed here: `setup` does that.

use std::time::Duration;

use contracts::envelope::Lsn;

use super::{Connection, Error, Finding, Server};
use crate::{
    names::{PublicationName, SlotName, quote_identifier, quote_literal},
    outbox::{Columns, Format},
};

/// The slot's state, fit for streaming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// What the server has as confirmed: streaming starts there.
    pub confirmed: Lsn,
    /// How far the server's log reaches.
    pub log_end: Lsn,
    /// The server's process that streams it to another relay.
    pub active_pid: Option<i32>,
    /// The server's `wal_sender_timeout`; `None` when it is switched off.
    pub wal_sender_timeout: Option<Duration>,
}

/// Verifies that this database can be relayed.
///
/// # Errors
/// All that is wrong with the set-up, or the connection's failure; [`Error::LostSlot`] when nothing is wrong but that.
pub async fn verify(
    connection: &mut Connection,
    server: &Server,
    slot: &SlotName,
    publication: &PublicationName,
    format: &Format,
) -> Result<Slot, Error> {
    let mut findings = Vec::new();
    let settings = "SELECT current_setting('wal_level'), setting, current_setting('server_version_num'),
            pg_current_wal_flush_lsn()
        FROM pg_settings WHERE name = 'wal_sender_timeout'";
    let settings = connection.query(settings).await?;
    let setting = |at: usize| settings.first().and_then(|row| row.get(at)?.as_deref()).unwrap_or_default();
    if setting(2).parse::<u32>().is_ok_and(|version| version < 150_000) {
        // Nor would the questions below be understood.
        let finding = Finding::new("PostgreSQL is older than 15", "upgrade it: PostgreSQL 15 and later are supported");
        return Err(Error::SetUp(vec![finding]));
    }
    if setting(0) != "logical" {
        findings.push(Finding::new(
            format!("wal_level is {}", setting(0)),
            "ALTER SYSTEM SET wal_level = logical, then restart PostgreSQL",
        ));
    }
    let wal_sender_timeout = setting(1).parse().ok().filter(|millis| *millis > 0).map(Duration::from_millis);
    let log_end = setting(3).parse().unwrap_or_default();

    verify_publication(connection, publication, format, &mut findings).await?;
    match verify_slot(connection, server, slot, &mut findings).await? {
        Ok((confirmed, active_pid)) if findings.is_empty() => {
            Ok(Slot { confirmed, log_end, active_pid, wal_sender_timeout })
        }
        Err(lost) if findings.is_empty() => Err(Error::LostSlot(lost)),
        there_or_lost => {
            findings.extend(there_or_lost.err());
            Err(Error::SetUp(findings))
        }
    }
}

async fn verify_publication(
    connection: &mut Connection,
    publication: &PublicationName,
    format: &Format,
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    let name = quote_literal(publication.as_str());
    let options = format!("SELECT pubinsert, pubviaroot FROM pg_publication WHERE pubname = {name}");
    let options = connection.query(&options).await?;
    let Some(options) = options.first() else {
        findings.push(Finding::new(
            format!("publication {publication} does not exist"),
            "run `cdc-capture setup` as the tables' owner",
        ));
        return Ok(());
    };
    let columns = format!(
        "SELECT t.schemaname || '.' || t.tablename, a.attname, a.atttypid
         FROM pg_publication_tables t
         JOIN pg_attribute a ON a.attrelid = format('%I.%I', t.schemaname, t.tablename)::regclass
         WHERE t.pubname = {name} AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY (t.attnames)
         ORDER BY 1, a.attnum"
    );
    let columns = connection.query(&columns).await?;
    if columns.is_empty() {
        // Messages need a publication's name and none of its tables.
        if format.message_prefix.is_none() {
            findings.push(Finding::new(
                format!("publication {publication} has no tables"),
                "run `cdc-capture setup --table schema.table`",
            ));
        }
        return Ok(());
    }
    let on = |at: usize| options.get(at).is_some_and(|value| value.as_deref() == Some("t"));
    let alter = |option: &str| format!("ALTER PUBLICATION {} SET ({option})", quote_identifier(publication.as_str()));
    if !on(0) {
        let problem = format!("publication {publication} does not publish inserts");
        findings.push(Finding::new(problem, alter("publish = 'insert'")));
    }
    if !on(1) {
        let problem = format!("publication {publication} publishes partitions under their own names");
        findings.push(Finding::new(problem, alter("publish_via_partition_root = true")));
    }
    let text = |row: &'_ [Option<String>], at: usize| row.get(at).cloned().flatten().unwrap_or_default();
    for table in columns.chunk_by(|a, b| a.first() == b.first()) {
        let described: Vec<(String, u32)> =
            table.iter().map(|row| (text(row, 1), text(row, 2).parse().unwrap_or_default())).collect();
        if let Err(error) = Columns::find(described.iter().map(|(name, oid)| (name.as_str(), *oid)), format) {
            let name = text(&table[0], 0);
            findings.push(Finding::new(
                format!("{name}: {error}"),
                format!("give it the columns, or take it out: ALTER PUBLICATION … DROP TABLE {name}"),
            ));
        }
    }
    Ok(())
}

/// What the slot has as confirmed, or that it is lost.
async fn verify_slot(
    connection: &mut Connection,
    server: &Server,
    slot: &SlotName,
    findings: &mut Vec<Finding>,
) -> Result<Result<(Lsn, Option<i32>), Finding>, Error> {
    let state = format!(
        "SELECT plugin, database, wal_status, confirmed_flush_lsn, active_pid
         FROM pg_replication_slots WHERE slot_name = {}",
        quote_literal(slot.as_str())
    );
    let state = connection.query(&state).await?;
    let Some(state) = state.first() else {
        return Ok(Err(Finding::new(
            format!("replication slot {slot} does not exist"),
            "run `cdc-capture setup` for an outbox that was never relayed, else `cdc-capture resync --yes`, which \
             publishes what Kafka lacks and makes a new slot",
        )));
    };
    let column = |at: usize| state.get(at).and_then(Option::as_deref);
    let drop_it =
        format!("use another --slot, or SELECT pg_drop_replication_slot('{slot}') and run `cdc-capture setup`");
    if column(0) != Some("pgoutput") {
        let plugin = column(0).unwrap_or("none (a physical slot)");
        findings.push(Finding::new(format!("replication slot {slot} has the plugin {plugin}, not pgoutput"), &drop_it));
    }
    if column(1).is_some_and(|database| database != server.database) {
        let database = column(1).unwrap_or_default();
        findings.push(Finding::new(format!("replication slot {slot} belongs to the database {database}"), &drop_it));
    }
    if column(2) == Some("lost") {
        return Ok(Err(Finding::new(
            format!("replication slot {slot} is lost: the server has removed log that it still needed"),
            "run `cdc-capture resync --yes`, which publishes what Kafka lacks and makes a new slot",
        )));
    }
    let confirmed = column(3).and_then(|lsn| lsn.parse().ok());
    if confirmed.is_none() && findings.is_empty() {
        return Err(Error::Unavailable(format!("replication slot {slot} is still being made")));
    }
    Ok(Ok((confirmed.unwrap_or_default(), column(4).and_then(|pid| pid.parse().ok()))))
}
