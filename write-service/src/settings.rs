//! The service's settings: its flags with environment variables behind them, checked all together.

use std::{net::SocketAddr, ops::RangeInclusive, sync::Arc, time::Duration};

use auth::{AuthArgs, AuthSettings};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use inbox::command::{Action, Desk, MAX_PARKED, ParkingArgs};
use telemetry::{
    database::Database,
    kafka::{Kafka, KafkaArgs},
    logs::LogArgs,
    settings::Problems,
};

use reqwest::Url;

use crate::{
    clock::Clock,
    context::{Context, Surroundings},
    contexts,
    outbox::partitions::Retention,
    period::Period,
    republish::Selection,
};

const READ_AFTER_TIMEOUT: &str = "--read-after-timeout-ms / READ_AFTER_TIMEOUT_MS";
const CONNECTIONS: &str = "--database-connections / DATABASE_CONNECTIONS";

/// A request ends after ten seconds; a wait has to end well before.
const LONGEST_WAIT_MS: u64 = 8_000;

/// What [`crate::serve`] runs.
#[derive(Clone)]
pub struct Settings {
    /// The contexts, each with its database.
    pub contexts: Vec<(&'static Context, Database)>,
    /// Where the time of commands comes from.
    pub clock: Clock,
    /// How to reach Kafka.
    pub kafka: Kafka,
    /// How long a command waits for what its `Read-After` tokens name.
    pub read_after_timeout: Duration,
    /// For how long the answer to a command is kept under its `Idempotency-Key`.
    pub idempotency_keep: Period,
    /// The most connections of each context to its database.
    pub connections: usize,
    /// Whether each message that a reactor applies gets a span; worth its cost where spans are exported.
    pub trace_messages: bool,
    /// The most aggregates of a partition that may be parked by a reactor.
    pub max_parked: usize,
    /// What is around the contexts.
    pub surroundings: Surroundings,
    /// For how long the outbox's rows are kept.
    pub outbox: Retention,
    /// Whose tokens are good; none: nobody needs one.
    pub auth: Option<AuthSettings>,
}

impl Settings {
    /// Every context, all in one database, by the system's clock.
    pub fn all_in(database: &Database, kafka: Kafka, surroundings: Surroundings) -> Self {
        let contexts = contexts::ALL.into_iter().map(|context| (context, database.clone())).collect();
        Self {
            contexts,
            clock: Clock::System,
            kafka,
            read_after_timeout: Duration::from_secs(5),
            idempotency_keep: Period::DAY,
            connections: 16,
            trace_messages: false,
            max_parked: MAX_PARKED,
            surroundings,
            outbox: Retention { keep: Period::WEEK, slots: Vec::new() },
            auth: None,
        }
    }
}

/// `write-service serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Where to listen.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: String,

    /// The database of every context that has none of its own.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,

    #[command(flatten)]
    own: OwnDatabases,

    /// A context to run; repeat it for several. All, unless given.
    #[arg(long = "context", env = "CONTEXTS", value_name = "NAME", value_delimiter = ',')]
    contexts: Vec<String>,

    /// Where the time of commands comes from: the system, or their `Waybill-Time` header, for replays.
    #[arg(long, env = "CLOCK", default_value = "system", value_name = "system|request")]
    clock: String,

    /// How long a command waits for what its `Read-After` header names.
    #[arg(long, env = "READ_AFTER_TIMEOUT_MS", default_value = "5000", value_name = "MILLISECONDS")]
    read_after_timeout_ms: String,

    /// For how long the answer to a command is kept under its `Idempotency-Key`: as long as a client may go on trying.
    /// A number with s, m, h or d.
    #[arg(long, env = "IDEMPOTENCY_KEEP", default_value = "24h", value_name = "TIME")]
    idempotency_keep: String,

    /// The most connections of each context to its database.
    #[arg(long, env = "DATABASE_CONNECTIONS", default_value = "16", value_name = "NUMBER")]
    database_connections: String,

    /// For how long the rows of the outbox are kept at least, so that they can be published again after a replication slot or
    /// a broker is lost. A number with s, m, h or d.
    #[arg(long, env = "OUTBOX_KEEP", default_value = "7d", value_name = "TIME")]
    outbox_keep: String,

    /// A replication slot that has to have confirmed rows of the outbox before they are dropped; repeat it for several.
    #[arg(
        long = "outbox-slot",
        env = "OUTBOX_SLOTS",
        default_value = "waybill",
        value_name = "NAME",
        value_delimiter = ','
    )]
    outbox_slots: Vec<String>,

    #[command(flatten)]
    surroundings: SurroundingsArgs,

    #[command(flatten)]
    parking: ParkingArgs,

    #[command(flatten)]
    auth: AuthArgs,

    #[command(flatten)]
    kafka: KafkaArgs,

    /// Logs and traces.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// What `serve` needs, checked.
