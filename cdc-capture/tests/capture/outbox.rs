//! A database with an outbox, topics, and relays on them.

use std::{collections::BTreeMap, time::Duration};

use cdc_capture::{Settings, SetupSettings, outbox::Format};
use contracts::envelope::Lsn;
use servers::{Login, TempDatabase, eventually, shared, topics, topics::Record, unique_prefix};
use telemetry::{
    CancellationToken,
    database::Database,
    health::{Health, Report},
    kafka::Kafka,
    metrics::Metrics,
};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

pub(crate) const SOON: Duration = Duration::from_secs(90);

pub(crate) const TABLE: &str = "CREATE SCHEMA sales;
    CREATE TABLE sales.outbox (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregatetype text NOT NULL, aggregateid text NOT NULL,
        type text NOT NULL, payload json, aggregateversion bigint, headers json, createdat timestamptz DEFAULT now()
    )";

pub(crate) struct Outbox {
    pub(crate) database: TempDatabase,
    pub(crate) client: Client,
    pub(crate) login: Login,
    pub(crate) kafka: Kafka,
    pub(crate) slot: String,
}

/// A relay in this process.
pub(crate) struct Relay {
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    pub(crate) shutdown: CancellationToken,
    task: JoinHandle<Result<(), cdc_capture::capture::Error>>,
}

impl Outbox {
    /// A database with an outbox table, a role for the relay, and the topic `order`, on the shared servers.
    pub(crate) async fn create(purpose: &str) -> Self {
        Self::create_with(purpose, &shared::kafka().bootstrap_servers).await
    }

    /// The same with another broker.
    pub(crate) async fn create_with(purpose: &str, bootstrap: &str) -> Self {
        let outbox = Self::bare(purpose, bootstrap).await;
        outbox.create_topic("order", 4).await;
        outbox.set_up().await.unwrap();
        outbox
    }

    /// With the table and the role, but no topic, publication or slot.
    pub(crate) async fn bare(purpose: &str, bootstrap: &str) -> Self {
        Self::bare_in(TempDatabase::create(purpose).await, purpose, bootstrap).await
    }

    /// The same in a database that is there.
    pub(crate) async fn bare_in(database: TempDatabase, purpose: &str, bootstrap: &str) -> Self {
        let client = connect(&database.url()).await;
        client.batch_execute(TABLE).await.unwrap();
        let login = database.create_login(purpose, "REPLICATION").await.unwrap();
        let mut kafka = Kafka::at(bootstrap);
        kafka.topic_prefix = unique_prefix(purpose);
        let slot = format!("s_{}", database.name());
        Self { database, client, login, kafka, slot: slot.chars().take(60).collect() }
    }

    pub(crate) async fn create_topic(&self, name: &str, partitions: i32) {
        topics::create(&self.kafka.bootstrap_servers, &self.kafka.topic(name), partitions, &[]).await.unwrap();
    }

    pub(crate) async fn set_up(&self) -> Result<Vec<String>, cdc_capture::setup::Error> {
        cdc_capture::setup(self.setup_settings(&["sales.outbox"])).await
    }

