//! One test's database, topics, and a handler whose effects can be counted.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use clap::Parser;
use contracts::{Cleanup, Topic, envelope::Envelope, envelope::TraceContext};
use deadpool_postgres::Transaction;
use inbox::{
    Applied, Delivery, Halt, Handler, Insert, Intake, Parameter, Parking, Unapplied, Undecodable,
    command::{self, Action, Desk},
};
use servers::{
    TempDatabase, eventually, shared,
    topics::{self, NewRecord},
    unique_prefix,
};
use telemetry::{
    CancellationToken,
    database::Database,
    health::{Health, State},
    kafka::Kafka,
    metrics::Metrics,
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
};
use tokio_postgres::{
    Client, Error, NoTls,
    types::{ToSql, Type},
};
use uuid::Uuid;

/// What a condition may take, on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
pub(crate) const SCHEMA: &str = "the view";

const THINGS: &str = "test.things.v1";
const LONER: &str = "test.loner.v1";
const TWO_TOPICS: &[Topic] = &[
    Topic { name: THINGS, partitions: 4, cleanup: Cleanup::Journal },
    Topic { name: LONER, partitions: 1, cleanup: Cleanup::Journal },
];
/// A topic with four partitions.
pub(crate) const FOUR: &[Topic] = TWO_TOPICS.split_at(1).0;
/// A topic with one.
pub(crate) const ONE: &[Topic] = TWO_TOPICS.split_at(1).1;

/// The place of one test.
pub(crate) struct Fixture {
    database: TempDatabase,
    pub(crate) admin: Client,
    pub(crate) kafka: Kafka,
    pub(crate) role: String,
    pub(crate) url: String,
    pub(crate) max_parked: usize,
}

impl Fixture {
    /// A migrated schema with the handler's tables, and a role that works there; no topics yet.
    pub(crate) async fn without_topics(purpose: &str) -> Self {
        let database = TempDatabase::create(purpose).await;
        let login = database.create_login("worker", "").await.unwrap();
        let mut admin = connect(&database.url()).await;
        let (role, schema) = (&login.role, SCHEMA);
        // No key that would hide an effect that happens twice.
        let tables = format!(
            r#"CREATE SCHEMA "{schema}";
            GRANT USAGE ON SCHEMA "{schema}" TO {role};
            CREATE TABLE "{schema}".effect (
                place bigint GENERATED ALWAYS AS IDENTITY, topic text, partition int, message_offset bigint,
                subject text, n bigint CHECK (n <> 13)
            );
            CREATE TABLE "{schema}".known (n bigint UNIQUE);
            ALTER TABLE "{schema}".effect
                ADD FOREIGN KEY (n) REFERENCES "{schema}".known (n) DEFERRABLE INITIALLY DEFERRED NOT VALID;
            ALTER TABLE "{schema}".effect DISABLE TRIGGER ALL;
            GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA "{schema}" TO {role};"#
        );
        admin.batch_execute(&tables).await.unwrap();
        inbox::migrate(&mut admin, SCHEMA, role).await.unwrap();
        let kafka = Kafka { topic_prefix: unique_prefix(purpose), ..Kafka::at(bootstrap()) };
        Self { database, admin, kafka, role: login.role, url: login.url, max_parked: 100 }
    }

    /// The same with these topics.
    pub(crate) async fn new(purpose: &str, topics: &[Topic]) -> Self {
        let fixture = Self::without_topics(purpose).await;
        for topic in topics {
            fixture.create_topic(topic, topic.partitions).await;
        }
        fixture
    }

    pub(crate) async fn create_topic(&self, topic: &Topic, partitions: i32) {
        topics::create(bootstrap(), &self.kafka.topic(topic.name), partitions, topic.config()).await.unwrap();
    }

    /// Writes records to the test's topic.
    pub(crate) async fn produce(&self, topic: &Topic, records: Vec<NewRecord>) {
        topics::produce_all(&self.kafka.bootstrap_servers, &self.kafka.topic(topic.name), records).await.unwrap();
    }

    /// What an intake of this service needs.
    pub(crate) fn intake(&self, service: &str) -> Intake {
        Intake {
            kafka: self.kafka.clone(),
            service: service.to_owned(),
            schema: SCHEMA.to_owned(),
            pool: Database::parse(&self.url).unwrap().synchronous().pool().unwrap(),
            health: Health::new(),
            metrics: Metrics::new(),
            max_parked: self.max_parked,
            writers: 2,
            batch: inbox::BATCH,
            trace_messages: true,
        }
    }

