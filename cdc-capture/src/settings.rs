//! What the relay is told, as values that are checked already, and the flags from which they are made.

use std::{net::SocketAddr, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use telemetry::{
    database::Database,
    kafka::{Kafka, KafkaArgs},
    logs::LogArgs,
    settings::Problems,
};

use crate::{
    database::{AdminDatabaseArgs, DatabaseArgs},
    delivery::{Delivery, DeliveryArgs},
    names::{PublicationName, RoleName, SlotName, TableName},
    outbox::{
        Format, Router,
        flags::{ColumnArgs, FormatArgs},
        is_topic_name,
    },
    publisher::{self, Publisher, TransactionSettings, UnusableSettings},
    replication::Server,
    resync, slot,
    topic_partitions::TopicPartitions,
};

/// A transaction is open, and an event lingers, for no larger a part of the time in which an event must be delivered, or
/// the stream would be given up as one that is stuck.
const PART_OF_DELIVERY: u32 = 16;

/// What `run` needs to know.
#[derive(Clone)]
pub struct Settings {
    /// The database with the outbox; its role has REPLICATION.
    pub database: Database,
    /// The cluster that events go to, with the prefix of its topics.
    pub kafka: Kafka,
    /// How many partitions its topics have.
    pub topic_partitions: TopicPartitions,
    /// The replication slot.
    pub slot: SlotName,
    /// The publication.
    pub publication: PublicationName,
    /// How rows become events.
    pub format: Format,
    /// `ce_source` of rows that name none; `None` is `/` and the database's name.
    pub source: Option<String>,
    /// How long the producer waits for more events to send together, unless there is a lull.
    pub linger: Duration,
    /// Whether each topic is read back to the slot's position before it is written to, so that nothing is sent twice.
    pub read_back: bool,
    /// What to do with a topic that holds events of another server or timeline.
    pub other_history: OtherHistory,
    /// How events reach Kafka.
    pub delivery: Delivery,
    /// Whether waiting for a slot that another relay has is this relay's duty, so that it is ready meanwhile.
    pub standby: bool,
    /// What to do when the slot is missing or lost.
    pub lost_slot: LostSlot,
    /// Where a row goes that cannot be published, without the prefix; `None` when it halts everything.
    pub dead_letter_topic: Option<String>,
    /// Whether a span is made for each sampled event: where spans are exported.
    pub trace: bool,
}

impl Settings {
    /// All defaults.
    pub fn new(database: Database, kafka: Kafka) -> Self {
        Self {
            database,
            kafka,
            topic_partitions: TopicPartitions::default(),
            slot: SlotName::default(),
            publication: PublicationName::default(),
            format: Format::default(),
            source: None,
            linger: Duration::from_millis(10),
            read_back: true,
            other_history: OtherHistory::default(),
            delivery: Delivery::default(),
            standby: false,
            lost_slot: LostSlot::default(),
            dead_letter_topic: None,
            trace: false,
        }
    }

    /// A producer, for looking around or, with the server whose slot was taken, for events.
    pub(crate) fn publisher(
        &self,
        linger: Duration,
        longest_delivery: Duration,
        server: Option<&Server>,
    ) -> Result<Publisher, UnusableSettings> {
        let delivery = publisher::delivery(&self.kafka, longest_delivery);
        let transactions = server.and_then(|server| self.transactions(server, delivery));
        // What is handed over last waits for it a second time, and with it the others' acknowledgement.
        let linger = transactions.as_ref().map_or(linger, |_| linger.min(delivery / PART_OF_DELIVERY));
        let topic_partitions = self.topic_partitions.clone();
        Publisher::new(&self.kafka, topic_partitions, linger, longest_delivery, self.trace, transactions)
    }

    /// The slot's transactions. Slots of different servers may have the same name, so their identifier is part of theirs.
    fn transactions(&self, server: &Server, delivery: Duration) -> Option<TransactionSettings> {
        let Delivery::Transactional { position_topic, commit_interval } = &self.delivery else { return None };
        Some(TransactionSettings {
            id: format!("cdc-capture-{}-{}", server.system, self.slot),
            topic: self.kafka.topic(position_topic),
            longest: (*commit_interval).min(delivery / PART_OF_DELIVERY),
        })
    }

    /// What makes events of this server's rows.
    pub(crate) fn router(&self, server: &Server) -> Router {
        let source = self.source.clone().unwrap_or_else(|| format!("/{}", server.database));
        let positions = self.delivery.position_topic().map(|topic| self.kafka.topic(topic));
        Router::new(self.format.clone(), self.kafka.topic_prefix.clone(), source).reserving(positions)
    }
}

/// What to do with a topic that holds events of another server or timeline, as after a failover or a restore: log
/// positions tell nothing then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OtherHistory {
    /// Leave out the events whose ids are found.
    #[default]
    Compare,
    /// Send nothing to that topic until someone has looked.
    Halt,
}