pub struct Serve {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What to run.
    pub settings: Settings,
}

impl ServeArgs {
    /// Checks all flags.
    ///
    /// # Errors
    /// With every problem that was found.
    pub fn check(self) -> Result<Serve, Problems> {
        let mut problems = Problems::new();
        self.logs.check(&mut problems);
        let listen = problems.parse("--listen / LISTEN", &self.listen);
        let clock = problems.parse("--clock / CLOCK", &self.clock);
        let contexts = databases(&self.contexts, self.database_url.as_deref(), &self.own, &mut problems);
        let kafka = self.kafka.check(&mut problems);
        let timeout = bounded(READ_AFTER_TIMEOUT, &self.read_after_timeout_ms, 0..=LONGEST_WAIT_MS, &mut problems);
        let connections = bounded(CONNECTIONS, &self.database_connections, 1..=1_000, &mut problems);
        let keep = problems.parse("--idempotency-keep / IDEMPOTENCY_KEEP", &self.idempotency_keep);
        let surroundings = self.surroundings.check(&mut problems);
        let max_parked = self.parking.check(&mut problems);
        let auth = self.auth.check(&mut problems);
        let outbox_keep = problems.parse("--outbox-keep / OUTBOX_KEEP", &self.outbox_keep);
        let trace_messages = self.logs.otlp_endpoint().is_some();
        let serve = (|| {
            let settings = Settings {
                contexts,
                clock: clock?,
                kafka: kafka?,
                read_after_timeout: Duration::from_millis(timeout?),
                idempotency_keep: keep?,
                connections: usize::try_from(connections?).ok()?,
                trace_messages,
                max_parked: max_parked?,
                surroundings: surroundings?,
                outbox: Retention { keep: outbox_keep?, slots: self.outbox_slots },
                auth: auth?,
            };
            Some(Serve { listen: listen?, settings })
        })();
        problems.finish(serve)
    }
}

/// The chosen contexts, each with its database.
fn databases(
    contexts: &[String],
    shared: Option<&str>,
    own: &OwnDatabases,
    problems: &mut Problems,
) -> Vec<(&'static Context, Database)> {
    const SHARED: &str = "--database-url / DATABASE_URL";
    // Checked once, and also when no context uses it. An empty variable is an unset one.
    let given = shared.filter(|url| !url.is_empty());
    let shared = given.map(|url| Database::check(SHARED, Some(url), problems));
    let mut databases = Vec::new();
    for context in chosen(contexts, problems) {
        let (flag, variable) = (context.database_url.flag, context.database_url.variable);
        let database = match (own.url(context), &shared) {
            (Some(url), _) => Database::check(&format!("--{flag} / {variable}"), Some(url), problems),
            (None, Some(shared)) => shared.clone(),
            (None, None) => {
                problems.add(&format!("{SHARED} (or --{flag} / {variable})"), "is required");
                None
            }
        };
        databases.extend(database.map(|database| (context, database)));
    }
    databases
}

/// `write-service republish`.
#[derive(Clone, Debug, Args)]
pub struct RepublishArgs {
    /// The database of every context that has none of its own.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,

    #[command(flatten)]
    own: OwnDatabases,

    /// A context whose aggregates are told again; repeat it for several. All, unless given.
    #[arg(long = "context", value_name = "NAME", value_delimiter = ',')]
    contexts: Vec<String>,

    /// The aggregates of this topic alone, such as hotel.accounts.account.v1; in every version of their contract.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,

    /// The aggregate of this id alone; with --topic.
    #[arg(long, value_name = "ID", requires = "topic")]
    id: Option<String>,

    /// Raise each version by so many first: after a restore from a backup, by more than any aggregate can have been changed since.
    /// Readers take only higher versions than they have.
    #[arg(long, value_name = "NUMBER", default_value = "0")]
    raise_version: String,