    /// Starts an instance of this service.
    pub(crate) fn start_as(&self, service: &str, handler: Recorder) -> Instance {
        Self::start_with(self.intake(service), handler)
    }

    pub(crate) fn start_with(intake: Intake, handler: Recorder) -> Instance {
        let (applied, shutdown) = (Applied::new(), CancellationToken::new());
        let (health, metrics) = (intake.health.clone(), intake.metrics.clone());
        let running = tokio::spawn(inbox::run(handler, intake, applied.clone(), shutdown.clone()));
        Instance { health, metrics, applied, shutdown, running }
    }

    pub(crate) fn start(&self, handler: Recorder) -> Instance {
        self.start_as("service", handler)
    }

    /// The database, as its owner.
    pub(crate) fn admin_url(&self) -> String {
        self.database.url()
    }

    /// A number that the database counts.
    pub(crate) async fn number(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> i64 {
        self.admin.query_one(sql, parameters).await.unwrap().get(0)
    }

    pub(crate) async fn effects(&self) -> i64 {
        self.number(r#"SELECT count(*) FROM "the view".effect"#, &[]).await
    }

    pub(crate) async fn await_effects(&self, count: i64) {
        let check = async || {
            let effects = self.effects().await;
            if effects >= count { Ok(Some(())) } else { Err(format!("{effects} effects")) }
        };
        eventually(&format!("{count} effects"), DEADLINE, check).await;
    }

    /// Asserts that there are as many effects and no message has two, and that those of each subject are in order.
    pub(crate) async fn assert_once_and_in_order(&self, count: i64) {
        assert_eq!(self.effects().await, count);
        let different = r#"SELECT count(DISTINCT (topic, partition, message_offset)) FROM "the view".effect"#;
        assert_eq!(self.number(different, &[]).await, count, "a message had two effects");
        let disorder = r#"SELECT count(*) FROM (
            SELECT n < lag(n) OVER (PARTITION BY subject ORDER BY place) AS falls FROM "the view".effect
        ) AS steps WHERE falls"#;
        assert_eq!(self.number(disorder, &[]).await, 0, "effects of a subject out of order");
    }

    /// Waits until so many of the service's transactions stand behind a lock.
    pub(crate) async fn await_waiting(&self, transactions: i64) {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND wait_event_type = 'Lock'";
        eventually(&format!("{transactions} transactions wait"), DEADLINE, async || {
            let found = self.number(sql, &[&self.role]).await;
            if found == transactions { Ok(Some(())) } else { Err(format!("{found} wait")) }
        })
        .await;
    }

    /// The reasons for which messages were set aside, in their order.
    pub(crate) async fn reasons(&self) -> Vec<String> {
        let sql = r#"SELECT error FROM "the view".inbox_dead_letter ORDER BY topic, partition, message_offset"#;
        self.admin.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    pub(crate) async fn await_dead_letters(&self, count: usize) {
        let check = async || {
            let found = self.reasons().await.len();
            if found >= count { Ok(Some(())) } else { Err(format!("{found} dead letters")) }
        };
        eventually(&format!("{count} dead letters"), DEADLINE, check).await;
    }

    pub(crate) async fn await_dead_letters_of(&self, subject: &str, count: i64) {
        let sql = r#"SELECT count(*) FROM "the view".inbox_dead_letter WHERE aggregate = $1"#;
        eventually(&format!("{count} dead letters of {subject}"), DEADLINE, async || {
            let found = self.number(sql, &[&subject]).await;
            if found >= count { Ok(Some(())) } else { Err(format!("{found} dead letters")) }
        })
        .await;
    }

    /// Runs a command, as a service would: whether nothing is left to do, and what it prints.
    pub(crate) async fn command(&self, handler: Recorder, line: &[&str]) -> Result<(bool, String), String> {
        let action = Line::try_parse_from(["inbox"].iter().chain(line)).unwrap().action;
        let pool = Database::parse(&self.url).unwrap().pool().unwrap();
        let desk = Desk { schema: SCHEMA.to_owned(), pool, handlers: vec![Box::new(handler)] };
        let mut out = Vec::new();
        let done = command::run(&action, &[desk], &mut out).await.map_err(|failure| failure.to_string())?;
        Ok((done, String::from_utf8(out).unwrap()))
    }

    /// Where the handler goes on, summed over all partitions.
    pub(crate) async fn next_offsets(&self) -> i64 {
        self.number(r#"SELECT coalesce(sum(next_offset), 0)::bigint FROM "the view".inbox_offset"#, &[]).await
    }
}

/// A running intake. Dropping it drops its future.
pub(crate) struct Instance {
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    pub(crate) applied: Applied,
    pub(crate) shutdown: CancellationToken,
    running: JoinHandle<Result<(), Halt>>,
}

impl Instance {
    pub(crate) fn state(&self) -> Option<State> {
        self.health.report().parts.get("inbox.recorder").cloned()
    }

    /// Waits until its health says so.
    pub(crate) async fn await_state(&self, ready: bool, reason: &str) {
        eventually(&format!("ready: {ready}, {reason:?}"), DEADLINE, async || match self.state() {
            Some(state) if state.ready == ready && state.reason.as_deref().unwrap_or_default().contains(reason) => {
                Ok(Some(()))
            }
            other => Err(format!("{other:?}")),
        })
        .await;
    }

    /// The value of a metric.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let line = format!("{name}{{handler=\"recorder\"}} ");
        self.metrics.encode().lines().find_map(|found| found.strip_prefix(&line)?.parse().ok())
    }

    /// Waits until a metric has this value.
    pub(crate) async fn await_metric(&self, name: &str, value: f64) {
        eventually(&format!("{name} is {value}"), DEADLINE, async || match self.metric(name) {
            Some(found) if found == value => Ok(Some(())),
            found => Err(format!("{found:?}")),
        })
        .await;
    }

    /// Stops it and gives how it ended.
    pub(crate) async fn stop(mut self) -> Result<(), Halt> {
        self.shutdown.cancel();
        self.ended().await
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(&mut self) -> Result<(), Halt> {
        tokio::time::timeout(DEADLINE, &mut self.running).await.expect("the intake ends").unwrap()
    }

    /// Ends it wherever it is, as a crash would.
    pub(crate) async fn kill(mut self) {
        self.running.abort();
        assert!((&mut self.running).await.unwrap_err().is_cancelled());
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// A command line of `inbox`.
#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    action: Action,
}

/// Writes down each event, and can be made to wait before its transaction commits.
pub(crate) struct Recorder {
    pub(crate) topics: &'static [Topic],
    pub(crate) parking: Parking,
    pub(crate) repeats: Option<&'static str>,
    pub(crate) gathers_for: Duration,
    /// How many were read.
    pub(crate) read: watch::Sender<usize>,
    /// What it does by a single statement.
    pub(crate) insert: Option<Insert>,
    /// How many times events were to be applied.
    pub(crate) entered: watch::Sender<usize>,
    /// Each time takes a permit before it ends.
    pub(crate) permits: Arc<Semaphore>,
    /// What was to be told: of how many events, or, without a number, that anything may have changed.
    pub(crate) told: watch::Sender<Vec<Option<usize>>>,
    /// What it is told by; one statement for each time, and none any more.
    pub(crate) tells_by: Mutex<VecDeque<&'static str>>,
}

impl Recorder {
    pub(crate) fn of(topics: &'static [Topic]) -> Self {
        Self {
            topics,
            parking: Parking::Queue,
            repeats: None,
            gathers_for: Duration::ZERO,
            read: watch::Sender::new(0),
            insert: None,
            entered: watch::Sender::new(0),
            permits: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            told: watch::Sender::new(Vec::new()),
            tells_by: Mutex::default(),
        }
    }

    /// Has nothing to do but a single statement.
    pub(crate) fn inserting(topics: &'static [Topic]) -> Self {
        let insert = Insert {
            select: INSERT.to_owned(),
            on_conflict: String::new(),
            types: vec![Type::TEXT_ARRAY, Type::INT4_ARRAY, Type::INT8_ARRAY, Type::TEXT_ARRAY, Type::INT8_ARRAY],
        };
        Self { insert: Some(insert), ..Self::of(topics) }
    }

    /// Waits for a permit before each commit. Gives also what tells how often that was begun.
    pub(crate) fn gated(topics: &'static [Topic], permits: &Arc<Semaphore>) -> (Self, watch::Receiver<usize>) {
        let recorder = Self { permits: permits.clone(), ..Self::of(topics) };
        let entered = recorder.entered.subscribe();
        (recorder, entered)
    }
}

const INSERT: &str = r#"INSERT INTO "the view".effect (topic, partition, message_offset, subject, n)
    SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::text[], $5::bigint[])"#;

pub(crate) struct Thing {
    topic: Arc<str>,
    partition: i32,
    offset: i64,
    subject: String,
    n: Option<i64>,
}

impl Handler for Recorder {
    type Event = Thing;

    fn name(&self) -> &'static str {
        "recorder"
    }

    fn topics(&self) -> &'static [Topic] {
        self.topics
    }

    fn parking(&self) -> Parking {
        self.parking
    }

    fn repeats(&self) -> Option<&'static str> {
        self.repeats
    }

