//! The database: the server's settings, what the role may do, the publication with its tables, the slot. Also which
//! topics the rows that are in the tables go to.

use std::{collections::BTreeSet, time::Duration};

use tokio_postgres::{Client, Error};

use super::Report;
use crate::{
    Settings,
    database::connect,
    names::{TableName, quote_identifier},
    outbox::{Columns, is_topic_name},
    replication::{Connection, Endpoint},
    slot::SlotState,
};

/// In milliseconds: below it, a slow moment of the broker costs a reconnect.
const SHORT: u64 = 5_000;
/// How long the whole of it may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of a large outbox only so many rows are looked at for the topics they go to.
const ROWS: u32 = 100_000;
/// So many kinds of rows are enough.
const KINDS: u32 = 200;

/// A table of the publication, with its columns' names and types.
struct Table {
    name: TableName,
    columns: Vec<(String, u32)>,
}

struct Check<'a> {
    settings: &'a Settings,
    client: Client,
    report: &'a mut Report,
    topics: BTreeSet<String>,
    slot_exists: bool,
}

/// Checks the database and gives the topics, without prefix, that the rows in the tables go to.
pub(super) async fn check(settings: &Settings, report: &mut Report) -> BTreeSet<String> {
    let mut topics = BTreeSet::new();
    let work = async {
        let (client, connection) = match connect(&settings.database).await {
            Ok(connected) => connected,
            Err(reason) => {
                return report.problem(format!("PostgreSQL cannot be reached: {reason}"), remedy_for(&reason));
            }
        };
        let mut check = Check { settings, client, report: &mut *report, topics: BTreeSet::new(), slot_exists: false };
        let done = tokio::select! {
            done = check.run() => done.map_err(|error| telemetry::database::reason(&error)),
            () = connection => Err("the server closed the connection".to_owned()),
        };
        topics = std::mem::take(&mut check.topics);
        match done {
            Ok(true) => replication_connection(settings, report).await,
            Ok(false) => {}
            Err(reason) => report.problem(format!("PostgreSQL: {reason}"), "repair that and check again"),
        }
    };
    if tokio::time::timeout(PATIENCE, work).await.is_err() {
        report.problem(format!("PostgreSQL gave no answer within {PATIENCE:?}"), "see what keeps it busy");
    }
    topics
}

/// A stream needs a connection of another kind, by another client, with TLS of its own.
async fn replication_connection(settings: &Settings, report: &mut Report) {
    let opened = async {
        let endpoints = Endpoint::all(&settings.database).map_err(|error| error.to_string())?;
        let mut connection = Connection::open(&endpoints).await.map_err(|error| error.to_string())?;
        connection.identify().await.map_err(|error| error.to_string())
    };
    match opened.await {
        Ok(server) => {
            report.ok(format!("replication connection: system {}, timeline {}", server.system, server.timeline));
        }
        Err(reason) => report.problem("no replication connection", reason),
    }
}

fn remedy_for(reason: &str) -> &'static str {
    if reason.contains("password authentication failed") || reason.contains("no pg_hba.conf entry") {
        "check the user, its password and pg_hba.conf"
    } else if reason.contains("does not exist") {
        "check the names of the user and the database in --database-url"
    } else if reason.contains("permission denied for database") {
        "GRANT CONNECT ON DATABASE … TO the relay's role"
    } else if reason.contains("certificate") || reason.contains("sslrootcert") {
        "name the server as its certificate does, and the CA's file with sslrootcert in the URL"
    } else {
        "check --database-url, and that the server runs"
    }
}