/// What to do when the slot is missing, or the server has removed log that it still needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LostSlot {
    /// Make a new one, and publish from the tables what Kafka lacks.
    #[default]
    Resync,
    /// Say so, and wait for someone.
    Halt,
}

/// What `setup` needs to know.
#[derive(Clone)]
pub struct SetupSettings {
    /// The database, as a role that owns the tables and may create slots.
    pub database: Database,
    /// The outbox tables; none when events are logical messages.
    pub tables: Vec<TableName>,
    /// How their rows will become events.
    pub format: Format,
    /// The relay's login role, to be granted what it needs.
    pub role: Option<RoleName>,
    /// The replication slot.
    pub slot: SlotName,
    /// Whether the slot is copied to the standbys.
    pub failover: bool,
    /// The publication.
    pub publication: PublicationName,
}

/// Outbox relay: each row that is inserted into an outbox table and committed becomes an event on Kafka, in commit order.
#[derive(Debug, Parser)]
#[command(name = "cdc-capture", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Relay events until the process is told to end.
    Run(Box<RunArgs>),
    /// Create or extend publication and slot, and grant the relay's role what it needs. Can be repeated.
    Setup(Box<SetupArgs>),
    /// Check everything that `run` needs, with the same flags, and say all that is wrong. Changes nothing.
    Check(Box<RunArgs>),
    /// Show or drop the replication slot.
    Slot(slot::Args),
    /// Make a new slot in the place of one that is missing, lost or not to be trusted, and publish what Kafka lacks of the
    /// rows that are in the tables. Takes the flags of `run`.
    Resync(Box<resync::Args>),
}

/// The names that both commands take.
#[derive(Debug, Args)]
pub struct NameArgs {
    /// The replication slot.
    #[arg(long, env = "SLOT", default_value = SlotName::DEFAULT, value_name = "NAME")]
    slot: String,

    /// The publication.
    #[arg(long, env = "PUBLICATION", default_value = PublicationName::DEFAULT, value_name = "NAME")]
    publication: String,
}

impl NameArgs {
    fn check(&self, problems: &mut Problems) -> (Option<SlotName>, Option<PublicationName>) {
        (problems.parse("--slot / SLOT", &self.slot), problems.parse("--publication / PUBLICATION", &self.publication))
    }
}

/// The flags of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    database: DatabaseArgs,

    #[command(flatten)]
    names: NameArgs,

    #[command(flatten)]
    format: FormatArgs,

    /// `ce_source` of rows whose headers have none. `/` and the database's name unless set.
    #[arg(long, env = "SOURCE", value_name = "URI")]
    source: Option<String>,

    /// How long the producer waits for more events to send together while there are many, in milliseconds. When the log
    /// gives no more for now, it does not wait.
    #[arg(long, env = "LINGER_MS", default_value = "10", value_name = "MS")]
    linger_ms: String,

    /// Read each topic back to the slot's position before writing to it, so that a restart repeats no event that Kafka
    /// has. Needs permission to read the topics.
    #[arg(long, env = "READ_BACK", default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    read_back: bool,

    /// What to do with a topic that holds events of another server or timeline, as after a failover: leave out those
    /// whose ids are found, or send nothing until someone has looked.
    #[arg(long, env = "OTHER_HISTORY", value_enum, default_value_t, value_name = "WHAT")]
    other_history: OtherHistory,

    #[command(flatten)]
    delivery: DeliveryArgs,

    /// Another relay may have the slot: wait for it, ready to take over within seconds of that relay's death.
    #[arg(long, env = "STANDBY")]
    standby: bool,

    /// What to do when the slot is missing or the server has invalidated it: make a new one and publish what Kafka lacks
    /// of the rows that are in the tables, or say so and wait for someone.
    #[arg(long, env = "LOST_SLOT", value_enum, default_value_t, value_name = "WHAT")]
    lost_slot: LostSlot,

    /// The topic for rows that cannot be published: a dead letter is sent there, and what comes behind goes on. Without it
    /// such a row halts everything.
    #[arg(long, env = "DEAD_LETTER_TOPIC", value_name = "TOPIC")]
    dead_letter_topic: Option<String>,

    /// How many partitions a topic has, without the prefix: where it has another number, nothing is sent to it, since later events
    /// of a key would overtake earlier ones. Repeat it, or separate by commas. A topic that is not named must have as many as
    /// when the process first wrote to it.
    #[arg(long = "topic-partitions", env = "TOPIC_PARTITIONS", value_name = "TOPIC=NUMBER", value_delimiter = ',')]
    topic_partitions: Vec<String>,

    /// Where `/healthz`, `/readyz` and `/metrics` are served.
    #[arg(long, env = "ADMIN_LISTEN", default_value = "127.0.0.1:8082", value_name = "ADDRESS:PORT")]
    admin_listen: String,

    #[command(flatten)]
    kafka: KafkaArgs,

    /// Logs and traces.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// What a `run` process needs to know beside [`Settings`].
pub struct RunSettings {
    /// The relay's.
    pub capture: Settings,
    /// Where health and metrics are served.
    pub admin_listen: SocketAddr,
    /// Logs and traces.
    pub logs: LogArgs,
}

