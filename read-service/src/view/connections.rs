//! The connections that serve queries: a few, shared by all requests.
//!
//! Requests are pipelined, without waiting for their turn in a pool: each goes to the first connection that has little under way,
//! measured by how long its statements usually take, so that quick ones leave and come back together, and what is dear has a
//! connection for itself. Every connection keeps the statements that it has prepared: no value from outside ever
//! becomes part of their text; but what is selected does, so that only those which were used lately are kept. Each is kept by a
//! task that connects again, with backoff, when the connection is lost or the server hangs, and says through the health part
//! whether any is there.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use telemetry::{
    CancellationToken,
    backoff::Backoff,
    database::{self, Database, reason},
    health::Part,
    metrics::Metrics,
};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_postgres::{
    Client, Config, Row, Statement,
    error::SqlState,
    types::{ToSql, Type},
};
use tracing::Instrument;

use super::{
    Error, ROLE, View,
    load::{Cost, Load},
};
use crate::recent::Recent;

/// How much text of prepared statements a connection keeps, in bytes. PostgreSQL keeps several times that for it.
const STATEMENTS: usize = 1024 * 1024;

/// What a statement counts at least, in bytes.
const STATEMENT: usize = 5 * 1024;

/// How long what a connection has under way may take before the next one is used, too.
const QUEUE: Duration = Duration::from_millis(1);

/// How many connections there are, and what a statement may cost.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many connections.
    pub connections: usize,
    /// PostgreSQL gives up on a statement after this time.
    pub statement_timeout: Duration,
    /// A server that answers nothing for this time hangs, and is connected to again. Longer than a statement may take.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { connections: 4, statement_timeout: Duration::from_secs(5), patience: Duration::from_secs(8) }
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
    patience: Duration,
    slots: Vec<RwLock<Slot>>,
    statements: Family<Summary, Counter>,
}

/// What a slot holds: a connection, or why there is none.
type Slot = Result<Arc<Connection>, String>;

struct Connection {
    client: Client,
    prepared: Prepared<Arc<Known>>,
    load: Load,
}

/// A statement that is prepared.
struct Known {
    statement: Statement,
    cost: Cost,
}

/// The statements that are prepared, by their text: bounded by its length, which is the client's choice.
struct Prepared<S>(Recent<String, S>);

impl<S: Clone> Prepared<S> {
    fn new() -> Self {
        Self(Recent::new(STATEMENTS))
    }

    fn get(&self, text: &str) -> Option<S> {
        self.0.get(text)
    }

    fn insert(&self, text: &str, statement: S) {
        self.0.insert(text.to_owned(), statement, text.len().max(STATEMENT));
    }

    fn remove(&self, text: &str) {
        self.0.remove(text);
    }
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
        let patience = options.patience;
        Self { shared: Arc::new(Shared { database, config, patience, slots, statements }) }
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
        let now = Instant::now();
        let connection = self.shared.choose(now)?;
        self.shared.statements.get_or_create(&Summary { summary: sql.summary }).inc();
        let rows = connection.query(sql, values, now).instrument(span.clone()).await;
        if rows.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        rows
    }
}

impl Shared {
    /// A connection for a statement that comes now.
    fn choose(&self, now: Instant) -> Result<Arc<Connection>, Error> {
        let mut reason = String::new();
        let there = self.slots.iter().filter_map(|slot| match &*slot.read().unwrap_or_else(PoisonError::into_inner) {
            Ok(connection) if connection.client.is_closed() => {
                "the connection was lost".clone_into(&mut reason);
                None
            }
            Ok(connection) => Some((connection.load.ahead(now), connection.clone())),
            Err(why) => {
                reason.clone_from(why);
                None
            }
        });
        first_quick(there).ok_or(Error::Unavailable(reason))
    }

