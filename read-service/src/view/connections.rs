//! The connections that serve queries: a few, shared by all requests.
//!
//! Requests are pipelined: each goes to the connection that has the fewest under way, without waiting for its turn in a
//! pool. Every connection keeps the statements that it has prepared: no value from outside ever
//! becomes part of their text; but what is selected does, so that only those which were used lately are kept. Each is kept by a task that connects again, with backoff, when the connection is lost, and
//! says through the health part whether any is there.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use telemetry::{
    CancellationToken,
    backoff::Backoff,
    database::{Database, reason},
    health::Part,
    metrics::Metrics,
};
use tokio::task::JoinSet;
use tokio_postgres::{
    Client, Config, Row, Statement,
    error::SqlState,
    types::{ToSql, Type},
};
use tracing::Instrument;

use super::{Error, ROLE, View};
use crate::recent::Recent;

/// How many statements a connection keeps prepared.
const STATEMENTS: usize = 200;

/// How many connections there are, and what a statement may cost.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many connections.
    pub connections: usize,
    /// PostgreSQL gives up on a statement after this time.
    pub statement_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { connections: 4, statement_timeout: Duration::from_secs(5) }
    }
}

/// A statement: its text, fixed but for the shape of the query, the types of its parameters, and what a trace calls it.
pub(crate) struct Sql {
    pub(crate) summary: &'static str,
    pub(crate) text: String,
    pub(crate) parameters: Vec<Type>,
}

/// Which statements are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Summary {
    summary: &'static str,
}

/// The connections. Cheap to clone; all clones share them.
#[derive(Clone)]
pub struct Connections {
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    config: Config,
    slots: Vec<RwLock<Slot>>,
    statements: Family<Summary, Counter>,
}

/// What a slot holds: a connection, or why there is none.
type Slot = Result<Arc<Connection>, String>;

struct Connection {
    client: Client,
    prepared: Recent<String, Statement>,
    under_way: AtomicUsize,
}

impl Connections {
    /// None is there until [`Connections::run`] makes them.
    pub fn new(database: &Database, options: Options, metrics: &Metrics) -> Self {
        let database = database.clone().as_role(ROLE).application_name("read-service serve");
        let mut config = database.config().clone();
        let others = config.get_options().unwrap_or_default().to_owned();
        config.options(format!("{others} -c statement_timeout={}", options.statement_timeout.as_millis()));
        let statements = Family::default();
        metrics.register(|registry| {
            registry.register("view_statements", "SQL statements executed for queries", statements.clone());
        });
        let slots = (0..options.connections.max(1)).map(|_| RwLock::new(Err("not connected yet".to_owned()))).collect();
        Self { shared: Arc::new(Shared { database, config, slots, statements }) }
    }

    /// Makes the connections and keeps them until `stop` is cancelled.
    pub async fn run(self, part: Part, stop: CancellationToken) {
        let mut keepers = JoinSet::new();
        for slot in 0..self.shared.slots.len() {
            keepers.spawn(keep(self.shared.clone(), slot, part.clone(), stop.clone()));
        }
        while keepers.join_next().await.is_some() {}
    }

    /// Runs one statement.
    pub(crate) async fn query(&self, sql: &Sql, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        let span = tracing::debug_span!(
            "statement",
            otel.name = sql.summary,
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            db.system.name = "postgresql",
            db.query.summary = sql.summary,
        );
        let connection = self.shared.least_busy()?;
        self.shared.statements.get_or_create(&Summary { summary: sql.summary }).inc();
        let rows = connection.query(sql, values).instrument(span.clone()).await;
        if rows.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        rows
    }
}

impl Shared {
    fn least_busy(&self) -> Result<Arc<Connection>, Error> {
        let mut best: Option<Arc<Connection>> = None;
        let mut reason = String::new();
        for slot in &self.slots {
            match &*slot.read().unwrap_or_else(PoisonError::into_inner) {
                Ok(connection) if connection.client.is_closed() => "the connection was lost".clone_into(&mut reason),
                Ok(connection) => {
                    let under_way = |connection: &Connection| connection.under_way.load(Ordering::Relaxed);
                    if best.as_deref().is_none_or(|best| under_way(connection) < under_way(best)) {
                        best = Some(connection.clone());
                    }
                }
                Err(why) => reason.clone_from(why),
            }
        }
        best.ok_or(Error::Unavailable(reason))
    }