impl RunArgs {
    /// Checks all flags.
    ///
    /// # Errors
    /// All problems at once.
    pub fn check(self) -> Result<RunSettings, Problems> {
        let mut problems = Problems::new();
        let database = self.database.check(&mut problems);
        let (slot, publication) = self.names.check(&mut problems);
        let format = self.format.check(&mut problems);
        let linger = problems
            .parse::<f64>("--linger-ms / LINGER_MS", &self.linger_ms)
            .and_then(|millis| Duration::try_from_secs_f64(millis / 1000.0).ok())
            .filter(|linger| *linger <= Duration::from_secs(10));
        if linger.is_none() && self.linger_ms.parse::<f64>().is_ok() {
            problems.add("--linger-ms / LINGER_MS", "expected 0 to 10000");
        }
        if self.source.as_deref() == Some("") {
            problems.add("--source / SOURCE", "is empty");
        }
        let admin_listen = problems.parse("--admin-listen / ADMIN_LISTEN", &self.admin_listen);
        let kafka = self.kafka.check(&mut problems);
        if let Some(kafka) = &kafka {
            publisher::check_settings("--kafka-config / KAFKA_CONFIG", kafka, &mut problems);
        }
        let setting = "--topic-partitions / TOPIC_PARTITIONS";
        let topic_partitions = TopicPartitions::check(setting, &self.topic_partitions, kafka.as_ref(), &mut problems);
        if let Some(topic) = &self.dead_letter_topic {
            let prefixed = kafka.as_ref().map_or_else(|| topic.clone(), |kafka| kafka.topic(topic));
            if !is_topic_name(topic) || !is_topic_name(&prefixed) {
                let expected = "is not a topic's name (with the prefix 1 to 249 of a-z A-Z 0-9 . _ -)";
                problems.add("--dead-letter-topic / DEAD_LETTER_TOPIC", format!("{topic:?} {expected}"));
            }
        }
        let delivery = self.delivery.check(kafka.as_ref(), &mut problems);
        let positions = delivery.as_ref().and_then(Delivery::position_topic);
        if positions.is_some() && positions == self.dead_letter_topic.as_deref() {
            problems.add("--dead-letter-topic / DEAD_LETTER_TOPIC", "is that of the positions (--position-topic)");
        }
        self.logs.check(&mut problems);
        let settings = || {
            let capture = Settings {
                database: database?.application_name("cdc-capture"),
                kafka: kafka?,
                topic_partitions,
                slot: slot?,
                publication: publication?,
                format: format?,
                source: self.source,
                linger: linger?,
                read_back: self.read_back,
                other_history: self.other_history,
                delivery: delivery?,
                standby: self.standby,
                lost_slot: self.lost_slot,
                dead_letter_topic: self.dead_letter_topic,
                trace: self.logs.otlp_endpoint().is_some(),
            };
            Some(RunSettings { capture, admin_listen: admin_listen?, logs: self.logs })
        };
        let settings = settings();
        problems.finish(settings)
    }
}

/// The flags of `setup`.
#[derive(Debug, Args)]
pub struct SetupArgs {
    #[command(flatten)]
    database: AdminDatabaseArgs,

    /// An outbox table; repeat it for several.
    #[arg(long = "table", value_name = "SCHEMA.TABLE")]
    tables: Vec<String>,

    /// There is no table: events will be logical messages (`run --message-prefix`).
    #[arg(long, conflicts_with = "tables")]
    no_tables: bool,

    #[command(flatten)]
    columns: ColumnArgs,

    /// The login role that `run` will use: granted USAGE on the schemas and SELECT on the tables.
    #[arg(long, value_name = "NAME")]
    role: Option<String>,

    /// Make the slot one that is copied to physical standbys, from PostgreSQL 17 on, so that a failover keeps it. A slot
    /// that is there already must not be in use.
    #[arg(long)]
    failover: bool,

    #[command(flatten)]
    names: NameArgs,
}

impl SetupArgs {
    /// Checks all flags.
    ///
    /// # Errors
    /// All problems at once.
    pub fn check(self) -> Result<SetupSettings, Problems> {
        let mut problems = Problems::new();
        let database = self.database.check(&mut problems);
        if self.tables.is_empty() && !self.no_tables {
            problems.add("--table", "at least one is required, or --no-tables");
        }
        let tables = self.tables.iter().filter_map(|table| problems.parse("--table", table)).collect();
        let format = self.columns.check(&mut problems);
        let role = self.role.as_deref().map(|role| problems.parse("--role", role));
        let (slot, publication) = self.names.check(&mut problems);
        let settings = || {
            let database = database?.application_name("cdc-capture setup");
            let (format, slot, publication) = (format?, slot?, publication?);
            let (role, failover) = (role.flatten(), self.failover);
            Some(SetupSettings { database, tables, format, role, slot, failover, publication })
        };
        let settings = settings();
        problems.finish(settings)
    }
}