impl Check<'_> {
    /// Whether the server is one that the relay knows.
    async fn run(&mut self) -> Result<bool, Error> {
        self.client.batch_execute("SET statement_timeout = '5s'").await?;
        if !self.version().await? {
            return Ok(false);
        }
        self.slot().await?;
        self.server().await?;
        self.timeouts().await?;
        self.role().await?;
        if self.publication().await? {
            for table in self.tables().await? {
                self.table(&table).await?;
            }
        }
        Ok(true)
    }

    async fn version(&mut self) -> Result<bool, Error> {
        let ask = "SELECT current_setting('server_version'), current_setting('server_version_num')::int";
        let row = self.client.query_one(ask, &[]).await?;
        let version: &str = row.get(0);
        let is_known = row.get::<_, i32>(1) >= 150_000;
        let upgrade = "upgrade it: PostgreSQL 15 and later are supported";
        self.report.expect(is_known, format!("PostgreSQL {version}"), format!("PostgreSQL is {version}"), upgrade);
        Ok(is_known)
    }

    async fn server(&mut self) -> Result<(), Error> {
        let ask = "SELECT current_setting('wal_level'), current_setting('max_replication_slots')::int,
                (SELECT count(*) FROM pg_replication_slots)::int, current_setting('max_wal_senders')::int,
                (SELECT count(*) FROM pg_stat_replication)::int, current_setting('max_slot_wal_keep_size')";
        let row = self.client.query_one(ask, &[]).await?;
        let (level, limit): (&str, &str) = (row.get(0), row.get(5));
        let (max_slots, slots, max_senders, senders): (i32, i32, i32, i32) =
            (row.get(1), row.get(2), row.get(3), row.get(4));
        self.report.expect(
            level == "logical",
            "wal_level is logical",
            format!("wal_level is {level}"),
            "ALTER SYSTEM SET wal_level = logical, then restart PostgreSQL",
        );
        self.report.expect(
            self.slot_exists || slots < max_slots,
            format!("replication slots: {slots} of {max_slots} in use"),
            format!("all {max_slots} replication slots are in use"),
            "raise max_replication_slots and restart PostgreSQL, or drop one that nobody needs",
        );
        self.report.expect(
            senders < max_senders,
            format!("WAL senders: {senders} of {max_senders} in use"),
            format!("all {max_senders} WAL senders are in use"),
            "raise max_wal_senders and restart PostgreSQL",
        );
        if limit == "-1" {
            self.report.warning(
                "max_slot_wal_keep_size is unlimited, so the log can fill the disk while the relay is away",
                "set a limit that the disk can hold, or watch capture_slot_retained_wal_bytes",
            );
        } else {
            self.report.warning(
                format!("max_slot_wal_keep_size is {limit}, so a slot that falls further behind is lost"),
                "watch capture_slot_retained_wal_bytes",
            );
        }
        Ok(())
    }

    async fn timeouts(&mut self) -> Result<(), Error> {
        let ask = "SELECT setting::bigint FROM pg_settings WHERE name = 'wal_sender_timeout'";
        let sender: i64 = self.client.query_one(ask, &[]).await?.get(0);
        let sender = sender.max(0).cast_unsigned();
        if sender == 0 {
            self.report.warning(
                "wal_sender_timeout is off, so a relay that has died without a word keeps the slot from a standby",
                "set it to 60s",
            );
            return Ok(());
        }
        self.report.expect(
            sender >= SHORT,
            format!("wal_sender_timeout is {sender} ms; events are given up before a standby can have the slot"),
            format!("wal_sender_timeout is {sender} ms, within two thirds of which Kafka has to acknowledge an event"),
            "set it to 60s",
        );
        Ok(())
    }

    async fn role(&mut self) -> Result<(), Error> {
        let ask = "SELECT rolname::text, rolreplication OR rolsuper, rolsuper, current_database()::text,
                has_database_privilege(current_database(), 'CONNECT')
            FROM pg_roles WHERE rolname = current_user";
        let row = self.client.query_one(ask, &[]).await?;
        let (role, database): (&str, &str) = (row.get(0), row.get(3));
        let quoted = quote_identifier(role);
        self.report.expect(
            row.get(1),
            format!("role {role}: has REPLICATION"),
            format!("role {role} lacks REPLICATION"),
            format!("ALTER ROLE {quoted} REPLICATION"),
        );
        self.report.expect(
            row.get(4),
            format!("role {role}: has CONNECT on the database {database}"),
            format!("role {role} lacks CONNECT on the database {database}"),
            format!("GRANT CONNECT ON DATABASE {} TO {quoted}", quote_identifier(database)),
        );
        if row.get(2) {
            self.report.warning(format!("role {role} is a superuser"), "the relay needs REPLICATION and SELECT only");
        }
        Ok(())
    }

    /// Whether there is one.
    async fn publication(&mut self) -> Result<bool, Error> {
        let name = &self.settings.publication;
        let ask = "SELECT pubinsert, pubupdate OR pubdelete OR pubtruncate, pubviaroot FROM pg_publication WHERE pubname = $1";
        let Some(row) = self.client.query_opt(ask, &[&name.as_str()]).await? else {
            let remedy = "run `cdc-capture setup` as the tables' owner, or name another with --publication";
            self.report.problem(format!("publication {name} does not exist"), remedy);
            return Ok(false);
        };
        let alter = |option: &str| format!("ALTER PUBLICATION {} SET ({option})", quote_identifier(name.as_str()));
        match (row.get(0), row.get(1)) {
            (false, _) => {
                let what = format!("publication {name} does not publish inserts");
                self.report.problem(what, alter("publish = 'insert'"));
            }
            (true, true) => self.report.warning(
                format!("publication {name} publishes more than inserts, which costs and is of no use"),
                alter("publish = 'insert'"),
            ),
            (true, false) => self.report.ok(format!("publication {name}: publishes inserts and only them")),
        }
        self.report.expect(
            row.get(2),
            format!("publication {name}: publishes via the partition root"),
            format!("publication {name} publishes partitions under their own names"),
            alter("publish_via_partition_root = true"),
        );
        Ok(true)
    }

    async fn tables(&mut self) -> Result<Vec<Table>, Error> {
        let name = &self.settings.publication;
        let ask = "SELECT t.schemaname::text, t.tablename::text, a.attname::text, a.atttypid
            FROM pg_publication_tables t JOIN pg_namespace n ON n.nspname = t.schemaname
            JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
            JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE t.pubname = $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY (t.attnames)
            ORDER BY 1, 2, a.attnum";
        let mut tables: Vec<Table> = Vec::new();
        for row in self.client.query(ask, &[&name.as_str()]).await? {
            let table = TableName { schema: row.get(0), table: row.get(1) };
            let column = (row.get(2), row.get(3));
            match tables.last_mut().filter(|last| last.name == table) {
                Some(last) => last.columns.push(column),
                None => tables.push(Table { name: table, columns: vec![column] }),
            }
        }
        if tables.is_empty() && self.settings.format.message_prefix.is_none() {
            let what = format!("publication {name} has no tables");
            self.report.problem(what, "run `cdc-capture setup --table schema.table`");
        }
        Ok(tables)
    }

    async fn table(&mut self, Table { name, columns }: &Table) -> Result<(), Error> {
        let (ask, quoted) = (
            "SELECT has_schema_privilege(n.oid, 'USAGE'), has_table_privilege(c.oid, 'SELECT'), current_user::text
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2",
            name.quoted(),
        );
        let row = self.client.query_one(ask, &[&name.schema, &name.table]).await?;
        let (usage, select, role): (bool, bool, &str) = (row.get(0), row.get(1), row.get(2));
        let grantee = quote_identifier(role);
        if !usage {
            let grant = format!("GRANT USAGE ON SCHEMA {} TO {grantee}", quote_identifier(&name.schema));
            self.report.problem(format!("role {role} lacks USAGE on schema {}", name.schema), grant);
        }
        if !select {
            let grant = format!("GRANT SELECT ON TABLE {quoted} TO {grantee}");
            self.report.problem(format!("role {role} lacks SELECT on {name}"), grant);
        }
        if let Err(error) =
            Columns::find(columns.iter().map(|(name, oid)| (name.as_str(), *oid)), &self.settings.format)
        {
            let publication = quote_identifier(self.settings.publication.as_str());
            let remedy = format!("give it the columns, or ALTER PUBLICATION {publication} DROP TABLE {quoted}");
            self.report.problem(format!("{name}: {error}"), remedy);
        } else if usage && select {
            self.report.ok(format!("table {name}: an outbox that the role may read"));
            self.topics_of(name).await?;
        }
        Ok(())
    }

    /// Where the rows go that are there now.
    async fn topics_of(&mut self, table: &TableName) -> Result<(), Error> {
        let ask = format!(
            "SELECT DISTINCT topic FROM (SELECT {} AS topic FROM {} LIMIT {ROWS}) rows LIMIT {KINDS}",
            self.settings.format.topic_in_sql(),
            table.quoted()
        );
        for row in self.client.query(&ask, &[]).await? {
            let topic: String = row.get(0);
            if is_topic_name(&self.settings.kafka.topic(&topic)) {
                self.topics.insert(topic);
            } else {
                let what = format!("table {table} has rows for {topic:?}, which is no topic's name");
                self.report.problem(what, "correct those rows' aggregatetype, or use another --topic-template");
            }
        }
        Ok(())
    }

    async fn slot(&mut self) -> Result<(), Error> {
        let name = &self.settings.slot;
        let Some(slot) = SlotState::read(&self.client, name).await? else {
            let remedy = "run `cdc-capture setup` for an outbox that was never relayed, else `run` or `cdc-capture resync` \
                          publish what Kafka lacks and make a new one; or name another with --slot";
            self.report.problem(format!("replication slot {name} does not exist"), remedy);
            return Ok(());
        };
        self.slot_exists = true;
        let database: String = self.client.query_one("SELECT current_database()::text", &[]).await?.get(0);
        let another = "name another with --slot, or `cdc-capture slot drop` it and run `cdc-capture setup`";
        if slot.plugin.as_deref() != Some("pgoutput") {
            let plugin = slot.plugin.as_deref().unwrap_or("none (a physical slot)");
            self.report.problem(format!("replication slot {name} has the plugin {plugin}, not pgoutput"), another);
        } else if slot.database.as_ref() != Some(&database) {
            let other = slot.database.as_deref().unwrap_or_default();
            self.report.problem(format!("replication slot {name} belongs to the database {other}"), another);
        } else if slot.is_lost() {
            self.report.problem(
                format!("replication slot {name} is lost: the server has removed log that it still needed"),
                "`run` (unless --lost-slot halt) or `cdc-capture resync` publish what Kafka lacks and make a new one",
            );
        } else {
            let retained = slot.retained().map(|retained| retained.to_string()).unwrap_or_default();
            self.report.ok(match slot.active_pid {
                Some(pid) => format!("replication slot {name}: in use by the process {pid}, keeps {retained} of log"),
                None => format!("replication slot {name}: free, keeps {retained} of log"),
            });
        }
        match slot.failover {
            Some(is_failover) => self.failover(is_failover).await,
            None => Ok(()),
        }
    }

    /// Whether the slot outlives its server, where it has standbys that could take its place.
    async fn failover(&mut self, is_failover: bool) -> Result<(), Error> {
        let name = &self.settings.slot;
        let ask = "WITH awaited AS (SELECT trim(both ' \"' FROM slot) AS slot
                FROM unnest(string_to_array(current_setting('synchronized_standby_slots'), ',')) slot)
            SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_type = 'physical')
                OR EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming'
                    AND pid NOT IN (SELECT active_pid FROM pg_replication_slots WHERE active_pid IS NOT NULL)),
                EXISTS (SELECT FROM awaited),
                (SELECT string_agg(slot, ', ') FROM awaited WHERE NOT EXISTS (
                    SELECT FROM pg_replication_slots s WHERE s.slot_name = awaited.slot AND s.active))";
        let row = self.client.query_one(ask, &[]).await?;
        let (has_standbys, waits, absent): (bool, bool, Option<&str>) = (row.get(0), row.get(1), row.get(2));
        match is_failover {
            false if has_standbys => self.report.warning(
                format!("replication slot {name} is no failover slot, and there are standbys: a failover loses it"),
                "stop the relays for a moment and run `cdc-capture setup --failover`",
            ),
            false => {}
            true if has_standbys && !waits => self.report.warning(
                format!(
                    "replication slot {name} is a failover slot, but synchronized_standby_slots is empty: events may be \
                     published that the standby lacks when it takes over"
                ),
                "set it to the name of the standby's physical slot",
            ),
            true => self.report.ok(format!("replication slot {name}: is a failover slot")),
        }
        if let Some(absent) = absent.filter(|_| is_failover) {
            self.report.warning(
                format!(
                    "synchronized_standby_slots names {absent}, where no standby is connected: the relay gets no event"
                ),
                "start that standby, or take it out of synchronized_standby_slots",
            );
        }
        Ok(())
    }
}
