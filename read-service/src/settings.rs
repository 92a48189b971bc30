//! The settings of `read-service serve`.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use auth::{AuthArgs, AuthSettings};
use inbox::command::{Action, Desk, MAX_PARKED, ParkingArgs};
use telemetry::{
    database::Database,
    http::Limits,
    kafka::{Kafka, KafkaArgs},
    logs::LogArgs,
    settings::Problems,
};

use crate::{live, projection, view};

/// The flags of `read-service serve`, as they come in.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// The read database, as `postgres://user@host/database`. The user must be a member of the role `read_service`.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,

    /// What this process does: `project` fills the views from Kafka, `serve` answers queries. Both halves can run in as many
    /// processes as are wanted; those that project share the partitions.
    #[arg(long, env = "ROLE", default_value = "project,serve", value_name = "ROLE,…")]
    role: String,

    /// Where HTTP is served: queries, if they are, and `/readyz`, `/healthz` and `/metrics` always.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDRESS:PORT")]
    listen: String,

    /// How long a query waits for what its Read-After tokens name, in milliseconds.
    #[arg(long, env = "READ_AFTER_TIMEOUT_MS", default_value = "5000", value_name = "MS")]
    read_after_timeout_ms: String,

    /// Which views this process fills, by their tables' names, so that each can have a process of its own; all of them unless set.
    /// The journal is `journal`.
    #[arg(long, env = "VIEWS", value_name = "VIEW,…")]
    views: Option<String>,

    /// How long the journal keeps an event, in days since it was recorded.
    #[arg(long, env = "JOURNAL_KEEP_DAYS", default_value = "30", value_name = "DAYS")]
    journal_keep_days: String,

    /// How many connections to PostgreSQL serve queries, 1 to 100. Each carries many at the same time, so few are enough.
    #[arg(long, env = "DATABASE_CONNECTIONS", default_value = "4", value_name = "COUNT")]
    database_connections: String,

    #[command(flatten)]
    parking: ParkingArgs,

    /// How many connections may be open for subscriptions at once: websockets and event streams.
    #[arg(long, env = "SUBSCRIBERS", default_value = "10000", value_name = "CONNECTIONS")]
    subscribers: String,

    /// From which origins a browser's page may open a websocket, beside this service's own, separated by commas.
    #[arg(long, env = "WEBSOCKET_ORIGINS", value_name = "ORIGIN,…")]
    websocket_origins: Option<String>,

    #[command(flatten)]
    kafka: KafkaArgs,

    #[command(flatten)]
    auth: AuthArgs,

    /// Logs and traces.
    #[command(flatten)]
    pub logs: LogArgs,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What the service needs.
#[derive(Clone)]
pub struct Settings {
    /// The read database.
    pub database: Database,
    /// What it needs to fill the views, if it is to.
    pub projecting: Option<Projecting>,
    /// What it needs to serve them, if it is to.
    pub serving: Option<Serving>,
}

/// What filling the views needs.
#[derive(Clone)]
pub struct Projecting {
    /// Where the events come from.
    pub kafka: Kafka,
    /// The views that are filled, by the names of their projections.
    pub views: BTreeSet<&'static str>,
    /// How long the journal keeps an event, since it was recorded.
    pub journal_keep: Duration,
    /// The most aggregates of a partition that may be parked by a projection.
    pub max_parked: usize,
    /// Whether each applied message gets a span; worth its cost where spans are exported.
    pub trace_messages: bool,
}

/// What serving the views needs.
#[derive(Clone)]
pub struct Serving {
    /// How long a query waits for what its `Read-After` tokens name.
    pub read_after_timeout: Duration,
    /// What clients may take of the listener.
    pub http: Limits,
    /// What those who subscribe may take.
    pub subscribers: live::Options,
    /// The connections that serve queries.
    pub connections: view::Options,
    /// Whose tokens are good; without them everybody may ask for everything.
    pub auth: Option<AuthSettings>,
}

impl Settings {
    /// Both halves, with the defaults of the flags.
    pub fn new(database: Database, kafka: Kafka) -> Self {
        Self { database, projecting: Some(Projecting::new(kafka)), serving: Some(Serving::default()) }
    }
}

impl Projecting {
    /// The defaults of the flags.
    pub fn new(kafka: Kafka) -> Self {
        let views = projection::names().collect();
        Self { kafka, views, journal_keep: 30 * DAY, max_parked: MAX_PARKED, trace_messages: false }
    }
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            read_after_timeout: Duration::from_secs(5),
            http: Limits::default(),
            subscribers: live::Options::default(),
            connections: view::Options::default(),
            auth: None,
        }
    }
}

impl ServeArgs {
    /// Checks all flags at once; those of a half that is not to run are not asked for.
    ///
    /// # Errors
    /// Every problem that there is.
    pub fn check(self) -> Result<(Settings, SocketAddr), Problems> {
        let mut problems = Problems::new();
        self.logs.check(&mut problems);
        let database = Database::check("--database-url / DATABASE_URL", self.database_url.as_deref(), &mut problems);
        let listen = problems.parse("--listen / LISTEN", &self.listen);
        let roles = roles(&self.role, &mut problems);
        let projecting = roles.contains("project").then(|| self.projecting(&mut problems));
        let serving = roles.contains("serve").then(|| self.serving(&mut problems));
        let settings = (|| {
            // Of a half that is to run and has a problem, there is nothing.
            let (projecting, serving) = (whole(projecting)?, whole(serving)?);
            Some((Settings { database: database?, projecting, serving }, listen?))
        })();
        problems.finish(settings)
    }