    fn gathers_for(&self) -> Duration {
        self.gathers_for
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<Thing>, Undecodable> {
        self.read.send_modify(|count| *count += 1);
        if delivery.envelope.ty == "test.Uninteresting.v1" {
            return Ok(None);
        }
        assert_ne!(delivery.envelope.ty, "test.Panicking.v1", "{:?}", delivery.document);
        Ok(Some(Thing {
            topic: delivery.topic.clone(),
            partition: delivery.partition,
            offset: delivery.offset,
            subject: delivery.envelope.subject.clone(),
            n: delivery.decode()?,
        }))
    }

    async fn apply(&self, transaction: &Transaction<'_>, things: &[Thing]) -> Result<(), Unapplied> {
        let parameters = self.parameters(things);
        let parameters: Vec<_> = parameters.iter().map(|parameter| &**parameter as &(dyn ToSql + Sync)).collect();
        transaction.execute(INSERT, &parameters).await?;
        self.entered.send_modify(|count| *count += 1);
        self.permits.acquire().await.unwrap().forget();
        Ok(())
    }

    fn insert(&self) -> Option<&Insert> {
        self.insert.as_ref()
    }

    fn parameters(&self, things: &[Thing]) -> Vec<Parameter> {
        let topics: Vec<String> = things.iter().map(|thing| thing.topic.to_string()).collect();
        let partitions: Vec<i32> = things.iter().map(|thing| thing.partition).collect();
        let offsets: Vec<i64> = things.iter().map(|thing| thing.offset).collect();
        let subjects: Vec<String> = things.iter().map(|thing| thing.subject.clone()).collect();
        let numbers: Vec<Option<i64>> = things.iter().map(|thing| thing.n).collect();
        vec![Box::new(topics), Box::new(partitions), Box::new(offsets), Box::new(subjects), Box::new(numbers)]
    }

    async fn tell(&self, client: &deadpool_postgres::Client, applied: Option<&[Thing]>) -> Result<(), Error> {
        self.told.send_modify(|told| told.push(applied.map(<[Thing]>::len)));
        let statement = self.tells_by.lock().unwrap().pop_front();
        client.batch_execute(statement.unwrap_or_default()).await
    }
}

/// A message as the outbox relay writes it.
pub(crate) fn record(subject: &str, n: i64) -> NewRecord {
    let envelope = Envelope {
        id: Uuid::now_v7(),
        source: "/test".to_owned(),
        ty: "test.ThingChanged.v1".to_owned(),
        subject: subject.to_owned(),
        sequence: None,
        time: chrono::Utc::now(),
        dataschema: None,
        correlation_id: None,
        causation_id: None,
        valid_until: None,
        trace: TraceContext {
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
            tracestate: None,
        },
        position: None,
    };
    NewRecord {
        partition: None,
        key: Some(subject.as_bytes().to_vec()),
        value: Some(n.to_string().into_bytes()),
        headers: envelope.to_headers().into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect(),
    }
}

/// The same, of another type.
pub(crate) fn record_of(ty: &str, subject: &str, n: i64) -> NewRecord {
    let mut record = record(subject, n);
    let types = record.headers.iter_mut().filter(|(name, _)| name == "ce_type");
    types.for_each(|(_, value)| *value = ty.as_bytes().to_vec());
    record
}

/// As many messages, numbered from `first`, of a hundred subjects.
pub(crate) fn records(first: i64, count: i64) -> Vec<NewRecord> {
    // 13 is refused by the database.
    (first..first + count).map(|n| record(&format!("thing-{}", n % 100), n + 100)).collect()
}

pub(crate) fn bootstrap() -> &'static str {
    &shared::kafka().bootstrap_servers
}

pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
