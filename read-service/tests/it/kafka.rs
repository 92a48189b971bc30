//! The whole service: from Kafka to an answer.

use std::collections::BTreeSet;

use contracts::{ReadAfter, Topic, accounts};
use inbox::Delivery;
use read_service::{Projecting, Settings, serve, view::View};
use serde_json::{Value, json};
use servers::{eventually, groups, shared, topics, unique_prefix};
use telemetry::{CancellationToken, database::Database, health::Health, kafka::Kafka, metrics::Metrics};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::support::{SOON, Views, account, booking, cancelled, room_type, tombstone};

pub(crate) struct Service {
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
    stop: CancellationToken,
    running: JoinHandle<Result<(), read_service::Error>>,
}

impl Service {
    pub(crate) async fn start(database: Database, prefix: &str) -> Self {
        Self::start_with(Settings::new(database, kafka(prefix))).await
    }

    async fn start_with(settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let running = tokio::spawn(serve(settings, listener, Health::new(), Metrics::new(), stop.clone()));
        Self { url, http: reqwest::Client::new(), stop, running }
    }

    pub(crate) async fn ready(&self) {
        eventually("ready", SOON, async || {
            let response = self.http.get(format!("{}/readyz", self.url)).send().await.unwrap();
            if response.status().is_success() { Ok(Some(())) } else { Err(response.text().await.unwrap()) }
        })
        .await;
    }

    /// Asks once these are visible.
    pub(crate) async fn ask(&self, query: &str, after: &[&Delivery]) -> Value {
        let tokens: Vec<_> = after.iter().map(|delivery| token(delivery).to_string()).collect();
        let request = self.http.post(format!("{}/graphql", self.url)).header("Read-After", tokens.join(","));
        let answer: Value = request.json(&json!({"query": query})).send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["errors"], Value::Null);
        answer["data"].clone()
    }

    /// What its readiness depends on.
    async fn parts(&self) -> Vec<String> {
        let report = self.http.get(format!("{}/readyz", self.url)).send().await.unwrap();
        report.json::<Value>().await.unwrap()["parts"].as_object().unwrap().keys().cloned().collect()
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.running).await.expect("it ends in time").unwrap().unwrap();
    }
}

fn kafka(prefix: &str) -> Kafka {
    Kafka { topic_prefix: prefix.to_owned(), ..Kafka::at(shared::kafka().bootstrap_servers.clone()) }
}

fn token(delivery: &Delivery) -> ReadAfter {
    ReadAfter {
        topic: delivery.topic.to_string(),
        subject: delivery.envelope.subject.clone(),
        version: delivery.envelope.sequence.unwrap(),
    }
}

/// The topics that the service reads.
fn read() -> impl Iterator<Item = Topic> {
    View::ALL.iter().map(|view| *view.topic())
}

pub(crate) async fn create_topics(prefix: &str) {
    for topic in read() {
        let name = format!("{prefix}{}", topic.name);
        topics::create(&shared::kafka().bootstrap_servers, &name, topic.partitions, topic.config()).await.unwrap();
    }
}

pub(crate) async fn publish(prefix: &str, deliveries: &[Delivery]) {
    let is_read = |delivery: &Delivery| read().any(|topic| *delivery.topic == *topic.name);
    assert!(deliveries.iter().all(is_read), "a topic that nobody reads here");
    for topic in read() {
        let of = |topic: Topic| deliveries.iter().filter(move |delivery| *delivery.topic == *topic.name);
        if of(topic).next().is_none() {
            continue;
        }
        let records = of(topic).map(|delivery| topics::NewRecord {
            partition: None,
            key: Some(delivery.envelope.subject.clone().into_bytes()),
            value: delivery.document.as_ref().map(|document| document.to_vec()),
            headers: headers(delivery),
        });
        let name = format!("{prefix}{}", topic.name);
        topics::produce_all(&shared::kafka().bootstrap_servers, &name, records.collect()).await.unwrap();
    }
}