    /// Logs and traces.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// What `republish` needs, checked.
pub struct Republish {
    /// The contexts, each with its database.
    pub contexts: Vec<(&'static Context, Database)>,
    /// What of them is told again.
    pub selection: Selection,
}

/// The most that versions are raised by.
const HIGHEST_RAISE: u64 = 1_000_000;

impl RepublishArgs {
    /// Checks all flags.
    ///
    /// # Errors
    /// With every problem that was found.
    pub fn check(self) -> Result<Republish, Problems> {
        let mut problems = Problems::new();
        self.logs.check(&mut problems);
        let contexts = databases(&self.contexts, self.database_url.as_deref(), &self.own, &mut problems);
        let raise = bounded("--raise-version", &self.raise_version, 0..=HIGHEST_RAISE, &mut problems);
        if let Some(topic) = &self.topic
            && !contracts::topics().any(|known| known.name == topic)
        {
            problems.add("--topic", format!("{topic:?} is no topic of a context"));
        }
        let selected = raise.and_then(|raise| {
            let raise_version = i64::try_from(raise).ok()?;
            Some(Republish { contexts, selection: Selection { topic: self.topic, id: self.id, raise_version } })
        });
        problems.finish(selected)
    }
}

/// What is around the contexts, as flags.
#[derive(Clone, Debug, Args)]
struct SurroundingsArgs {
    /// Where the third party is that charges cards. Payments asks it.
    #[arg(long, env = "CARD_PROCESSOR_URL", default_value = "http://127.0.0.1:8090", value_name = "URL")]
    card_processor_url: String,

    /// How long a payment waits for the card of its account, or for another one after a decline, before it is declined.
    /// A number with s, m, h or d.
    #[arg(long, env = "CARD_WAIT", default_value = "10m", value_name = "TIME")]
    card_wait: String,

    /// How Payments comes by the cards of accounts: from its own copy of them, or from Accounts, which passes each booking on
    /// with its card. The same for both contexts, wherever they run.
    #[arg(long, env = "CARD_DETAILS", default_value = "cache", value_name = "cache|pipeline")]
    card_details: String,

    /// How long a booking waits for its payment before it expires: longer than --card-wait. A number with s, m, h or d.
    #[arg(long, env = "BOOKING_EXPIRY", default_value = "30m", value_name = "TIME")]
    booking_expiry: String,
}

impl SurroundingsArgs {
    fn check(&self, problems: &mut Problems) -> Option<Surroundings> {
        let card_processor =
            problems.parse::<Url>("--card-processor-url / CARD_PROCESSOR_URL", &self.card_processor_url);
        let is_http = card_processor.as_ref().is_none_or(|url| ["http", "https"].contains(&url.scheme()));
        if !is_http {
            problems.add("--card-processor-url / CARD_PROCESSOR_URL", "expected a URL with http or https");
        }
        let card_wait = problems.parse::<Period>("--card-wait / CARD_WAIT", &self.card_wait);
        let card_details = problems.parse("--card-details / CARD_DETAILS", &self.card_details);
        let booking_expiry = problems.parse::<Period>("--booking-expiry / BOOKING_EXPIRY", &self.booking_expiry);
        Some(Surroundings {
            card_processor: card_processor?,
            card_wait: card_wait?.duration(),
            card_details: card_details?,
            booking_expiry: booking_expiry?.duration(),
        })
    }
}

/// `write-service inbox`.
#[derive(Clone, Debug, Args)]
pub struct InboxArgs {
    /// The database of every context that has none of its own.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,

    #[command(flatten)]
    own: OwnDatabases,

    /// A context whose inbox it is; repeat it for several. All, unless given.
    #[arg(long = "context", env = "CONTEXTS", value_name = "NAME", value_delimiter = ',')]
    contexts: Vec<String>,

    #[command(flatten)]
    surroundings: SurroundingsArgs,

    /// What is done.
    #[command(subcommand)]
    pub action: Action,
}

/// What `inbox` needs, checked.
pub struct Inbox {
    contexts: Vec<(&'static Context, Database)>,
    surroundings: Arc<Surroundings>,
}

impl InboxArgs {
    /// Checks all flags.
    ///
    /// # Errors
    /// With every problem that was found.
    pub fn check(&self) -> Result<Inbox, Problems> {
        let mut problems = Problems::new();
        let contexts = databases(&self.contexts, self.database_url.as_deref(), &self.own, &mut problems);
        let surroundings = self.surroundings.check(&mut problems).map(Arc::new);
        problems.finish(surroundings.map(|surroundings| Inbox { contexts, surroundings }))
    }
}

impl Inbox {
    /// The contexts' inboxes.
    ///
    /// # Errors
    /// When TLS to the database cannot be set up.
    pub fn desks(self) -> std::io::Result<Vec<Desk>> {
        let desk = |(context, database): (&Context, Database)| {
            let database =
                database.as_role(context.schema).application_name("write-service inbox").pool_size(1).synchronous();
            let handlers = context.reactors.iter().filter_map(|reactor| reactor(&self.surroundings, context.schema));
            Ok(Desk { schema: context.schema.to_owned(), pool: database.pool()?, handlers: handlers.collect() })
        };
        self.contexts.into_iter().map(desk).collect()
    }
}

/// `write-service migrate`.
#[derive(Clone, Debug, Args)]
pub struct MigrateArgs {
    /// The database, as its owner: it creates schemas, tables and roles.
    #[arg(long, env = "MIGRATION_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    migration_database_url: Option<String>,