    pub(crate) fn setup_settings(&self, tables: &[&str]) -> SetupSettings {
        SetupSettings {
            database: Database::parse(&self.database.url()).unwrap(),
            tables: tables.iter().map(|table| table.parse().unwrap()).collect(),
            format: Format::default(),
            role: Some(self.login.role.parse().unwrap()),
            slot: self.slot.parse().unwrap(),
            failover: false,
            publication: "waybill".parse().unwrap(),
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::new(Database::parse(&self.login.url).unwrap(), self.kafka.clone());
        settings.slot = self.slot.parse().unwrap();
        settings
    }

    pub(crate) fn start(&self) -> Relay {
        Relay::start(self.settings())
    }

    /// Starts a relay and waits until it is ready.
    pub(crate) async fn start_ready(&self) -> Relay {
        let relay = self.start();
        relay.until("the relay is ready", |report| report.ready).await;
        relay
    }

    /// Inserts events of one aggregate, numbered.
    pub(crate) async fn insert(&self, key: &str, numbers: std::ops::Range<i64>) {
        insert(&self.client, key, numbers).await;
    }

    pub(crate) async fn execute(&self, statement: &str) {
        self.client.batch_execute(statement).await.unwrap();
    }

    pub(crate) async fn wal_position(&self) -> Lsn {
        lsn(&self.client, "SELECT pg_current_wal_lsn()::text").await.unwrap()
    }

    /// What the server has as confirmed for the slot.
    pub(crate) async fn confirmed(&self) -> Lsn {
        let ask =
            format!("SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = '{}'", self.slot);
        lsn(&self.client, &ask).await.unwrap_or_default()
    }

    /// Waits until all that is committed now is confirmed.
    pub(crate) async fn drained(&self) {
        self.drained_within(SOON).await;
    }

    pub(crate) async fn drained_within(&self, bound: Duration) {
        let target = self.wal_position().await;
        eventually("all is confirmed", bound, async || {
            let confirmed = self.confirmed().await;
            if confirmed >= target { Ok(Some(())) } else { Err(format!("{confirmed} of {target}")) }
        })
        .await;
    }

    pub(crate) async fn records(&self, topic: &str) -> Vec<Record> {
        topics::consume_all(&self.kafka.bootstrap_servers, &self.kafka.topic(topic)).await.unwrap()
    }

    /// The numbers on the topic `order`, per key, in their order.
    pub(crate) async fn numbers(&self) -> BTreeMap<String, Vec<i64>> {
        let mut numbers = BTreeMap::<String, Vec<i64>>::new();
        for record in self.records("order").await {
            let key = String::from_utf8(record.key.clone().unwrap()).unwrap();
            numbers.entry(key).or_default().push(number(&record));
        }
        numbers
    }

    /// Asserts that a key has these numbers, each at least once, and each for the first time in order. Gives how many
    /// were repeated.
    pub(crate) async fn assert_all_there(&self, key: &str, count: i64) -> usize {
        let all = self.numbers().await.remove(key).unwrap_or_default();
        let (mut first, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
        first.extend(all.iter().copied().filter(|number| seen.insert(*number)));
        let out_of_order = first.windows(2).position(|pair| pair[0] > pair[1]);
        let near = out_of_order.map_or(&[][..], |at| &first[at.saturating_sub(3)..(at + 4).min(first.len())]);
        assert!(out_of_order.is_none(), "out of order: {near:?}");
        assert_eq!((first.len() as i64, first.first(), first.last()), (count, Some(&0), Some(&(count - 1))));
        assert_eq!(all.last(), first.last(), "the newest document comes last");
        all.len() - first.len()
    }

    /// The variables of a process that relays it.
    pub(crate) fn environment(&self) -> Vec<(&str, &str)> {
        vec![
            ("DATABASE_URL", &self.login.url),
            ("KAFKA_BOOTSTRAP_SERVERS", &self.kafka.bootstrap_servers),
            ("TOPIC_PREFIX", &self.kafka.topic_prefix),
            ("SLOT", &self.slot),
            ("ADMIN_LISTEN", "127.0.0.1:0"),
        ]
    }

    pub(crate) async fn slot_is_active(&self) -> bool {
        let ask = format!("SELECT active FROM pg_replication_slots WHERE slot_name = '{}'", self.slot);
        self.client.query_one(&ask, &[]).await.unwrap().get(0)
    }
}

pub(crate) fn number(record: &Record) -> i64 {
    let text = String::from_utf8(record.value.clone().unwrap()).unwrap();
    serde_json::from_str::<serde_json::Value>(&text).unwrap()["n"].as_i64().unwrap()
}

pub(crate) async fn insert(client: &Client, key: &str, numbers: std::ops::Range<i64>) {
    let statement = "INSERT INTO sales.outbox (aggregatetype, aggregateid, type, payload, aggregateversion)
        SELECT 'order', $1, 'Changed', json_build_object('n', n, 'text', repeat('x', 300)), n + 1
        FROM generate_series($2::bigint, $3::bigint - 1) n";
    client.execute(statement, &[&key, &numbers.start, &numbers.end]).await.unwrap();
}

async fn lsn(client: &Client, ask: &str) -> Option<Lsn> {
    client.query_one(ask, &[]).await.unwrap().get::<_, Option<String>>(0)?.parse().ok()
}

pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    // Ends with the client.
    tokio::spawn(connection);
    client
}

impl Relay {
    pub(crate) fn start(settings: Settings) -> Self {
        let (health, metrics, shutdown) = (Health::new(), Metrics::new(), CancellationToken::new());
        let run = cdc_capture::run(settings, health.clone(), metrics.clone(), shutdown.clone());
        Self { health, metrics, shutdown, task: tokio::spawn(run) }
    }

    /// Waits for a state of its health.
    pub(crate) async fn until(&self, awaited: &str, condition: impl Fn(&Report) -> bool) {
        eventually(awaited, SOON, async || {
            let report = self.health.report();
            if !report.parts.is_empty() && condition(&report) { Ok(Some(())) } else { Err(format!("{report:?}")) }
        })
        .await;
    }

    /// Waits until a part says why it is not ready.
    pub(crate) async fn until_part_says(&self, part: &str, words: &str) {
        self.until(&format!("{part} says {words:?}"), |report| {
            let state = &report.parts[part];
            !state.ready && state.reason.as_ref().is_some_and(|reason| reason.contains(words))
        })
        .await;
    }

    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.metrics.encode();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
    }

    /// Ends it as a signal would.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Drops it in the middle of whatever it does.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.is_err_and(|error| error.is_cancelled()));
    }
}
