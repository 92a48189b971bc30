//! Who may subscribe and for how long, and what many are told.

use std::time::Duration;

use chrono::Utc;
use futures::future::join_all;
use read_service::{
    Serving,
    graphql::{PERSONAL, READ},
    live,
    projection::Journal,
};
use serde_json::{Value, json};
use servers::{IssuerKey, eventually};
use telemetry::http::Limits;
use tokio::{io::AsyncWriteExt, net::TcpSocket, time::timeout};
use tokio_tungstenite::tungstenite::{client::IntoClientRequest, http::HeaderValue};

use crate::{
    access::{guarded, token},
    kafka::publish,
    subscriptions::{Client, FOLLOW, change, event, large, version},
    support::{SOON, Server, Views, booking, usual},
    witness::{Hotel, Instance},
};

const PERSONAL_FOLLOW: &str = r#"subscription { booking(id: "7") { account { name } } }"#;

impl Client {
    /// One that has said who asks.
    async fn introduced(server: &Server, payload: Value) -> Self {
        let mut client = Self::open(server).await;
        client.say(json!({"type": "connection_init", "payload": payload})).await;
        client
    }

    /// One whose token was taken.
    async fn with_token(server: &Server, token: &str) -> Self {
        let mut client = Self::introduced(server, json!({"authorization": format!("Bearer {token}")})).await;
        assert_eq!(client.hear().await, json!({"type": "connection_ack"}));
        client
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_good_token_is_sent_away_from_a_websocket() {
    let (key, folder) = (IssuerKey::new("one"), tempfile::tempdir().unwrap());
    let server = guarded(&key, folder.path()).await;
    let bearer = |token: String| json!({"authorization": format!("Bearer {token}")});
    for payload in [
        json!({}),
        json!({"authorization": "nonsense"}),
        json!({"authorization": "Bearer ä"}),
        bearer("nonsense".to_owned()),
        bearer(token(&IssuerKey::new("one"), READ, 600)),
        bearer(token(&key, READ, -600)),
        bearer(token(&key, "accounts:read", 600)),
    ] {
        let mut client = Client::introduced(&server, payload.clone()).await;
        let (code, reason) = client.sent_away().await;
        assert!(code == 4403 && reason.starts_with("Forbidden: "), "{payload}: {code} {reason}");
    }
    // Whoever can set the header of the request is told by the status.
    for (bad, status) in [("nonsense".to_owned(), 401), (token(&key, "accounts:read", 600), 403)] {
        let mut request = format!("ws://{}/graphql", server.address).into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
        headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {bad}")).unwrap());
        let stream = TcpSocket::new_v4().unwrap().connect(server.address).await.unwrap();
        match tokio_tungstenite::client_async(request, stream).await.unwrap_err() {
            tokio_tungstenite::tungstenite::Error::Http(response) => assert_eq!(response.status(), status),
            other => panic!("{other}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_persons_is_told_to_those_with_its_scope() {
    let (key, folder) = (IssuerKey::new("one"), tempfile::tempdir().unwrap());
    let server = guarded(&key, folder.path()).await;
    let mut reader = Client::with_token(&server, &token(&key, READ, 600)).await;
    reader.subscribe("a", PERSONAL_FOLLOW).await;
    let refused = reader.hear().await;
    assert_eq!((&refused["id"], &refused["type"]), (&json!("a"), &json!("error")), "{refused}");
    assert_eq!(refused["payload"][0]["extensions"]["code"], "FORBIDDEN");
    assert!(refused["payload"][0]["message"].as_str().unwrap().contains(PERSONAL), "{refused}");
    reader.subscribe("a", FOLLOW).await;
    assert_eq!(reader.next("a").await, version(1), "the connection stays, for the rest of it");

    let mut desk = Client::with_token(&server, &token(&key, &format!("{READ} {PERSONAL}"), 600)).await;
    desk.subscribe("a", PERSONAL_FOLLOW).await;
    assert_eq!(desk.next("a").await, json!({"booking": {"account": {"name": "Ada"}}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_events_is_refused_by_its_status() {
    let (key, folder) = (IssuerKey::new("one"), tempfile::tempdir().unwrap());
    let server = guarded(&key, folder.path()).await;
    for (bad, status) in [
        (None, 401),
        (Some("nonsense".to_owned()), 401),
        (Some(token(&key, READ, -600)), 401),
        (Some(token(&key, "accounts:read", 600)), 403),
    ] {
        let refused = stream(&server, FOLLOW, bad.as_deref()).await;
        assert_eq!(refused.status(), status, "{bad:?}");
        assert!(refused.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer "));
    }
    let mut reader = stream(&server, PERSONAL_FOLLOW, Some(&token(&key, READ, 600))).await;
    let mut text = String::new();
    let (name, data) = event(&mut reader, &mut text).await;
    assert!(name == "next" && data.contains("FORBIDDEN") && data.contains(PERSONAL), "{data}");
    assert_eq!(event(&mut reader, &mut text).await.0, "complete");
}

async fn stream(server: &Server, query: &str, token: Option<&str>) -> reqwest::Response {
    let mut request = server.http.post(server.url("/graphql")).header("accept", "text/event-stream");
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    request.json(&json!({"query": query})).send().await.unwrap()
}

/// Given subscriptions that are told something, when the token expires, then they are ended with the reason.
#[tokio::test(flavor = "multi_thread")]
async fn when_the_token_expires_subscriptions_end_with_the_reason() {
    let (key, folder) = (IssuerKey::new("one"), tempfile::tempdir().unwrap());
    let server = guarded(&key, folder.path()).await;
    let brief = token(&key, READ, 3);
    let mut client = Client::with_token(&server, &brief).await;
    client.subscribe("a", FOLLOW).await;
    assert_eq!(client.next("a").await, version(1));
    let mut events = stream(&server, FOLLOW, Some(&brief)).await;
    let mut text = String::new();
    assert_eq!(event(&mut events, &mut text).await.0, "next");
    change(&server.views, 2).await;
    assert_eq!(client.next("a").await, version(2));
    assert!(event(&mut events, &mut text).await.1.contains(r#""version":2"#));

    assert_eq!(client.sent_away().await, (4403, "Forbidden: the token has expired".to_owned()));
    let (name, data) = event(&mut events, &mut text).await;
    assert!(name == "next" && data.contains("UNAUTHENTICATED") && data.contains("expired"), "{data}");
    assert_eq!(event(&mut events, &mut text).await.0, "complete");
}

/// So many events about one booking, from this version on.
pub(crate) fn history(from: i64, count: i64) -> Vec<inbox::Delivery> {
    let event = |version: i64| {
        let mut event = booking("7", version, "2026-03-01", &json!({}));
        event.envelope.id = format!("01999999-0000-7000-8000-{version:012}").parse().unwrap();
        event.envelope.time = Utc::now();
        event
    };
    (from..from + count).map(event).collect()
}

/// A service that projects and serves, and another that serves only.
async fn two_instances(purpose: &str) -> (Hotel, [Instance; 2]) {
    let hotel = Hotel::open(Views::create(purpose).await, purpose).await;
    let instances = [hotel.instance(), hotel.instance_with(&[("ROLE", "serve")])];
    for instance in &instances {
        instance.ready().await;
    }
    (hotel, instances)
}

async fn subscriber(instance: &Instance, query: &str) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    let mut client = Client::open_on(socket, instance.address, Some("graphql-transport-ws")).await;
    client.initialise().await;
    client.subscribe("a", query).await;
    client
}

/// Given hundreds of subscribers of two instances, when one of these applies many events, then each is told all of them in order.
#[tokio::test(flavor = "multi_thread")]
async fn hundreds_on_two_instances_miss_nothing() {
    const EACH: usize = 150;
    const ROUNDS: i64 = 8;
    const EVENTS: i64 = 10;
    let (hotel, instances) = two_instances("hundreds").await;
    let query = r#"subscription { journal(subject: "7") { version } }"#;
    let mut clients = Vec::new();
    for number in 0..2 * EACH {
        clients.push(subscriber(&instances[number % 2], query).await);
    }
    for round in 0..ROUNDS {
        let first = round * EVENTS + 1;
        publish(&hotel.prefix, &history(first, EVENTS)).await;
        join_all(clients.iter_mut().map(async |client| {
            for version in first..first + EVENTS {
                assert_eq!(client.next("a").await, json!({"journal": {"version": version}}));
            }
        }))
        .await;
    }
}

/// The journal of a booking, in messages of 16 kB.
fn wide() -> String {
    wide_by("a")
}

/// The same, by other names.
fn wide_by(name: &str) -> String {
    let fields: Vec<_> = (0..250).map(|number| format!("{name}{number:055}: version")).collect();
    format!(r#"subscription {{ journal(subject: "7") {{ version {} }} }}"#, fields.join(" "))
}

/// Given many subscribers who take nothing, when more is told than fits on the way to them, then they cost the service no memory
/// each, and the others are told all of it.
#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_costs_no_memory() {
    const SLOW: usize = 40;
    const EVENTS: i64 = 1_000;
    /// A queue for each would take several times this.
    const MOST: u64 = 192 * 1024 * 1024;
    let (hotel, [_projects, serves]) = two_instances("slow").await;
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        slow.push(subscriber(&serves, &wide()).await);
    }
    let mut quick = subscriber(&serves, r#"subscription { journal(subject: "7") { version } }"#).await;
    let before = serves.resident();
    for first in (1..=EVENTS).step_by(50) {
        publish(&hotel.prefix, &history(first, 50)).await;
        for version in first..first + 50 {
            assert_eq!(quick.next("a").await, json!({"journal": {"version": version}}));
        }
    }
    assert_eq!(slow[0].next("a").await["journal"]["version"], 1, "they do follow it");
    let grown = serves.resident().saturating_sub(before);
    assert!(grown < MOST, "{grown} bytes more for {SLOW} who are slow");
}

/// Given little memory for what is followed, when many follow different things, then as many are told theirs as it is enough for and
/// the others that it is not; a feed that grows beyond it ends; and once they have left it is there for others.
#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_followed_shares_one_memory() {
    const MEMORY: usize = 4 * 1024 * 1024;
    const KEPT: &str = "subscription_feeds_kept_bytes";
    let options = live::Options { memory: MEMORY, ..live::Options::default() };
    let server = Server::start_for(Views::create("memory").await, options).await;
    let journal = Journal::new(Duration::from_secs(24 * 60 * 60));
    server.views.apply(&journal, &history(1, 50)).await;
    let mut told = Vec::new();
    let is_out_of_memory = |message: &Value| {
        let error = &message["payload"][0];
        let text = error["message"].as_str().unwrap_or_default();
        message["type"] == "error" && error["extensions"]["code"] == "UNAVAILABLE" && text.contains("memory")
    };
    // 0.8 MB each.
    for number in 0..20 {
        let mut client = Client::connect(&server).await;
        client.subscribe("a", &wide_by(&format!("a{number}_"))).await;
        let message = client.hear().await;
        if message["type"] == "next" {
            for version in 2..=50 {
                assert_eq!(client.next("a").await["journal"]["version"], version);
            }
            told.push(client);
        } else {
            assert!(is_out_of_memory(&message), "{message}");
        }
    }
    assert!((3..=5).contains(&told.len()), "{}", told.len());
    assert!((1..=MEMORY as u64).contains(&server.metric(KEPT).await));

    // More than there is for any of them.
    server.views.apply(&journal, &history(51, 250)).await;
    for client in &mut told {
        let mut message = client.hear().await;
        while message["type"] == "next" {
            message = client.hear().await;
        }
        assert!(is_out_of_memory(&message), "{message}");
    }
    drop(told);
    eventually("it is given back", SOON, async || server.metric(KEPT).await == 0).await;
    let mut client = Client::connect(&server).await;
    client.subscribe("a", FOLLOW).await;
    assert_eq!(client.next("a").await, json!({"booking": null}));
}

/// Given a client of a stream of events that takes nothing, when more is told than fits on the way to it, then it is left, and its
/// place is another's.
#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_of_a_stream_of_events_is_left() {
    let subscribers = live::Options { connections: 1, ..live::Options::default() };
    let http = Limits { stall: Duration::from_millis(500), ..Limits::default() };
    let server = Server::start_on(Views::create("stalled").await, Serving { subscribers, http, ..usual() }).await;
    change(&server.views, 1).await;
    let small = TcpSocket::new_v4().unwrap();
    small.set_recv_buffer_size(4096).unwrap();
    let mut stalled = small.connect(server.address).await.unwrap();
    let body = json!({"query": large()}).to_string();
    let head = "POST /graphql HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\ncontent-type: application/json\r\n";
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    stalled.write_all(request.as_bytes()).await.unwrap();
    eventually("it has the place", SOON, async || server.metric("subscribers").await == 1).await;
    assert_eq!(stream(&server, FOLLOW, None).await.status(), 503);
    let mut number = 1;
    eventually("it is left", SOON, async || {
        number += 1;
        change(&server.views, number).await;
        server.metric("subscribers").await == 0
    })
    .await;
    assert_eq!(stream(&server, FOLLOW, None).await.status(), 200);
}

/// Given more streams of events than the listener takes connections, when another asks something, then it is answered.
#[tokio::test(flavor = "multi_thread")]
async fn streams_of_events_keep_nobody_else_waiting() {
    let http = Limits { connections: 2, ..Limits::default() };
    let server = Server::start_on(Views::create("many streams").await, Serving { http, ..usual() }).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        let mut response = timeout(SOON, stream(&server, FOLLOW, None)).await.expect("it is answered");
        assert_eq!(event(&mut response, &mut String::new()).await.0, "next");
        streams.push(response);
    }
    assert_eq!(timeout(SOON, server.get("/healthz")).await.expect("it is answered").status(), 200);
    server.data("{ __typename }").await;
    change(&server.views, 1).await;
    for response in &mut streams {
        assert!(event(response, &mut String::new()).await.1.contains(r#""version":1"#));
    }
}

/// Given a subscriber who takes nothing for a while, when more is told meanwhile than is kept, then it gets what was on its way,
/// without a gap, and then the reason why there is no more.
#[tokio::test(flavor = "multi_thread")]
async fn who_falls_behind_the_journal_is_told_so() {
    let patient = live::Options { send_timeout: SOON * 10, ..live::Options::default() };
    let server = Server::start_for(Views::create("behind").await, patient).await;
    let small = TcpSocket::new_v4().unwrap();
    small.set_recv_buffer_size(4096).unwrap();
    let mut slow = Client::open_on(small, server.address, Some("graphql-transport-ws")).await;
    slow.initialise().await;
    slow.subscribe("a", &wide()).await;
    // Shares what it follows: when this one was told, the slow one could have been.
    let mut quick = Client::connect(&server).await;
    quick.subscribe("a", &wide()).await;
    let journal = Journal::new(Duration::from_secs(24 * 60 * 60));
    for first in (1..2_500).step_by(50) {
        server.views.apply(&journal, &history(first, 50)).await;
        for version in first..first + 50 {
            assert_eq!(quick.next("a").await["journal"]["version"], version);
        }
    }
    let mut told = 0;
    let end = loop {
        let message = slow.hear().await;
        if message["type"] != "next" {
            break message;
        }
        told += 1;
        assert_eq!(message["payload"]["data"]["journal"]["version"], told);
    };
    assert_eq!((&end["id"], &end["type"]), (&json!("a"), &json!("error")), "{end}");
    assert!(end["payload"][0]["message"].as_str().unwrap().contains("subscribe again"), "{end}");
}
