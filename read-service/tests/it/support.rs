//! A database with the views in it, messages to fill them with, and a server that answers from them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use auth::AuthSettings;
use contracts::{Topic, accounts, channel_manager, direct_booking, envelope::Envelope, housekeeping, payments};
use inbox::{Delivery, Handler};
use read_service::{
    Error, Serving, Settings, live,
    projection::Projector,
    serve,
    view::{Options, ROLE, View},
};
use serde_json::{Value, json};
use servers::{TempDatabase, eventually};
use telemetry::{CancellationToken, database::Database, health::Health, metrics::Metrics};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// How long anything may take.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A migrated database and a login of the service.
#[derive(Clone)]
pub(crate) struct Views {
    pub(crate) database: Arc<TempDatabase>,
    pub(crate) service_url: String,
}

impl Views {
    pub(crate) async fn create(purpose: &str) -> Self {
        Self::made_of(TempDatabase::create(purpose).await).await
    }

    /// The same on a server of the test's own, by its superuser's URL.
    pub(crate) async fn create_on(admin_url: &str, purpose: &str) -> Self {
        Self::made_of(TempDatabase::create_on(admin_url, purpose).await.unwrap()).await
    }

    async fn made_of(database: TempDatabase) -> Self {
        read_service::migrate(&Database::parse(&database.url()).unwrap()).await.unwrap();
        let login = database.create_login("reader", &format!("NOINHERIT IN ROLE {ROLE}")).await.unwrap();
        Self { database: Arc::new(database), service_url: login.url }
    }

    pub(crate) fn service(&self) -> Database {
        Database::parse(&self.service_url).unwrap()
    }

    /// A connection with the service's own privileges.
    pub(crate) async fn client(&self) -> deadpool_postgres::Object {
        self.service().as_role(ROLE).pool_size(1).pool().unwrap().get().await.unwrap()
    }

    /// A connection of the owner.
    pub(crate) async fn owner(&self) -> deadpool_postgres::Object {
        Database::parse(&self.database.url()).unwrap().pool_size(1).pool().unwrap().get().await.unwrap()
    }

    /// Applies messages as one batch, as the intake would.
    pub(crate) async fn apply<H: Handler>(&self, handler: &H, deliveries: &[Delivery]) {
        let mut client = self.client().await;
        apply(&mut client, handler, deliveries).await;
    }

    /// Applies messages about any views.
    pub(crate) async fn fill(&self, deliveries: &[Delivery]) {
        let of = |delivery: &&Delivery| View::of_topic(&delivery.topic).expect("a topic that a view is filled from");
        for view in View::ALL {
            let about: Vec<_> = deliveries.iter().filter(|delivery| of(delivery) == *view).cloned().collect();
            if !about.is_empty() {
                self.apply(&Projector::of(*view), &about).await;
            }
        }
    }
}

pub(crate) async fn apply<H: Handler>(client: &mut deadpool_postgres::Object, handler: &H, deliveries: &[Delivery]) {
    let events: Vec<_> = deliveries.iter().filter_map(|delivery| handler.decode(delivery).unwrap()).collect();
    let transaction = client.transaction().await.unwrap();
    handler.apply(&transaction, &events).await.unwrap();
    transaction.commit().await.unwrap();
    handler.tell(client, Some(&events)).await.unwrap();
}

/// A server on a port of its own, with nothing that fills its views.
pub(crate) struct Server {
    pub(crate) views: Views,
    pub(crate) address: SocketAddr,
    pub(crate) http: reqwest::Client,
    pub(crate) stop: CancellationToken,
    _running: AbortOnDropHandle<Result<(), Error>>,
}

/// As the flags have it, but for the patience.
pub(crate) fn usual() -> Serving {
    Serving { read_after_timeout: SOON, ..Serving::default() }
}

impl Server {
    pub(crate) async fn start(purpose: &str) -> Self {
        Self::start_on(Views::create(purpose).await, usual()).await
    }

    pub(crate) async fn start_with(purpose: &str, read_after_timeout: Duration, connections: Options) -> Self {
        let settings = Serving { read_after_timeout, connections, ..usual() };
        Self::start_on(Views::create(purpose).await, settings).await
    }