    fn set(&self, slot: usize, state: Slot) {
        *self.slots[slot].write().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

impl Connection {
    async fn query(&self, sql: &Sql, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        let _under_way = UnderWay::start(&self.under_way);
        let statement = self.prepare(sql).await.map_err(|error| failed(&error))?;
        let rows = self.client.query(&statement, values).await;
        if rows.is_err() {
            // It may be the prepared statement itself that no longer fits, after a migration.
            self.prepared.remove(&sql.text);
        }
        rows.map_err(|error| failed(&error))
    }

    async fn prepare(&self, sql: &Sql) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.prepared.get(&sql.text) {
            return Ok(statement);
        }
        let statement = self.client.prepare_typed(&sql.text, &sql.parameters).await?;
        self.prepared.insert(sql.text.clone(), statement.clone(), 1);
        Ok(statement)
    }
}

/// Counts a statement while it runs, also when its request is given up.
struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    fn start(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn failed(error: &tokio_postgres::Error) -> Error {
    match error.code() {
        Some(&SqlState::QUERY_CANCELED) => Error::Timeout,
        Some(&SqlState::NUMERIC_VALUE_OUT_OF_RANGE) => Error::TooLarge,
        Some(&(SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN | SqlState::CANNOT_CONNECT_NOW)) => {
            Error::Unavailable(reason(error))
        }
        Some(_) => Error::Failed(reason(error)),
        None => Error::Unavailable(reason(error)),
    }
}

/// How often a connection is asked whether the server still answers.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How long it may take: longer than a statement may, since answers come in order.
const PATIENCE: Duration = Duration::from_secs(8);

/// Keeps one connection: makes it, offers it, and makes it again when it is lost. Ends when `stop` is cancelled.
async fn keep(shared: Arc<Shared>, slot: usize, part: Part, stop: CancellationToken) {
    let mut backoff = Backoff::for_connecting();
    let once = async || {
        let lost = hold(&shared, slot, &part, &mut backoff).await;
        shared.set(slot, Err(lost.clone()));
        // Another connection may still be there, or be back already.
        if let Err(Error::Unavailable(_)) = shared.least_busy() {
            part.not_ready(format!("PostgreSQL: {lost}"));
        }
        tokio::time::sleep(backoff.next_wait()).await;
    };
    let for_ever = async {
        let mut once = once;
        loop {
            once().await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => shared.set(slot, Err("shutting down".to_owned())),
        () = for_ever => {}
    }
}

/// Connects and offers the connection for as long as it lasts. Returns why it has ended.
async fn hold(shared: &Shared, slot: usize, part: &Part, backoff: &mut Backoff) -> String {
    let tls = match shared.database.tls() {
        Ok(tls) => tls,
        Err(error) => return error.to_string(),
    };
    let (client, driver) = match tokio::time::timeout(PATIENCE, shared.config.connect(tls)).await {
        Ok(Ok(connected)) => connected,
        Ok(Err(error)) => return reason(&error),
        Err(_) => return "it does not answer".to_owned(),
    };
    tokio::pin!(driver);
    let tables: Vec<String> = View::ALL.iter().map(|view| format!("view.{}", view.table())).collect();
    let views = format!("SELECT FROM {}, view.event LIMIT 0", tables.join(", "));
    let views = client.batch_execute(&views);
    let checked = tokio::select! {
        ended = &mut driver => return why(ended),
        checked = views => checked,
    };
    if let Err(error) = checked {
        return format!("the views cannot be read ({}); has `read-service migrate` been run?", reason(&error));
    }
    let connection = Arc::new(Connection { client, prepared: Recent::new(STATEMENTS), under_way: AtomicUsize::new(0) });
    shared.set(slot, Ok(connection.clone()));
    part.ready();
    backoff.reset();
    tokio::select! {
        ended = &mut driver => why(ended),
        () = hangs(&connection) => "it does not answer".to_owned(),
    }
}

/// Returns when the server has left a question unanswered for [`PATIENCE`]: it is there, but hangs.
async fn hangs(connection: &Connection) {
    let mut looks = tokio::time::interval(LOOK_AGAIN);
    loop {
        looks.tick().await;
        if tokio::time::timeout(PATIENCE, connection.client.batch_execute("")).await.is_err() {
            return;
        }
    }
}

fn why(ended: Result<(), tokio_postgres::Error>) -> String {
    ended.map_or_else(|error| reason(&error), |()| "the connection was closed".to_owned())
}
