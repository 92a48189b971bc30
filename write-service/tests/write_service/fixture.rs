//! One test's hotel: a database, a prefix for topics, and the service with all contexts on a socket of its own.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Mutex, OnceLock},
    time::Duration,
};

use contracts::{
    ReadAfter, Topic,
    envelope::{AggregateVersion, Envelope, TraceContext, names},
};
use serde_json::{Value, json};
use servers::{
    Login, TempDatabase, eventually, shared,
    topics::{self, NewRecord},
    unique_prefix,
};
use telemetry::{
    CancellationToken,
    database::Database,
    health::{Health, Report},
    kafka::Kafka,
    logs,
    metrics::Metrics,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_postgres::{Client, NoTls, Row};
use uuid::Uuid;
use write_service::{CardDetails, Settings, Surroundings, clock::Clock};

/// What a condition may take, on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) const ROLES: &str = "NOINHERIT IN ROLE accounts, direct_booking, payments, housekeeping, channel_manager";

pub(crate) struct Hotel {
    pub(crate) admin: Client,
    pub(crate) admin_url: String,
    pub(crate) service: Service,
    pub(crate) kafka: Kafka,
    pub(crate) login: Login,
    _database: TempDatabase,
}

/// Does by hand what the capture does: publishes what was not published yet.
#[derive(Default)]
pub(crate) struct Relay(Mutex<HashSet<Uuid>>);

impl Relay {
    /// Publishes what these schemas' outboxes have for these topics.
    pub(crate) async fn publish(&self, hotel: &Hotel, told: &[(&str, &[Topic])]) {
        for (schema, topics) in told {
            let rows = hotel.outbox(schema).await;
            for topic in *topics {
                let mut records = Vec::new();
                for row in rows.iter().filter(|row| row.aggregatetype == topic.name) {
                    if self.0.lock().unwrap().insert(row.id) {
                        records.push(row.record());
                    }
                }
                if !records.is_empty() {
                    hotel.publish(*topic, records).await;
                }
            }
        }
    }

    /// From now on it publishes all again.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap().clear();
    }
}

/// A running service. It ends with this value.
pub(crate) struct Service {
    pub(crate) url: String,
    pub(crate) health: Health,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinHandle<std::io::Result<()>>,
    http: reqwest::Client,
}

impl Service {
    pub(crate) async fn start(settings: Settings) -> Self {
        // Kept until the tests end: without it there are no traces.
        static LOGS: OnceLock<logs::Guard> = OnceLock::new();
        LOGS.get_or_init(|| {
            let args = logs::LogArgs { log_format: "text".into(), log_filter: "off".into(), otlp_endpoint: None };
            logs::init("write-service", &args).unwrap()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (health, shutdown) = (Health::new(), CancellationToken::new());
        let service = write_service::serve(settings, listener, health.clone(), Metrics::new(), shutdown.clone());
        Self { url, health, shutdown, running: tokio::spawn(service), http: reqwest::Client::new() }
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let (content_type, body) = (text("content-type"), serde_json::from_slice(&bytes).unwrap_or(Value::Null));
        if status >= 400 {
            assert_eq!(content_type, "application/problem+json", "{status} {bytes:?}");
            assert_eq!(body["status"], status, "{body}");
            assert!(body["type"].as_str().is_some_and(|ty| ty.starts_with("/problems/")), "{body}");
            assert!(body["title"].is_string() && body["detail"].is_string(), "{body}");
        }
        let names = headers.keys().map(ToString::to_string).collect::<Vec<_>>();
        let headers = names.into_iter().map(|name| (name.clone(), text(&name))).collect();
        Answer { status, headers, body, bytes: bytes.to_vec() }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.url))
    }

    /// Begins a command, under a key that no other has.
    pub(crate) fn command(&self, path: &str) -> reqwest::RequestBuilder {
        self.request("POST", path).header("idempotency-key", Uuid::now_v7().to_string())
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, body, &[]).await
    }

    pub(crate) async fn post_with(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let request = self.command(path).json(body);
        self.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }

    /// Sends a command under this key.
    pub(crate) async fn post_as(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.send(self.request("POST", path).header("idempotency-key", key).json(body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    /// The value of a metric at `/metrics`, by its name and labels; none where it is not there.
    pub(crate) async fn metric(&self, series: &str) -> Option<f64> {
        let text = String::from_utf8(self.get("/metrics").await.expect(200).bytes).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map(|value| value.parse().unwrap())
    }

    /// Waits until a metric has such a value.
    pub(crate) async fn metric_is(&self, series: &str, holds: impl Fn(f64) -> bool) {
        eventually(series, DEADLINE, async || match self.metric(series).await {
            Some(value) if holds(value) => Ok(Some(())),
            other => Err(format!("{other:?}")),
        })
        .await;
    }

    /// The report of `/readyz`, once it says what is awaited.
    pub(crate) async fn report_when(&self, awaited: &str, holds: impl Fn(&Report) -> bool) {
        eventually(awaited, DEADLINE, async || {
            let report = self.health.report();
            if holds(&report) { Ok(Some(())) } else { Err(format!("{report:?}")) }
        })
        .await;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// Asserts that it is this problem.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, slug: &str) -> Self {
        assert_eq!((self.status, &self.body["type"]), (status, &json!(format!("/problems/{slug}"))), "{}", self.body);
        self
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name} in {:?}", self.headers))
    }

    /// The pointers of the bad fields.
    pub(crate) fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| error["pointer"].as_str()).collect()
    }
}