    /// One that asks for tokens.
    pub(crate) async fn start_guarded(purpose: &str, auth: AuthSettings) -> Self {
        Self::start_on(Views::create(purpose).await, Serving { auth: Some(auth), ..usual() }).await
    }

    /// One whose subscribers may take no more than this.
    pub(crate) async fn start_for(views: Views, subscribers: live::Options) -> Self {
        Self::start_on(views, Serving { subscribers, ..usual() }).await
    }

    pub(crate) async fn start_on(views: Views, serving: Serving) -> Self {
        let stop = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let settings = Settings { database: views.service(), projecting: None, serving: Some(serving) };
        let running = tokio::spawn(serve(settings, listener, Health::new(), Metrics::new(), stop.clone()));
        let server =
            Self { views, address, http: reqwest::Client::new(), stop, _running: AbortOnDropHandle::new(running) };
        eventually("the server is ready", SOON, async || server.get("/readyz").await.status().is_success()).await;
        server
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        self.http.get(self.url(path)).send().await.unwrap()
    }

    /// Posts a query with variables and returns the status and the answer.
    pub(crate) async fn post(&self, query: &str, variables: Value) -> (u16, Value) {
        let request = self.http.post(self.url("/graphql")).header("accept", "application/graphql-response+json");
        let response = request.json(&json!({"query": query, "variables": variables})).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// The data of a query that has no errors.
    pub(crate) async fn data(&self, query: &str) -> Value {
        let (status, answer) = self.post(query, json!({})).await;
        assert_eq!((status, &answer["errors"]), (200, &Value::Null), "{query}");
        answer["data"].clone()
    }

    /// How many SQL statements queries have cost so far.
    pub(crate) async fn statements(&self) -> u64 {
        self.metric("view_statements_total").await
    }

    /// The value of a metric, all its labels together.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let metrics = self.get("/metrics").await.text().await.unwrap();
        let is_it = |line: &&str| line.split(['{', ' ']).next() == Some(name);
        let counts = metrics.lines().filter(is_it);
        counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }
}

/// The code of an answer's first error.
pub(crate) fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or("no code")
}

/// A message on a topic; no document is a tombstone.
pub(crate) fn delivery(topic: Topic, id: &str, version: i64, document: Option<&Value>) -> Delivery {
    let sequence = format!("{version:020}");
    let headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", "01999999-0000-7000-8000-000000000000"),
        ("ce_source", "/hotel/test"),
        ("ce_type", "hotel.test.Changed.v1"),
        ("ce_subject", id),
        ("ce_sequence", sequence.as_str()),
        ("ce_time", "2026-11-21T10:00:00.123456Z"),
    ];
    let envelope = Envelope::from_headers(headers.map(|(name, value)| (name, Some(value.as_bytes())))).unwrap();
    Delivery {
        topic: Arc::from(topic.name),
        partition: 0,
        offset: 0,
        published_at: None,
        envelope,
        document: document.map(|document| document.to_string().into()),
    }
}

pub(crate) fn account(id: &str, version: i64, name: &str) -> Delivery {
    let document = json!({
        "accountId": id, "version": version, "status": "OPEN", "name": name, "email": "ada@example.org",
        "address": {"street": "High Street 1", "postalCode": "8001", "city": "Zürich", "country": "CH"},
    });
    delivery(accounts::ACCOUNT, id, version, Some(&document))
}

/// A room type, of whose rooms the first is reached without steps.
pub(crate) fn room_type(id: &str, version: i64, rooms: &[&str]) -> Delivery {
    let room = |(place, number)| json!({"number": number, "stepFree": place == 0});
    let rooms: Vec<_> = rooms.iter().enumerate().map(room).collect();
    let document = json!({"roomTypeId": id, "version": version, "name": format!("Room {id}"), "rooms": rooms});
    delivery(direct_booking::ROOM_TYPE, id, version, Some(&document))
}