fn headers(delivery: &Delivery) -> Vec<(String, Vec<u8>)> {
    let headers = delivery.envelope.to_headers().into_iter();
    headers.map(|(name, value)| (name.to_owned(), value.into_bytes())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_answered_also_after_a_restart() {
    let (views, prefix) = (Views::create("kafka").await, unique_prefix("read-service"));
    create_topics(&prefix).await;
    let service = Service::start(views.service(), &prefix).await;
    service.ready().await;
    let made = booking("7", 1, "2026-03-01", &json!({}));
    publish(&prefix, &[account("a1", 1, "Ada"), room_type("double", 1, &["101"]), made.clone()]).await;
    let opened = account("a1", 1, "Ada");
    let query = r#"{ booking(id: "7") { status account { name } } }"#;
    let data = service.ask(query, &[&made, &opened]).await;
    assert_eq!(data, json!({"booking": {"status": "CONFIRMED", "account": {"name": "Ada"}}}));
    service.end().await;

    let called_off = cancelled("7", 2, "2026-03-01");
    let gone = tombstone(accounts::ACCOUNT, "a1", 2);
    // Kafka may deliver what it has delivered before.
    publish(&prefix, &[made, called_off.clone(), gone.clone(), opened]).await;
    let service = Service::start(views.service(), &prefix).await;
    service.ready().await;
    let data = service.ask(query, &[&called_off, &gone]).await;
    assert_eq!(data, json!({"booking": {"status": "CANCELLED", "account": null}}));
    service.end().await;
}

/// Given neither a database nor a broker, when the service starts, then it says so and waits; when it is told to end, it
/// ends.
#[tokio::test(flavor = "multi_thread")]
async fn without_its_servers_it_waits_and_says_so() {
    let nowhere = Database::parse("postgres://nobody@127.0.0.1:1/nothing").unwrap();
    let service = Service::start(nowhere, &unique_prefix("nowhere")).await;
    let report = eventually("a reason", SOON, async || {
        let response = service.http.get(format!("{}/readyz", service.url)).send().await.unwrap();
        assert_eq!(response.status(), 503);
        let report: Value = response.json().await.unwrap();
        let reason = report["parts"]["postgres"]["reason"].as_str().unwrap_or_default();
        if reason.contains("refused") { Ok(Some(report.clone())) } else { Err(report.to_string()) }
    })
    .await;
    assert!(!report.to_string().contains("nobody"), "{report}");
    let healthz = service.http.get(format!("{}/healthz", service.url)).send().await.unwrap();
    assert_eq!(healthz.status(), 200);
    let request = service.http.post(format!("{}/graphql", service.url));
    let answer: Value = request
        .json(&json!({"query": "{ bookings { nodes { bookingId } } }"}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(crate::support::code(&answer), "UNAVAILABLE");
    service.end().await;
}

/// Given a document that cannot be read, when others come after it, then they are applied all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_message_does_not_stop_the_rest() {
    let (views, prefix) = (Views::create("poison").await, unique_prefix("poison"));
    create_topics(&prefix).await;
    let mut poison = booking("6", 1, "2026-03-01", &json!({}));
    poison.document = Some("not JSON".into());
    let made = booking("7", 1, "2026-03-01", &json!({}));
    publish(&prefix, &[booking("5", 1, "2026-03-01", &json!({})), poison, made.clone()]).await;
    let service = Service::start(views.service(), &prefix).await;
    service.ready().await;
    let data =
        service.ask("{ bookings { nodes { bookingId } } }", &[&made, &booking("5", 1, "2026-03-01", &json!({}))]).await;
    assert_eq!(data["bookings"]["nodes"], json!([{"bookingId": "5"}, {"bookingId": "7"}]));
    service.end().await;
}

#[tokio::test]
async fn the_service_reads_what_it_declares_and_nothing_else() {
    let views = Views::create("readers").await;
    let prefix = unique_prefix("readers");
    let bootstrap = &shared::kafka().bootstrap_servers;
    let readers = contracts::readers::readers().unwrap();
    let reader = &readers["read-service"];
    // Every topic, since one that it reads without having declared it would have to be there too.
    for topic in contracts::topics() {
        topics::create(bootstrap, &format!("{prefix}{}", topic.name), topic.partitions, topic.config()).await.unwrap();
    }
    let service = Service::start(views.service(), &prefix).await;
    service.ready().await;
    let declared: BTreeSet<_> = reader.reads.iter().map(|topic| format!("{prefix}{topic}")).collect();
    eventually("it reads what it declares", SOON, async || {
        let read = groups::topics_read(bootstrap, &prefix).await.unwrap();
        assert!(read.keys().all(|group| group.starts_with(&format!("{prefix}{}", reader.groups))), "{read:?}");
        if read.values().flatten().collect::<BTreeSet<_>>() == declared.iter().collect() {
            Ok(Some(()))
        } else {
            Err(format!("{read:?}"))
        }
    })
    .await;
    service.end().await;
}

/// Given a process that only serves, when a projection in another one stands still, then it can say how many messages the view
/// lacks: more and more, and none once it has gone on.
#[tokio::test]
async fn who_only_serves_can_say_how_far_the_views_are_behind() {
    let (views, prefix) = (Views::create("lag").await, unique_prefix("lag"));
    create_topics(&prefix).await;
    let both = Settings::new(views.service(), kafka(&prefix));
    let serves = Service::start_with(Settings { projecting: None, ..both.clone() }).await;
    serves.ready().await;
    let fresh = async |name: &str| {
        let answer = serves.ask("{ views { name table lastAppliedAt lagMessages lookedAt } }", &[]).await;
        let views = answer["views"].as_array().unwrap();
        assert_eq!(views.len(), View::ALL.len() + 1);
        views.iter().find(|view| view["name"] == name).unwrap().clone()
    };
    let unknown = json!({
        "name": "journal", "table": "view.event", "lastAppliedAt": null, "lagMessages": null, "lookedAt": null,
    });
    assert_eq!(fresh("journal").await, unknown, "nobody fills it");

    let projects = Service::start_with(Settings { serving: None, ..both }).await;
    let lags = async |name: &str, messages: i64| {
        eventually(&format!("{name} lacks {messages}"), SOON, async || {
            let view = fresh(name).await;
            if view["lagMessages"] == messages { Ok(Some(view)) } else { Err(view.to_string()) }
        })
        .await
    };
    let made = |id: u32| booking(&id.to_string(), 1, "2026-03-01", &json!({}));
    publish(&prefix, &[made(1)]).await;
    serves.ask("{ views { name } }", &[&made(1)]).await;
    let view = lags("booking", 0).await;
    assert!(view["lastAppliedAt"].is_string() && view["lookedAt"].is_string(), "{view}");
    assert_eq!(lags("account", 0).await["lastAppliedAt"], Value::Null);

    let mut owner = views.owner().await;
    let lock = owner.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE view.booking IN SHARE MODE").await.unwrap();
    publish(&prefix, &[made(2), made(3)]).await;
    lags("booking", 2).await;
    publish(&prefix, &[made(4)]).await;
    lags("booking", 3).await;
    lags("journal", 0).await;
    lock.rollback().await.unwrap();
    lags("booking", 0).await;
    projects.end().await;
    serves.end().await;
}

/// Given one process that projects and one that serves, when something is published, then a query of the second waits until
/// the first has applied it; and each does nothing else.
#[tokio::test]
async fn projecting_and_serving_can_be_two_processes() {
    let (views, prefix) = (Views::create("two roles").await, unique_prefix("two-roles"));
    create_topics(&prefix).await;
    let both = Settings::new(views.service(), kafka(&prefix));
    let accounts = Projecting { views: ["account"].into(), ..Projecting::new(kafka(&prefix)) };
    let projects = Service::start_with(Settings { projecting: Some(accounts), serving: None, ..both.clone() }).await;
    let serves = Service::start_with(Settings { projecting: None, ..both }).await;
    projects.ready().await;
    serves.ready().await;
    for version in 1..=3 {
        let opened = account("a1", version, "Ada");
        let awaited = [&opened];
        let (data, ()) = tokio::join!(
            serves.ask(r#"{ account(id: "a1") { version } }"#, &awaited),
            publish(&prefix, std::slice::from_ref(&opened))
        );
        assert_eq!(data["account"]["version"], version);
    }
    let no_queries = projects.http.get(format!("{}/graphql", projects.url)).send().await.unwrap();
    assert_eq!(no_queries.status(), 404);
    assert_eq!(projects.parts().await, ["inbox.account"], "the other views are left to others");
    assert_eq!(serves.parts().await, ["changes", "postgres"]);
    projects.end().await;
    serves.end().await;
}
