//! A hotel beside the third party that charges cards, with word going round between its contexts.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use servers::{eventually, topics};
use telemetry::CancellationToken;
use tokio::net::TcpListener;
use write_service::{Settings, Surroundings, contexts};

use crate::fixture::{Answer, DEADLINE, Hotel, Relay, account, booking, surroundings};

pub(crate) const BOOKINGS: &str = "/direct-booking/bookings";

/// A hotel beside a third party, with word going round between its contexts.
pub(crate) struct Place {
    pub(crate) hotel: Hotel,
    pub(crate) processor: String,
    relay: Relay,
    http: reqwest::Client,
    ended: CancellationToken,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

impl Place {
    pub(crate) async fn open(purpose: &str) -> Self {
        Self::open_with(purpose, |settings| settings).await
    }

    pub(crate) async fn open_with(purpose: &str, change: impl FnOnce(Settings) -> Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let processor = format!("http://{}", listener.local_addr().unwrap());
        let ended = CancellationToken::new();
        tokio::spawn(card_processor::serve(card_processor::Settings::default(), listener, ended.clone()));
        let surroundings = Surroundings { card_processor: processor.parse().unwrap(), ..surroundings() };
        let hotel = Hotel::open_with(purpose, |settings| change(Settings { surroundings, ..settings })).await;
        // Also where Accounts, whose they are, does not run. Where it does, it may have been faster.
        for topic in contracts::accounts::TOPICS {
            let (name, bootstrap) = (hotel.kafka.topic(topic.name), &hotel.kafka.bootstrap_servers);
            topics::create(bootstrap, &name, topic.partitions, topic.config()).await.ok();
        }
        hotel.service.report_when("readiness", |report| report.ready).await;
        hotel.know_account("ada", true).await;
        hotel.define_rooms("double", 50).await;
        let (relay, http) = (Relay::default(), reqwest::Client::new());
        Self { hotel, processor, relay, http, ended }
    }

    /// Does by hand what the capture does: publishes what was not published yet.
    pub(crate) async fn relay(&self) {
        let told = contexts::ALL.map(|context| (context.schema, context.topics));
        self.relay.publish(&self.hotel, &told).await;
    }

    /// Forgets what was published: it is all published once more.
    pub(crate) fn publish_again(&self) {
        self.relay.forget();
    }

    pub(crate) async fn document(&self, path: &str) -> Value {
        self.hotel.service.get(path).await.body
    }

    /// Lets word go round until the document has this status, and gives it.
    #[track_caller]
    pub(crate) fn until(&self, path: String, status: &'static str) -> impl Future<Output = Value> {
        eventually("a status", DEADLINE, async move || {
            self.relay().await;
            let document = self.document(&path).await;
            if document["status"] == status { Ok(Some(document)) } else { Err(format!("{status}: {document}")) }
        })
    }

    #[track_caller]
    pub(crate) fn booking_is(&self, id: &str, status: &'static str) -> impl Future<Output = Value> {
        self.until(format!("{BOOKINGS}/{id}"), status)
    }

    #[track_caller]
    pub(crate) fn payment_is(&self, id: &str, status: &'static str) -> impl Future<Output = Value> {
        self.until(format!("/payments/payments/{id}"), status)
    }

    pub(crate) async fn open_account(&self) {
        self.hotel.service.post("/accounts/accounts", &account("ada")).await.expect(201);
    }

    pub(crate) async fn name_card(&self, token: &str) -> Answer {
        let body = json!({"cardToken": token});
        self.hotel.service.post("/accounts/accounts/ada/change-card-details", &body).await
    }

    pub(crate) async fn book(&self, id: &str) -> Answer {
        self.hotel.service.post(BOOKINGS, &booking(id, 1, 2)).await.expect(202)
    }

    pub(crate) async fn cancel(&self, id: &str) {
        self.hotel.service.post(&format!("{BOOKINGS}/{id}/cancel"), &json!({})).await.expect(200);
    }

    pub(crate) async fn behave(&self, behaviour: Value) {
        let answer = self.http.put(format!("{}/v1/behaviour", self.processor)).json(&behaviour).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// What the third party has done about each booking: `charge succeeded`, `refund succeeded`…
    pub(crate) async fn ledger(&self) -> BTreeMap<String, Vec<String>> {
        let ledger = self.http.get(format!("{}/v1/ledger", self.processor)).send().await.unwrap();
        let ledger: Value = ledger.json().await.unwrap();
        let mut done: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for entry in ledger["entries"].as_array().unwrap() {
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            done.entry(text("reference")).or_default().push(format!("{} {}", text("kind"), text("status")));
        }
        done
    }
}