    fn set(&self, slot: usize, state: Slot) {
        *self.slots[slot].write().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// The first whose queue is short, else the one whose queue is shortest.
fn first_quick<T>(queues: impl Iterator<Item = (Duration, T)>) -> Option<T> {
    let mut shortest = None;
    for (queue, of) in queues {
        if queue <= QUEUE {
            return Some(of);
        }
        if shortest.as_ref().is_none_or(|(least, _)| queue < *least) {
            shortest = Some((queue, of));
        }
    }
    shortest.map(|(_, of)| of)
}

impl Connection {
    async fn query(&self, sql: &Sql, values: &[&(dyn ToSql + Sync)], now: Instant) -> Result<Vec<Row>, Error> {
        let known = self.prepared.get(&sql.text);
        let mut under_way = self.load.start(known.as_ref().map_or(Cost::UNKNOWN, |known| known.cost.expected()), now);
        let known = match known {
            Some(known) => known,
            None => match self.client.prepare_typed(&sql.text, &sql.parameters).await {
                Ok(statement) => {
                    let known = Arc::new(Known { statement, cost: Cost::default() });
                    self.prepared.insert(&sql.text, known.clone());
                    under_way.sends_more();
                    known
                }
                Err(error) => {
                    under_way.answered(Instant::now());
                    return Err(failed(&error));
                }
            },
        };
        let rows = self.client.query(&known.statement, values).await;
        let took = under_way.answered(Instant::now());
        // What has no row ended at its condition, which says nothing of the rest.
        if rows.as_ref().is_ok_and(|rows| !rows.is_empty()) {
            known.cost.learn(took);
        }
        rows.map_err(|error| {
            // It may be the prepared statement itself that no longer fits, after a migration.
            self.prepared.remove(&sql.text);
            failed(&error)
        })
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

/// Keeps one connection: makes it, offers it, and makes it again when it is lost. Ends when `stop` is cancelled.
async fn keep(shared: Arc<Shared>, slot: usize, part: Part, stop: CancellationToken) {
    let mut backoff = Backoff::for_connecting();
    let once = async || {
        let lost = hold(&shared, slot, &part, &mut backoff).await;
        shared.set(slot, Err(lost.clone()));
        // Another connection may still be there, or be back already.
        if let Err(Error::Unavailable(_)) = shared.choose(Instant::now()) {
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
    let (client, driver) = match timeout(shared.patience, shared.config.connect(tls)).await {
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
    let connection = Arc::new(Connection { client, prepared: Prepared::new(), load: Load::default() });
    shared.set(slot, Ok(connection.clone()));
    part.ready();
    backoff.reset();
    tokio::select! {
        ended = &mut driver => why(ended),
        () = hangs(&connection, shared.patience) => "it does not answer".to_owned(),
    }
}

/// Returns when the server is there, but hangs. It is asked now and then, and whenever a statement is given up, since its answer
/// is seen by nothing else.
async fn hangs(connection: &Connection, patience: Duration) {
    let load = &connection.load;
    let mut looks = interval(patience / 2);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = load.given_up() => {}
        }
        load.ask();
        if !database::answers(&connection.client, patience, load.goes_on()).await {
            return;
        }
        load.caught_up();
    }
}

fn why(ended: Result<(), tokio_postgres::Error>) -> String {
    ended.map_or_else(|error| reason(&error), |()| "the connection was closed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_statements_share_a_connection_and_leave_it_alone_when_it_is_slow() {
        let chosen = |queues: &[u64]| first_quick(queues.iter().map(|queue| Duration::from_micros(*queue)).zip(0..));
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&[0, 0, 0]), Some(0));
        assert_eq!(chosen(&[900, 0, 0]), Some(0));
        assert_eq!(chosen(&[1_001, 300, 0]), Some(1));
        assert_eq!(chosen(&[9_000, 2_000, 5_000]), Some(1));
    }

    #[test]
    fn many_short_statements_stay_prepared_or_a_few_long_ones() {
        let kept = |length: usize| {
            let prepared = Prepared::new();
            let text = |number: usize| format!("{number:length$}");
            (0..1_000).for_each(|number| prepared.insert(&text(number), number));
            (0..1_000).filter(|number| prepared.get(&text(*number)).is_some()).count()
        };
        assert!((200..=400).contains(&kept(100)));
        assert!((20..=40).contains(&kept(50_000)));
    }
}