impl Hotel {
    pub(crate) async fn open(purpose: &str) -> Self {
        Self::open_with(purpose, |settings| settings).await
    }

    pub(crate) async fn open_with(purpose: &str, change: impl FnOnce(Settings) -> Settings) -> Self {
        let database = TempDatabase::create(purpose).await;
        write_service::migrate(&Database::parse(&database.url()).unwrap()).await.unwrap();
        let login = database.create_login("writer", ROLES).await.unwrap();
        let kafka = Kafka { topic_prefix: unique_prefix(purpose), ..Kafka::at(&shared::kafka().bootstrap_servers) };
        let settings = Settings::all_in(&Database::parse(&login.url).unwrap(), kafka.clone(), surroundings());
        let service = Service::start(change(settings)).await;
        let admin_url = database.url();
        Self { admin: connect(&admin_url).await, admin_url, service, kafka, login, _database: database }
    }

    /// A hotel whose commands bring their own time.
    pub(crate) async fn open_for_replay(purpose: &str) -> Self {
        Self::open_with(purpose, |settings| Settings { clock: Clock::Request, ..settings }).await
    }

    /// Makes direct booking know an account, without any event.
    pub(crate) async fn know_account(&self, id: &str, open: bool) {
        let sql = "insert into direct_booking.account_copy (account_id, version, open) values ($1, 1, $2)";
        self.admin.execute(sql, &[&id, &open]).await.unwrap();
    }

    pub(crate) async fn define_rooms(&self, id: &str, rooms: usize) {
        let rooms: Vec<_> = (1..=rooms).map(|room| room.to_string()).collect();
        let body = json!({"roomTypeId": id, "name": "Double", "rooms": rooms});
        self.service.post("/direct-booking/room-types", &body).await.expect(201);
    }

    /// A hotel with the account `ada` and the room type `double`.
    pub(crate) async fn open_for_bookings(purpose: &str, rooms: usize) -> Self {
        let hotel = Self::open(purpose).await;
        hotel.know_account("ada", true).await;
        hotel.define_rooms("double", rooms).await;
        hotel
    }