    fn projecting(&self, problems: &mut Problems) -> Option<Projecting> {
        /// Ten years.
        const MOST_DAYS: u32 = 3_650;
        const JOURNAL: &str = "--journal-keep-days / JOURNAL_KEEP_DAYS";
        let kafka = self.kafka.clone().check(problems);
        let max_parked = self.parking.check(problems);
        let views = views(self.views.as_deref(), problems);
        let keep = problems.parse::<u32>(JOURNAL, &self.journal_keep_days);
        if keep.is_some_and(|days| !(1..=MOST_DAYS).contains(&days)) {
            problems.add(JOURNAL, format!("must be from 1 to {MOST_DAYS}"));
        }
        Some(Projecting {
            kafka: kafka?,
            views,
            journal_keep: keep? * DAY,
            max_parked: max_parked?,
            trace_messages: self.logs.otlp_endpoint().is_some(),
        })
    }

    fn serving(&self, problems: &mut Problems) -> Option<Serving> {
        /// Longer than this, and a client is better off asking again.
        const LONGEST: u64 = 60_000;
        const CONNECTIONS: &str = "--database-connections / DATABASE_CONNECTIONS";
        const TIMEOUT: &str = "--read-after-timeout-ms / READ_AFTER_TIMEOUT_MS";
        const SUBSCRIBERS: &str = "--subscribers / SUBSCRIBERS";
        const MOST_SUBSCRIBERS: usize = 100_000;
        const ORIGINS: &str = "--websocket-origins / WEBSOCKET_ORIGINS";
        let auth = self.auth.clone().check(problems);
        let timeout = problems.parse::<u64>(TIMEOUT, &self.read_after_timeout_ms);
        if timeout.is_some_and(|timeout| timeout > LONGEST) {
            problems.add(TIMEOUT, format!("must be at most {LONGEST}"));
        }
        let connections = problems.parse::<usize>(CONNECTIONS, &self.database_connections);
        if connections.is_some_and(|connections| !(1..=100).contains(&connections)) {
            problems.add(CONNECTIONS, "must be from 1 to 100");
        }
        let subscribers = problems.parse::<usize>(SUBSCRIBERS, &self.subscribers);
        if subscribers.is_some_and(|connections| !(1..=MOST_SUBSCRIBERS).contains(&connections)) {
            problems.add(SUBSCRIBERS, format!("must be from 1 to {MOST_SUBSCRIBERS}"));
        }
        let origins = self.websocket_origins.as_deref().unwrap_or_default();
        let origins: Vec<_> = origins.split(',').map(str::trim).filter(|text| !text.is_empty()).collect();
        for origin in &origins {
            if !origin.strip_prefix("https://").or(origin.strip_prefix("http://")).is_some_and(is_host) {
                problems.add(ORIGINS, format!("{origin}: no origin, such as https://console.example.org"));
            }
        }
        let mut serving = Serving { auth: auth?, ..Serving::default() };
        serving.read_after_timeout = Duration::from_millis(timeout?);
        serving.connections.connections = connections?;
        serving.subscribers.connections = subscribers?;
        serving.subscribers.origins = origins.into_iter().map(str::to_owned).collect();
        Some(serving)
    }
}

fn roles(text: &str, problems: &mut Problems) -> BTreeSet<&'static str> {
    named("--role / ROLE", text, ["project", "serve"], problems)
}

fn views(text: Option<&str>, problems: &mut Problems) -> BTreeSet<&'static str> {
    text.map_or_else(
        || projection::names().collect(),
        |text| named("--views / VIEWS", text, projection::names(), problems),
    )
}

/// What a list names, of what there is: at least one.
fn named(
    setting: &str,
    text: &str,
    known: impl IntoIterator<Item = &'static str>,
    problems: &mut Problems,
) -> BTreeSet<&'static str> {
    let known: Vec<_> = known.into_iter().collect();
    let mut found = BTreeSet::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match known.iter().find(|known| **known == name) {
            Some(known) => _ = found.insert(*known),
            None => problems.add(setting, format!("{name}: there are {}", known.join(", "))),
        }
    }
    if text.split(',').all(|name| name.trim().is_empty()) {
        problems.add(setting, format!("is empty: there are {}", known.join(", ")));
    }
    found
}

/// What is not wanted, or what is whole.
fn whole<T>(half: Option<Option<T>>) -> Option<Option<T>> {
    half.map_or(Some(None), |half| half.map(Some))
}

/// `read-service inbox`.
#[derive(Debug, clap::Args)]
pub struct InboxArgs {
    /// The read database, as for `serve`.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true, global = true)]
    database_url: Option<String>,

    /// What is done.
    #[command(subcommand)]
    pub action: Action,
}

impl InboxArgs {
    /// Checks the flags.
    ///
    /// # Errors
    /// Every problem that there is.
    pub fn check(&self) -> Result<Database, Problems> {
        let mut problems = Problems::new();
        let database = Database::check("--database-url / DATABASE_URL", self.database_url.as_deref(), &mut problems);
        problems.finish(database)
    }
}

/// The projections' inbox, for `read-service inbox`.
///
/// # Errors
/// When TLS is asked for and cannot be had.
pub fn desk(database: &Database) -> std::io::Result<Desk> {
    let database =
        database.clone().as_role(view::ROLE).application_name("read-service inbox").pool_size(1).synchronous();
    // What was parked was not too old for the journal when it came.
    let handlers = projection::all(Duration::MAX);
    Ok(Desk { schema: view::SCHEMA.to_owned(), pool: database.pool()?, handlers })
}

/// A host's name, perhaps with a port, and nothing behind it.
fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
}