pub(crate) fn guest(id: &str, version: i64, name: &str) -> Delivery {
    let document = json!({"guestId": id, "version": version, "name": name, "email": "gus@example.org"});
    delivery(direct_booking::GUEST, id, version, Some(&document))
}

pub(crate) fn rate_plan(id: &str, version: i64, amount_minor: i64) -> Delivery {
    let document = json!({
        "ratePlanId": id, "version": version, "roomTypeId": "double", "name": "Flexible",
        "nightlyRate": {"amountMinor": amount_minor, "currency": "EUR"}, "validUntil": "2026-12-31T23:59:59Z",
    });
    delivery(direct_booking::RATE_PLAN, id, version, Some(&document))
}

/// A booking of three nights on account `a1` of room type `double`, with these members replaced.
pub(crate) fn booking(id: &str, version: i64, check_in: &str, changes: &Value) -> Delivery {
    let document = json!({
        "bookingId": id, "version": version, "status": "CONFIRMED",
        "bookedBy": {"kind": "ACCOUNT", "accountId": "a1"}, "roomTypeId": "double",
        "checkIn": check_in, "checkOut": three_nights_after(check_in),
        "guests": {"adults": 2, "children": 1, "babies": 0},
        "nightlyRate": {"amountMinor": 7500, "currency": "EUR"}, "total": {"amountMinor": 22500, "currency": "EUR"},
        "madeAt": "2026-01-02T03:04:05Z",
    });
    delivery(direct_booking::BOOKING, id, version, Some(&with(document, changes)))
}

fn three_nights_after(day: &str) -> chrono::NaiveDate {
    day.parse::<chrono::NaiveDate>().unwrap() + chrono::Days::new(3)
}

fn with(mut document: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().into_iter().flatten() {
        document[name] = value.clone();
    }
    document
}

/// A cancelled booking.
pub(crate) fn cancelled(id: &str, version: i64, check_in: &str) -> Delivery {
    booking(id, version, check_in, &json!({"status": "CANCELLED", "cancelledAt": "2026-01-03T00:00:00Z"}))
}

/// A payment of 225 euros on account `a1`, with these members replaced.
pub(crate) fn payment(booking: &str, version: i64, status: &str, changes: &Value) -> Delivery {
    let document = json!({
        "bookingId": booking, "version": version, "status": status, "payer": {"kind": "ACCOUNT", "accountId": "a1"},
        "amount": {"amountMinor": 22500, "currency": "EUR"}, "changedAt": "2026-01-02T03:04:06Z",
    });
    delivery(payments::PAYMENT, booking, version, Some(&with(document, changes)))
}

/// A task for booking `7`, with these members replaced.
pub(crate) fn task(id: &str, version: i64, day: &str, changes: &Value) -> Delivery {
    let document = json!({
        "taskId": id, "version": version, "kind": "PREPARATION", "status": "SCHEDULED", "bookingId": "7",
        "roomTypeId": "double", "day": day,
    });
    delivery(housekeeping::TASK, id, version, Some(&with(document, changes)))
}

pub(crate) fn site(id: &str, version: i64, allotments: &Value) -> Delivery {
    let document = json!({
        "siteId": id, "version": version, "status": "CONNECTED", "name": "Example", "allotments": allotments,
    });
    delivery(channel_manager::SITE, id, version, Some(&document))
}

/// What site `example` has sold: three nights, with these members replaced.
pub(crate) fn site_booking(id: &str, version: i64, check_in: &str, changes: &Value) -> Delivery {
    let document = json!({
        "bookingId": id, "version": version, "status": "RECEIVED", "siteId": "example", "reference": "E-1",
        "roomTypeId": "double", "checkIn": check_in, "checkOut": three_nights_after(check_in),
        "guests": {"adults": 2}, "nightlyRate": {"amountMinor": 7500, "currency": "EUR"},
        "receivedAt": "2026-01-02T03:04:05Z",
    });
    delivery(channel_manager::SITE_BOOKING, id, version, Some(&with(document, changes)))
}

pub(crate) fn tombstone(topic: Topic, id: &str, version: i64) -> Delivery {
    delivery(topic, id, version, None)
}