    /// Whether the database says so.
    pub(crate) async fn holds(&self, sql: &str) -> bool {
        self.admin.query_one(sql, &[]).await.unwrap().get(0)
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.admin.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// How many rows there are of what commands write.
    pub(crate) async fn written(&self) -> i64 {
        self.number(
            "select (select count(*) from accounts.account) + (select count(*) from accounts.card) + (select count(*) from accounts.outbox)
                + (select count(*) from direct_booking.room_type) + (select count(*) from direct_booking.booking)
                + (select count(*) from direct_booking.rate_plan) + (select count(*) from direct_booking.guest)
                + (select count(*) from channel_manager.site) + (select count(*) from channel_manager.site_booking)
                + (select count(*) from channel_manager.allotment) + (select coalesce(sum(revision), 0)::bigint from channel_manager.notice)
                + (select count(*) from channel_manager.outbox)
                + (select count(*) from direct_booking.outbox) + (select coalesce(sum(taken), 0) from direct_booking.room_night)
                + (select count(*) from housekeeping.outbox)",
        )
        .await
    }

    /// The outbox of a schema, in the order of its ids.
    pub(crate) async fn outbox(&self, schema: &str) -> Vec<OutboxRow> {
        let sql = format!("select *, payload::text as text from {schema}.outbox order by id");
        self.admin.query(&sql, &[]).await.unwrap().iter().map(OutboxRow::from).collect()
    }

    /// Does by hand what the capture does: publishes the accounts' outbox, each row once more.
    pub(crate) async fn relay_accounts(&self) {
        let rows = self.outbox("accounts").await;
        self.publish(contracts::accounts::ACCOUNT, rows.iter().map(OutboxRow::record).collect()).await;
    }

    pub(crate) async fn publish(&self, topic: Topic, records: Vec<NewRecord>) {
        topics::produce_all(&self.kafka.bootstrap_servers, &self.kafka.topic(topic.name), records).await.unwrap();
    }
}

pub(crate) struct OutboxRow {
    pub(crate) id: Uuid,
    pub(crate) aggregatetype: String,
    pub(crate) aggregateid: String,
    pub(crate) ty: String,
    /// The document; none is a tombstone.
    pub(crate) text: Option<String>,
    pub(crate) version: i64,
    pub(crate) headers: BTreeMap<String, String>,
}

impl From<&Row> for OutboxRow {
    fn from(row: &Row) -> Self {
        let headers: Value = row.get("headers");
        Self {
            id: row.get("id"),
            aggregatetype: row.get("aggregatetype"),
            aggregateid: row.get("aggregateid"),
            ty: row.get("type"),
            text: row.get("text"),
            version: row.get("aggregateversion"),
            headers: serde_json::from_value(headers).unwrap(),
        }
    }
}

impl OutboxRow {
    pub(crate) fn record(&self) -> NewRecord {
        let header = |name: &str| self.headers.get(name).cloned();
        let envelope = Envelope {
            id: self.id,
            source: header(names::SOURCE).unwrap(),
            ty: self.ty.clone(),
            subject: self.aggregateid.clone(),
            sequence: Some(AggregateVersion::try_from(self.version).unwrap()),
            time: chrono::Utc::now(),
            dataschema: None,
            correlation_id: header(names::CORRELATION_ID),
            causation_id: header(names::CAUSATION_ID),
            valid_until: None,
            trace: TraceContext { traceparent: header(names::TRACEPARENT), tracestate: None },
            position: None,
        };
        record(&envelope, self.text.clone())
    }
}

pub(crate) fn record(envelope: &Envelope, value: Option<String>) -> NewRecord {
    NewRecord {
        partition: None,
        key: Some(envelope.subject.clone().into_bytes()),
        value: value.map(String::into_bytes),
        headers: envelope.to_headers().into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect(),
    }
}

/// Where no third party is.
pub(crate) fn surroundings() -> Surroundings {
    let forever = Duration::from_secs(600);
    Surroundings {
        card_processor: "http://127.0.0.1:9".parse().unwrap(),
        card_wait: forever,
        card_details: CardDetails::Cache,
        booking_expiry: forever,
    }
}

pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(crate) fn account(id: &str) -> Value {
    json!({
        "accountId": id,
        "name": "Ada Peeters",
        "address": {"street": "Kaai 1", "postalCode": "9000", "city": "Gent", "country": "BE"},
        "email": "ada@example.org",
    })
}

/// The details of an account, as they are changed.
pub(crate) fn details(city: &str) -> Value {
    let mut details = account("");
    details.as_object_mut().unwrap().remove("accountId");
    details["address"]["city"] = json!(city);
    details
}

/// A day, counted from today.
pub(crate) fn day(from_today: i64) -> String {
    (chrono::Utc::now().date_naive() + chrono::TimeDelta::days(from_today)).to_string()
}

/// A booking of `double` on `ada`, from so many days on.
pub(crate) fn booking(id: &str, check_in: i64, nights: i64) -> Value {
    json!({
        "bookingId": id,
        "accountId": "ada",
        "roomTypeId": "double",
        "checkIn": day(check_in),
        "checkOut": day(check_in + nights),
        "guests": {"adults": 2},
        "nightlyRate": {"amountMinor": 7_500, "currency": "EUR"},
    })
}

/// A booking of `double` by a guest, from tomorrow on.
pub(crate) fn by_guest(id: &str, guest: &str) -> Value {
    let mut body = booking(id, 1, 1);
    body.as_object_mut().unwrap().remove("accountId");
    body["guest"] = json!({"guestId": guest, "name": "Zoë Maes", "email": "zoe@example.org", "cardToken": "tok_zoe"});
    body
}

/// An aggregator site.
pub(crate) fn site(id: &str, url: &str) -> Value {
    json!({"siteId": id, "name": "Expo", "url": url})
}

/// A booking of `double` that a site has sold, from so many days on. Its reference is `X-` and its id.
pub(crate) fn sold(id: &str, check_in: i64, nights: i64) -> Value {
    let mut sold = booking(id, check_in, nights);
    sold.as_object_mut().unwrap().remove("accountId");
    sold["reference"] = json!(format!("X-{id}"));
    sold
}

/// A price that is valid for so many hours.
pub(crate) fn tariff(hours: i64) -> Value {
    let until = chrono::Utc::now() + chrono::TimeDelta::hours(hours);
    json!({"nightlyRate": {"amountMinor": 9_900, "currency": "EUR"}, "validUntil": until})
}

/// A rate plan of `double`.
pub(crate) fn rate_plan(id: &str, hours: i64) -> Value {
    let mut plan = tariff(hours);
    (plan["ratePlanId"], plan["roomTypeId"], plan["name"]) = (json!(id), json!("double"), json!("Flexible"));
    plan
}

pub(crate) fn token(answer: &Answer) -> ReadAfter {
    answer.header(ReadAfter::HEADER).parse().unwrap()
}
