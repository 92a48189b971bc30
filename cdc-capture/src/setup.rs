//! Prepares a database: publication, slot, and what the relay's role needs. It can be repeated: it says what it has done
//! and what was there already, and changes nothing that is right.

use telemetry::database::reason;
use tokio_postgres::Client;

use crate::{
    database::connect,
    names::{PublicationName, RoleName, SlotName, TableName, quote_identifier},
    outbox::Columns,
    replication::{Connection, Endpoint},
    settings::SetupSettings,
};

/// The first version of PostgreSQL that copies slots to standbys.
const FAILOVER_SLOTS: i32 = 170_000;

/// Why a database could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Transient: it is not there.
    #[error("cannot connect to PostgreSQL: {0}")]
    Unavailable(String),
    /// Definite: what must be repaired first, each with its remedy. Nothing was changed.
    #[error("nothing was changed, since:{}", .0.iter().map(|problem| format!("\n  - {problem}")).collect::<String>())]
    Problems(Vec<String>),
    /// Definite: a statement was refused.
    #[error("cannot {action}: {reason}")]
    Refused {
        /// What was tried.
        action: String,
        /// What the server said.
        reason: String,
    },
}

/// Prepares the database and gives what it did, one line each.
///
/// # Errors
/// When the database is not fit, or the role may not do it.
pub async fn setup(settings: SetupSettings) -> Result<Vec<String>, Error> {
    let (client, connection) = connect(&settings.database).await.map_err(Error::Unavailable)?;
    let work = async {
        let mut setup = Setup { client, lines: Vec::new() };
        setup.run(&settings).await.map(|()| setup.lines)
    };
    // The connection lives as long as the work: no task of its own is needed.
    tokio::select! {
        done = work => done,
        () = connection => Err(Error::Unavailable("the server closed the connection".to_owned())),
    }
}

struct Setup {
    client: Client,
    lines: Vec<String>,
}

impl Setup {
    async fn run(&mut self, settings: &SetupSettings) -> Result<(), Error> {
        let problems = self.problems(settings).await?;
        if !problems.is_empty() {
            return Err(Error::Problems(problems));
        }
        // Before the slot: a stream that reads log from before its publication was made fails for ever.
        self.publication(&settings.publication, &settings.tables).await?;
        self.slot(settings).await?;
        if let Some(role) = &settings.role {
            self.grants(role, &settings.tables).await?;
        }
        Ok(())
    }