    /// Logs and traces.
    #[command(flatten)]
    pub logs: LogArgs,
}

impl MigrateArgs {
    /// Checks all flags.
    ///
    /// # Errors
    /// With every problem that was found.
    pub fn check(&self) -> Result<Database, Problems> {
        let mut problems = Problems::new();
        self.logs.check(&mut problems);
        let setting = "--migration-database-url / MIGRATION_DATABASE_URL";
        let database = Database::check(setting, self.migration_database_url.as_deref(), &mut problems);
        problems.finish(database)
    }
}

fn bounded(setting: &str, text: &str, bounds: RangeInclusive<u64>, problems: &mut Problems) -> Option<u64> {
    let number = problems.parse::<u64>(setting, text)?;
    if !bounds.contains(&number) {
        problems.add(setting, format!("expected {} to {}, found {number}", bounds.start(), bounds.end()));
    }
    Some(number)
}

fn chosen(names: &[String], problems: &mut Problems) -> Vec<&'static Context> {
    if names.is_empty() {
        return contexts::ALL.to_vec();
    }
    let mut chosen = Vec::new();
    for name in names {
        match contexts::named(name) {
            Some(context) if chosen.iter().any(|other: &&Context| other.name == context.name) => {}
            Some(context) => chosen.push(context),
            None => {
                let known = contexts::ALL.map(|context| context.name).join(", ");
                problems.add("--context / CONTEXTS", format!("{name:?} is none of {known}"));
            }
        }
    }
    chosen
}

/// A database for each context that has its own, by the setting that the context names.
#[derive(Clone, Debug, Default)]
struct OwnDatabases(Vec<(&'static str, String)>);

impl OwnDatabases {
    fn url(&self, context: &Context) -> Option<&str> {
        let own = self.0.iter().find(|(name, _)| *name == context.name);
        own.map(|(_, url)| url.as_str()).filter(|url| !url.is_empty())
    }
}

impl Args for OwnDatabases {
    fn augment_args(command: Command) -> Command {
        contexts::ALL.into_iter().fold(command, |command, context| {
            let setting = context.database_url;
            command.arg(
                Arg::new(setting.flag)
                    .long(setting.flag)
                    .env(setting.variable)
                    .value_name("URL")
                    .hide_env_values(true)
                    .help(format!("The database of the context {}", context.name)),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for OwnDatabases {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut own = Self::default();
        own.update_from_arg_matches(matches)?;
        Ok(own)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let given = contexts::ALL
            .into_iter()
            .filter_map(|context| Some((context.name, matches.get_one::<String>(context.database_url.flag)?.clone())));
        self.0 = given.collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ServeArgs,
    }

    fn check(line: &[&str]) -> Result<Serve, String> {
        let line = ["write-service"].iter().chain(line);
        Line::try_parse_from(line).unwrap().args.check().map_err(|problems| problems.to_string())
    }

    #[test]
    fn every_problem_is_in_one_message() {
        let line = [
            "--listen",
            "here",
            "--clock",
            "sun",
            "--idempotency-keep",
            "always",
            "--context",
            "minibar",
            "--context",
            "accounts",
            "--accounts-database-url",
            "nowhere",
            "--log-format",
            "xml",
        ];
        let message = check(&line).err().unwrap();
        for setting in ["LISTEN", "CLOCK", "IDEMPOTENCY_KEEP", "CONTEXTS", "ACCOUNTS_DATABASE_URL", "LOG_FORMAT"] {
            assert!(message.contains(setting), "{setting} is not in: {message}");
        }
        assert!(!message.contains("DIRECT_BOOKING_DATABASE_URL"), "{message}");
    }

    #[test]
    fn a_context_may_have_a_database_of_its_own() {
        let line = [
            "--database-url",
            "postgres://a@127.0.0.1/all",
            "--direct-booking-database-url",
            "postgres://a@127.0.0.1/bookings",
            "--kafka-bootstrap-servers",
            "127.0.0.1:9092",
        ];
        let serve = check(&line).ok().unwrap();
        let databases: Vec<_> = serve
            .settings
            .contexts
            .iter()
            .map(|(context, database)| (context.name, database.config().get_dbname()))
            .collect();
        let expected = contexts::ALL
            .map(|context| (context.name, Some(if context.name == "direct-booking" { "bookings" } else { "all" })));
        assert_eq!(databases, expected);
    }
}