    /// All that cannot be repaired from here.
    async fn problems(&self, settings: &SetupSettings) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        let wal_level: String = self.value("SELECT current_setting('wal_level')", &[]).await?.unwrap_or_default();
        if wal_level != "logical" {
            problems.push(format!(
                "wal_level is {wal_level}: ALTER SYSTEM SET wal_level = logical, then restart PostgreSQL"
            ));
        }
        for table in &settings.tables {
            let columns = self
                .query(
                    "SELECT a.attname::text, a.atttypid FROM pg_attribute a
                     JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')
                       AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
                    &[&table.schema, &table.table],
                )
                .await?;
            let columns: Vec<(String, u32)> = columns.iter().map(|row| (row.get(0), row.get(1))).collect();
            if columns.is_empty() {
                problems.push(format!("there is no table {table}: create it first"));
            } else if let Err(error) =
                Columns::find(columns.iter().map(|(name, oid)| (name.as_str(), *oid)), &settings.format)
            {
                problems.push(format!("{table}: {error}"));
            }
        }
        let all: Option<bool> = self
            .value("SELECT puballtables FROM pg_publication WHERE pubname = $1", &[&settings.publication.as_str()])
            .await?;
        if all == Some(true) {
            problems.push(format!(
                "publication {} publishes all tables: name another with --publication",
                settings.publication
            ));
        }
        problems.extend(self.slot_problems(&settings.slot).await?);
        if settings.failover {
            problems.extend(self.failover_problem(&settings.slot).await?);
        }
        if let Some(role) = &settings.role {
            problems.extend(self.role_problems(role).await?);
        }
        Ok(problems)
    }

    async fn slot_problems(&self, slot: &SlotName) -> Result<Vec<String>, Error> {
        let state = self
            .query(
                "SELECT plugin::text, database::text, database IS DISTINCT FROM current_database(),
                        wal_status IS NOT DISTINCT FROM 'lost'
                 FROM pg_replication_slots WHERE slot_name = $1",
                &[&slot.as_str()],
            )
            .await?;
        let resync = slot.for_resync();
        let held = "SELECT 1 FROM pg_replication_slots WHERE slot_name = $1";
        if !self.query(held, &[&resync.as_str()]).await?.is_empty() {
            return Ok(vec![format!("replication slot {slot} is being replaced, as {resync} shows: wait until it is")]);
        }
        let Some(state) = state.first() else { return Ok(Vec::new()) };
        let drop_it = format!("name another with --slot, or SELECT pg_drop_replication_slot('{slot}')");
        let mut problems = Vec::new();
        if state.get::<_, Option<&str>>(0) != Some("pgoutput") {
            problems.push(format!("replication slot {slot} has another plugin than pgoutput: {drop_it}"));
        } else if state.get(2) {
            let database = state.get::<_, Option<&str>>(1).unwrap_or_default();
            problems.push(format!("replication slot {slot} belongs to the database {database}: {drop_it}"));
        }
        if state.get(3) {
            problems.push(format!(
                "replication slot {slot} is lost: `cdc-capture resync` publishes what Kafka lacks and makes a new one"
            ));
        }
        Ok(problems)
    }

    async fn failover_problem(&self, slot: &SlotName) -> Result<Option<String>, Error> {
        let version: i32 = self.value("SELECT current_setting('server_version_num')::int", &[]).await?.unwrap_or(0);
        if version < FAILOVER_SLOTS {
            let version = version / 10_000;
            return Ok(Some(format!("PostgreSQL {version} has no failover slots, 17 has: leave --failover out")));
        }
        let ask = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1 AND NOT failover";
        let reader: Option<i32> = self.value(ask, &[&slot.as_str()]).await?;
        Ok(reader.map(|pid| {
            format!(
                "replication slot {slot} is in use by the process {pid} of the server, and has to be free to become a \
                 failover slot: stop the relays for that moment"
            )
        }))
    }

    async fn role_problems(&self, role: &RoleName) -> Result<Option<String>, Error> {
        let state = self
            .query("SELECT rolcanlogin, rolreplication OR rolsuper FROM pg_roles WHERE rolname = $1", &[&role.as_str()])
            .await?;
        let quoted = quote_identifier(role.as_str());
        Ok(match state.first() {
            None => Some(format!("there is no role {role}: CREATE ROLE {quoted} LOGIN REPLICATION PASSWORD '…'")),
            Some(state) if state.get::<_, bool>(0) && state.get::<_, bool>(1) => None,
            Some(_) => Some(format!("role {role} lacks an attribute: ALTER ROLE {quoted} LOGIN REPLICATION")),
        })
    }

    async fn publication(&mut self, publication: &PublicationName, tables: &[TableName]) -> Result<(), Error> {
        let quoted = quote_identifier(publication.as_str());
        let state = self
            .query(
                "SELECT pubinsert AND NOT (pubupdate OR pubdelete OR pubtruncate) AND pubviaroot
                 FROM pg_publication WHERE pubname = $1",
                &[&publication.as_str()],
            )
            .await?;
        let options = "publish = 'insert', publish_via_partition_root = true";
        let Some(state) = state.first() else {
            let list = tables.iter().map(TableName::quoted).collect::<Vec<_>>().join(", ");
            let list = if tables.is_empty() { list } else { format!("FOR TABLE {list} ") };
            let statement = format!("CREATE PUBLICATION {quoted} {list}WITH ({options})");
            self.execute("create the publication", &statement).await?;
            let names = match tables {
                [] => "no table".to_owned(),
                _ => tables.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            };
            self.lines.push(format!("publication {publication}: created for {names}"));
            return Ok(());
        };
        if state.get(0) {
            self.lines.push(format!("publication {publication}: there already"));
        } else {
            self.execute("change the publication", &format!("ALTER PUBLICATION {quoted} SET ({options})")).await?;
            self.lines.push(format!("publication {publication}: publishes inserts only now, under the parents' names"));
        }
        for table in tables {
            let published: Option<i32> = self
                .value(
                    "SELECT 1 FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
                     JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE p.pubname = $1 AND n.nspname = $2 AND c.relname = $3",
                    &[&publication.as_str(), &table.schema, &table.table],
                )
                .await?;
            if published.is_none() {
                let statement = format!("ALTER PUBLICATION {quoted} ADD TABLE {}", table.quoted());
                self.execute("extend the publication", &statement).await?;
                self.lines.push(format!(
                    "publication {publication}: extended by {table}; its rows are published from now on"
                ));
            }
        }
        Ok(())
    }

    async fn slot(&mut self, settings: &SetupSettings) -> Result<(), Error> {
        let (slot, name) = (&settings.slot, settings.slot.as_str());
        let ask = "SELECT confirmed_flush_lsn::text, (to_jsonb(slot)->>'failover')::boolean
            FROM pg_replication_slots slot WHERE slot_name = $1 AND confirmed_flush_lsn IS NOT NULL";
        if let Some(state) = self.query(ask, &[&name]).await?.first() {
            self.lines.push(format!("replication slot {slot}: there already, at {}", state.get::<_, &str>(0)));
            if settings.failover && state.get::<_, Option<bool>>(1) != Some(true) {
                self.make_failover(settings).await?;
            }
            return Ok(());
        }
        let option = if settings.failover { ", failover => true" } else { "" };
        let make = format!("SELECT lsn::text FROM pg_create_logical_replication_slot($1, 'pgoutput'{option})");
        let made = self.client.query_one(&make, &[&name]).await;
        let made = made.map_err(|error| refused("create the replication slot", &error))?;
        let kind = if settings.failover { "as a failover slot " } else { "" };
        self.lines.push(format!("replication slot {slot}: created {kind}at {}", made.get::<_, &str>(0)));
        Ok(())
    }

    /// There is no SQL function for it, only a command of the replication protocol.
    async fn make_failover(&mut self, settings: &SetupSettings) -> Result<(), Error> {
        let failed = |reason: String| Error::Refused { action: "make it a failover slot".to_owned(), reason };
        let endpoints = Endpoint::all(&settings.database).map_err(|error| failed(error.to_string()))?;
        let made = async { Connection::open(&endpoints).await?.make_failover(&settings.slot).await };
        made.await.map_err(|error| failed(error.to_string()))?;
        self.lines.push(format!("replication slot {}: is a failover slot now", settings.slot));
        Ok(())
    }

    async fn grants(&mut self, role: &RoleName, tables: &[TableName]) -> Result<(), Error> {
        let (name, quoted) = (role.as_str(), quote_identifier(role.as_str()));
        for table in tables {
            let schema = quote_identifier(&table.schema);
            let wanted = [
                (
                    "has_schema_privilege($1, $2, 'USAGE')",
                    schema.clone(),
                    format!("GRANT USAGE ON SCHEMA {schema} TO {quoted}"),
                    format!("USAGE on schema {}", table.schema),
                ),
                (
                    "has_table_privilege($1, $2, 'SELECT')",
                    table.quoted(),
                    format!("GRANT SELECT ON TABLE {} TO {quoted}", table.quoted()),
                    format!("SELECT on {table}"),
                ),
            ];
            for (check, object, grant, privilege) in wanted {
                // Privilege functions take a schema's name as it is, a table's as it is written in SQL.
                let object = if check.starts_with("has_schema") { table.schema.clone() } else { object };
                let has: Option<bool> = self.value(&format!("SELECT {check}"), &[&name, &object]).await?;
                if has == Some(true) {
                    self.lines.push(format!("role {role}: has {privilege} already"));
                } else {
                    self.execute("grant what the role needs", &grant).await?;
                    self.lines.push(format!("role {role}: granted {privilege}"));
                }
            }
        }
        Ok(())
    }

    async fn query(
        &self,
        statement: &str,
        parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, Error> {
        self.client.query(statement, parameters).await.map_err(|error| refused("read the database's catalog", &error))
    }

    async fn value<T: for<'r> tokio_postgres::types::FromSql<'r>>(
        &self,
        statement: &str,
        parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Option<T>, Error> {
        Ok(self.query(statement, parameters).await?.first().and_then(|row| row.get(0)))
    }

    async fn execute(&self, action: &str, statement: &str) -> Result<(), Error> {
        self.client.batch_execute(statement).await.map_err(|error| refused(action, &error))
    }
}

fn refused(action: &str, error: &tokio_postgres::Error) -> Error {
    Error::Refused { action: action.to_owned(), reason: reason(error) }
}
