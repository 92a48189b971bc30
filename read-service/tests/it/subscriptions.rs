//! Subscriptions: what has changed is told from the moment of its commit, whoever applied it and however it is carried.

use std::{net::SocketAddr, time::Duration};

use contracts::payments;
use futures::{SinkExt, StreamExt};
use read_service::{live, projection::Journal, view::Options};
use serde_json::{Value, json};
use servers::eventually;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

use crate::{
    subscribers::history,
    support::{SOON, Server, Views, booking, cancelled, payment, room_type, tombstone},
};

/// A client of the protocol graphql-transport-ws.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<TcpStream>,
}

impl Client {
    pub(crate) async fn open(server: &Server) -> Self {
        Self::open_on(TcpSocket::new_v4().unwrap(), server.address, Some("graphql-transport-ws")).await
    }

    pub(crate) async fn open_on(socket: TcpSocket, address: SocketAddr, protocol: Option<&'static str>) -> Self {
        let stream = socket.connect(address).await.unwrap();
        let mut request = format!("ws://{address}/graphql").into_client_request().unwrap();
        if let Some(protocol) = protocol {
            request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(protocol));
        }
        Self { socket: tokio_tungstenite::client_async(request, stream).await.unwrap().0 }
    }

    /// One that the server has acknowledged.
    pub(crate) async fn connect(server: &Server) -> Self {
        let mut client = Self::open(server).await;
        client.initialise().await;
        client
    }

    pub(crate) async fn initialise(&mut self) {
        self.say(json!({"type": "connection_init"})).await;
        assert_eq!(self.hear().await, json!({"type": "connection_ack"}));
    }

    pub(crate) async fn say(&mut self, message: Value) {
        self.socket.send(Message::Text(message.to_string().into())).await.unwrap();
    }

    pub(crate) async fn subscribe(&mut self, id: &str, query: &str) {
        self.say(json!({"id": id, "type": "subscribe", "payload": {"query": query}})).await;
    }

    pub(crate) async fn receive(&mut self) -> Message {
        loop {
            match timeout(SOON, self.socket.next()).await.expect("it comes in time").expect("open").unwrap() {
                Message::Ping(_) => {}
                message => return message,
            }
        }
    }

    /// What the server says next.
    pub(crate) async fn hear(&mut self) -> Value {
        match self.receive().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The data that comes next, of the operation with this id.
    pub(crate) async fn next(&mut self, id: &str) -> Value {
        let mut message = self.hear().await;
        assert_eq!((&message["id"], &message["type"]), (&json!(id), &json!("next")), "{message}");
        message["payload"]["data"].take()
    }

    /// Nothing comes before an answer to this.
    pub(crate) async fn nothing(&mut self) {
        self.say(json!({"type": "ping"})).await;
        assert_eq!(self.hear().await, json!({"type": "pong"}));
    }

    /// The code with which the server closes.
    pub(crate) async fn closed(&mut self) -> u16 {
        self.sent_away().await.0
    }

    /// The same, whatever it says before.
    pub(crate) async fn end(&mut self) -> (u16, String) {
        loop {
            match self.receive().await {
                Message::Text(_) => {}
                Message::Close(Some(frame)) => return (frame.code.into(), frame.reason.to_string()),
                other => panic!("{other:?}"),
            }
        }
    }

    /// The code and the reason with which the server closes.
    pub(crate) async fn sent_away(&mut self) -> (u16, String) {
        match self.receive().await {
            Message::Close(Some(frame)) => (frame.code.into(), frame.reason.to_string()),
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) const FOLLOW: &str = r#"subscription { booking(id: "7") { version status } }"#;

pub(crate) fn version(number: i64) -> Value {
    json!({"booking": {"version": number, "status": "CONFIRMED"}})
}

pub(crate) async fn change(views: &Views, number: i64) {
    views.fill(&[booking("7", number, "2026-03-01", &json!({}))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_now_is_told_and_then_each_change() {
    let server = Server::start("live").await;
    let mut client = Client::connect(&server).await;
    client.subscribe("a", FOLLOW).await;
    assert_eq!(client.next("a").await, json!({"booking": null}));
    for number in 1..=5 {
        change(&server.views, number).await;
        assert_eq!(client.next("a").await, version(number));
    }
    // What comes again, is old, or is about another changes nothing.
    change(&server.views, 3).await;
    server.views.fill(&[booking("8", 1, "2026-03-01", &json!({}))]).await;
    server.views.fill(&[cancelled("7", 6, "2026-03-01")]).await;
    assert_eq!(client.next("a").await, json!({"booking": {"version": 6, "status": "CANCELLED"}}));
    server.views.fill(&[tombstone(contracts::direct_booking::BOOKING, "7", 7)]).await;
    assert_eq!(client.next("a").await, json!({"booking": null}));
    client.say(json!({"id": "a", "type": "complete"})).await;
    client.nothing().await;
    change(&server.views, 8).await;
    client.nothing().await;
}

/// Given what is selected of a booking's payment, when the payment changes, then it is told.
#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_a_booking_is_told_with_it() {
    let server = Server::start("live parts").await;
    change(&server.views, 1).await;
    let mut client = Client::connect(&server).await;
    client.subscribe("a", r#"subscription { booking(id: "Booking:7") { payment { status } } }"#).await;
    assert_eq!(client.next("a").await, json!({"booking": {"payment": null}}));
    server.views.fill(&[payment("7", 1, "TAKEN", &json!({}))]).await;
    assert_eq!(client.next("a").await, json!({"booking": {"payment": {"status": "TAKEN"}}}));
    server.views.fill(&[tombstone(payments::PAYMENT, "7", 2)]).await;
    assert_eq!(client.next("a").await, json!({"booking": {"payment": null}}));
}

/// Given two instances on one database, when one of them applies a change, then the other tells it.
#[tokio::test(flavor = "multi_thread")]
async fn many_are_told_by_one_statement_in_each_instance() {
    let first = Server::start("live instances").await;
    let second = Server::start_for(first.views.clone(), live::Options::default()).await;
    change(&first.views, 1).await;
    let mut clients = Vec::new();
    for server in [&first, &second] {
        for _ in 0..20 {
            let mut client = Client::connect(server).await;
            client.subscribe("a", FOLLOW).await;
            assert_eq!(client.next("a").await, version(1));
            clients.push(client);
        }
    }
    for server in [&first, &second] {
        assert_eq!((server.metric("subscribers").await, server.metric("subscription_feeds").await), (20, 1));
    }
    let before = (first.statements().await, second.statements().await);
    for number in 2..=11 {
        change(&first.views, number).await;
        for client in &mut clients {
            assert_eq!(client.next("a").await, version(number));
        }
    }
    let after = (first.statements().await, second.statements().await);
    assert_eq!((after.0 - before.0, after.1 - before.1), (10, 10));
    drop(clients);
    eventually("nobody is there any more", SOON, async || {
        (first.metric("subscribers").await, first.metric("subscription_feeds").await) == (0, 0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn availability_is_told_when_a_booking_or_the_type_changes() {
    let server = Server::start("live nights").await;
    server.views.fill(&[room_type("double", 1, &["101", "102"])]).await;
    let mut client = Client::connect(&server).await;
    let query = r#"subscription { roomAvailability(roomTypeId: "double", from: "2026-03-01", to: "2026-03-02") { rooms free } }"#;
    client.subscribe("a", query).await;
    let night = |rooms: u32, free: u32| json!({"roomAvailability": [{"rooms": rooms, "free": free}]});
    assert_eq!(client.next("a").await, night(2, 2));
    change(&server.views, 1).await;
    assert_eq!(client.next("a").await, night(2, 1));
    server.views.fill(&[room_type("double", 2, &["101", "102", "103"])]).await;
    assert_eq!(client.next("a").await, night(3, 2));
    // Another night, then this one again.
    server.views.fill(&[booking("8", 1, "2026-05-01", &json!({}))]).await;
    server.views.fill(&[cancelled("7", 2, "2026-03-01")]).await;
    assert_eq!(client.next("a").await, night(3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_journal_each_event_is_told_once() {
    let server = Server::start("live journal").await;
    let journal = Journal::new(Duration::from_secs(365 * 24 * 60 * 60));
    let tell = async |number: i64| {
        let mut event = booking("7", number, "2026-03-01", &json!({}));
        event.envelope.id = format!("01999999-0000-7000-8000-{number:012}").parse().unwrap();
        event.envelope.time = chrono::Utc::now();
        event.envelope.correlation_id = Some("story".to_owned());
        server.views.apply(&journal, &[event]).await;
    };
    tell(1).await;
    tell(2).await;
    let mut client = Client::connect(&server).await;
    client.subscribe("a", r#"subscription { journal(correlationId: "story") { version } }"#).await;
    client.subscribe("b", r#"subscription { journal(subject: "8") { version } }"#).await;
    for number in [1, 2] {
        assert_eq!(client.next("a").await, json!({"journal": {"version": number}}));
    }
    for number in [3, 4, 4, 3, 5] {
        tell(number).await;
    }
    for number in [3, 4, 5] {
        assert_eq!(client.next("a").await, json!({"journal": {"version": number}}));
    }
    // Who comes later is told all of it, too.
    let mut late = Client::connect(&server).await;
    late.subscribe("c", r#"subscription { journal(correlationId: "story") { version } }"#).await;
    for number in 1..=5 {
        assert_eq!(late.next("c").await, json!({"journal": {"version": number}}));
    }
}

/// Given a change that was not heard of yet, when somebody subscribes to what another follows, then it is told what a query tells.
#[tokio::test(flavor = "multi_thread")]
async fn who_subscribes_is_told_what_is_there_now() {
    let server = Server::start("live now").await;
    change(&server.views, 1).await;
    let mut first = Client::connect(&server).await;
    first.subscribe("a", FOLLOW).await;
    assert_eq!(first.next("a").await, version(1));
    server.views.owner().await.batch_execute("UPDATE view.booking SET version = 2 WHERE id = '7'").await.unwrap();
    let mut second = Client::connect(&server).await;
    second.subscribe("a", FOLLOW).await;
    assert_eq!(second.next("a").await, version(2));
    assert_eq!(first.next("a").await, version(2));
}

/// Given the last who follows something, when it leaves at the moment in which another comes, then that one is told each event once.
#[tokio::test(flavor = "multi_thread")]
async fn who_comes_as_the_last_one_leaves_is_told_each_event_once() {
    const ROUNDS: i64 = 60;
    let server = Server::start("live last").await;
    let journal = Journal::new(Duration::from_secs(24 * 60 * 60));
    let follow = r#"subscription { journal(subject: "7") { version } }"#;
    let (mut leaves, mut comes) = (Client::connect(&server).await, Client::connect(&server).await);
    server.views.apply(&journal, &history(1, 1)).await;
    leaves.subscribe("a", follow).await;
    assert_eq!(leaves.next("a").await, json!({"journal": {"version": 1}}));
    for round in 2..ROUNDS {
        // While it reads this the service does nothing else, so that it hears of both at once.
        let long = format!("{{ {} }}", format!("a{round}: __typename ").repeat(1_500));
        let busy = server.post(&long, json!({}));
        let both = async {
            leaves.say(json!({"id": "a", "type": "complete"})).await;
            comes.subscribe("a", follow).await;
        };
        tokio::join!(busy, both);
        for version in 1..round {
            assert_eq!(comes.next("a").await, json!({"journal": {"version": version}}));
        }
        server.views.apply(&journal, &history(round, 1)).await;
        assert_eq!(comes.next("a").await, json!({"journal": {"version": round}}));
        leaves.nothing().await;
        std::mem::swap(&mut leaves, &mut comes);
    }
}

/// Given a journal that was empty, when more is written to it at once than is looked at, then it is said that some are left out.
#[tokio::test(flavor = "multi_thread")]
async fn no_event_is_left_out_in_silence() {
    let options = Options { connections: 1, ..Options::default() };
    let server = Server::start_with("live at once", SOON, options).await;
    let mut client = Client::connect(&server).await;
    client.subscribe("a", r#"subscription { journal(subject: "7") { version } }"#).await;
    eventually("it is looked at", SOON, async || server.statements().await == 1).await;
    // On the one connection, so behind the look.
    server.data("{ bookings { nodes { bookingId } } }").await;
    server.views.apply(&Journal::new(Duration::from_secs(24 * 60 * 60)), &history(1, 600)).await;
    let end = client.hear().await;
    assert_eq!((&end["id"], &end["type"]), (&json!("a"), &json!("error")), "{end}");
    assert!(end["payload"][0]["message"].as_str().unwrap().contains("subscribe again"), "{end}");
}

/// Given a connection for changes that is cut, when something changes meanwhile, then it is told once the connection is back.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_missed_while_changes_are_not_heard() {
    let server = Server::start("live cut").await;
    let mut client = Client::connect(&server).await;
    client.subscribe("a", FOLLOW).await;
    assert_eq!(client.next("a").await, json!({"booking": null}));
    let owner = server.views.owner().await;
    let listening =
        "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'read-service listen'";
    for number in 1..=3 {
        eventually("it listens", SOON, async || {
            !owner.query(&format!("SELECT {listening}"), &[]).await.unwrap().is_empty()
        })
        .await;
        owner.query(&format!("SELECT pg_terminate_backend(pid) {listening}"), &[]).await.unwrap();
        change(&server.views, number).await;
        assert_eq!(client.next("a").await, version(number));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_keep_to_the_protocol_is_sent_away_with_its_code() {
    let options = live::Options { init_timeout: Duration::from_millis(300), ..live::Options::default() };
    let server = Server::start_for(Views::create("live codes").await, options).await;
    assert_eq!(Client::open(&server).await.closed().await, 4408, "no connection_init");
    let mut other = Client::open_on(TcpSocket::new_v4().unwrap(), server.address, None).await;
    assert_eq!(other.closed().await, 4406, "no subprotocol");
    let mut early = Client::open(&server).await;
    early.subscribe("a", FOLLOW).await;
    assert_eq!(early.closed().await, 4401);
    for (said, code) in [
        (json!({"type": "connection_init"}), 4429),
        (json!({"type": "nonsense"}), 4400),
        (json!({"type": "subscribe", "id": "a"}), 4400),
        (json!({"type": "subscribe", "id": "", "payload": {"query": FOLLOW}}), 4400),
        (json!([]), 4400),
        (json!(["ping"]), 4400),
        (json!({"type": "connection_init", "payload": []}), 4400),
        (json!({"type": "subscribe", "id": "a", "payload": [FOLLOW]}), 4400),
        (json!({"type": "subscribe", "id": "a", "payload": {"query": FOLLOW, "extensions": []}}), 4400),
    ] {
        let mut client = Client::connect(&server).await;
        client.say(said.clone()).await;
        assert_eq!(client.closed().await, code, "{said}");
    }
    let mut twice = Client::connect(&server).await;
    twice.subscribe("a", FOLLOW).await;
    twice.next("a").await;
    twice.subscribe("a", FOLLOW).await;
    assert_eq!(twice.closed().await, 4409);
    let mut greedy = Client::connect(&server).await;
    for number in 0..=100 {
        greedy.subscribe(&number.to_string(), FOLLOW).await;
    }
    assert_eq!(greedy.end().await, (4429, "Too many operations: at most 100 at once".to_owned()));
}

/// A frame that ends a message, masked with nothing, as clients have to.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0x80 | opcode, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_text_is_refused_with_the_code_of_its_kind() {
    const TEXT: u8 = 1;
    let server = Server::start("live frames").await;
    let mut malformed = Client::connect(&server).await;
    malformed.socket.get_mut().write_all(&frame(TEXT, b"{\"type\": \"ping\xff\"}")).await.unwrap();
    assert_eq!(malformed.closed().await, 1007);
    let mut binary = Client::connect(&server).await;
    binary.socket.send(Message::Binary(br#"{"type": "ping"}"#.as_slice().into())).await.unwrap();
    assert_eq!(binary.closed().await, 4400);
    let mut fits = Client::connect(&server).await;
    fits.say(json!({"type": "ping", "payload": "x".repeat(200 * 1024)})).await;
    assert_eq!(fits.hear().await, json!({"type": "pong"}));
    let mut large = Client::connect(&server).await;
    large.say(json!({"type": "ping", "payload": "x".repeat(256 * 1024)})).await;
    assert_eq!(large.closed().await, 1009);
    let mut reserved = Client::connect(&server).await;
    reserved.socket.get_mut().write_all(&frame(7, b"")).await.unwrap();
    assert_eq!(reserved.closed().await, 1002);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_followed_is_refused_and_the_connection_stays() {
    let server = Server::start("live refused").await;
    let mut client = Client::connect(&server).await;
    for query in [
        "nonsense",
        "subscription { nothing }",
        "subscription { __typename }",
        r#"subscription { a: booking(id: "7") { id } b: booking(id: "8") { id } }"#,
        r#"subscription { booking(id: "a b") { id } }"#,
        "subscription { journal { type } }",
        r#"subscription { roomAvailability(roomTypeId: "double", from: "2026-03-02", to: "2026-03-01") { free } }"#,
        "mutation { nothing }",
    ] {
        client.subscribe("a", query).await;
        let answer = client.hear().await;
        assert_eq!((&answer["id"], &answer["type"]), (&json!("a"), &json!("error")), "{query} {answer}");
        assert!(answer["payload"][0]["extensions"]["code"].is_string(), "{answer}");
    }
    client.subscribe("a", "{ __typename }").await;
    assert_eq!(client.next("a").await, json!({"__typename": "Query"}));
    assert_eq!(client.hear().await, json!({"id": "a", "type": "complete"}));
    let (status, answer) = server.post(FOLLOW, json!({})).await;
    assert_eq!((status, crate::support::code(&answer)), (400, "BAD_REQUEST"));
}

/// The booking, in messages of 60 kB.
pub(crate) fn large() -> String {
    let fields: Vec<_> = (0..1_200).map(|number| format!("a{number:039}: version")).collect();
    format!("subscription {{ booking(id: \"7\") {{ {} }} }}", fields.join(" "))
}

/// Given a client that takes nothing, when more is told than fits on the way to it, then it is left, others are told all the while,
/// and it learns why when it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_too_slow_is_left() {
    let options = live::Options { send_timeout: Duration::from_secs(2), ..live::Options::default() };
    let server = Server::start_for(Views::create("live slow").await, options).await;
    let small = TcpSocket::new_v4().unwrap();
    small.set_recv_buffer_size(4096).unwrap();
    let mut slow = Client::open_on(small, server.address, Some("graphql-transport-ws")).await;
    slow.initialise().await;
    for number in 0..20 {
        slow.subscribe(&number.to_string(), &large()).await;
    }
    let mut quick = Client::connect(&server).await;
    quick.subscribe("a", FOLLOW).await;
    quick.next("a").await;
    eventually("both are followed", SOON, async || server.metric("subscription_feeds").await == 2).await;
    let mut number = 0;
    eventually("what it follows is followed no more", SOON, async || {
        number += 1;
        change(&server.views, number).await;
        assert_eq!(quick.next("a").await, version(number));
        server.metric("subscription_feeds").await == 1
    })
    .await;
    assert_eq!(slow.end().await, (1013, "Too slow: what was told has not been received".to_owned()));
    eventually("its place is free", SOON, async || server.metric("subscribers").await == 1).await;
    change(&server.views, number + 1).await;
    assert_eq!(quick.next("a").await, version(number + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_subscribers_are_told_so() {
    let server = Server::start("live end").await;
    let mut client = Client::connect(&server).await;
    client.subscribe("a", FOLLOW).await;
    client.next("a").await;
    server.stop.cancel();
    assert_eq!(client.closed().await, 1001);
}

/// The next event of a stream, as its name and data.
pub(crate) async fn event(response: &mut reqwest::Response, text: &mut String) -> (String, String) {
    loop {
        if let Some((event, rest)) = text.split_once("\n\n").map(|(event, rest)| (event.to_owned(), rest.to_owned())) {
            *text = rest;
            let field = |name: &str| {
                let line = event.lines().find_map(|line| line.strip_prefix(name));
                line.map(|value| value.trim_start().to_owned()).unwrap_or_default()
            };
            return (field("event:"), field("data:"));
        }
        let chunk = timeout(SOON, response.chunk()).await.expect("in time").unwrap().expect("it goes on");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_events_tells_the_same() {
    let server = Server::start("live sse").await;
    let post = async |query: &str| {
        let request = server.http.post(server.url("/graphql")).header("accept", "text/event-stream");
        request.json(&json!({"query": query})).send().await.unwrap()
    };
    let mut stream = post(FOLLOW).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    let next = |data: Value| ("next".to_owned(), json!({"data": data}).to_string());
    assert_eq!(event(&mut stream, &mut text).await, next(json!({"booking": null})));
    for number in 1..=3 {
        change(&server.views, number).await;
        let (name, data) = event(&mut stream, &mut text).await;
        let data: Value = serde_json::from_str(&data).unwrap();
        assert_eq!((name.as_str(), &data["data"]), ("next", &version(number)));
    }
    let mut query = post("{ __typename }").await;
    let mut of_query = String::new();
    assert_eq!(event(&mut query, &mut of_query).await, next(json!({"__typename": "Query"})));
    assert_eq!(event(&mut query, &mut of_query).await.0, "complete");
    let mut refused = post("subscription { nothing }").await;
    let mut of_refused = String::new();
    let (name, data) = event(&mut refused, &mut of_refused).await;
    assert!(name == "next" && data.contains("GRAPHQL_VALIDATION_FAILED"), "{data}");
    assert_eq!(event(&mut refused, &mut of_refused).await.0, "complete");
    server.stop.cancel();
    assert_eq!(event(&mut stream, &mut text).await.0, "next");
    assert_eq!(event(&mut stream, &mut text).await.0, "complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_are_counted_by_what_came_of_them() {
    let server = Server::start("live counted").await;
    let mut client = Client::connect(&server).await;
    for (id, query) in [("a", FOLLOW), ("b", FOLLOW), ("c", "subscription { nothing }"), ("d", "subscription {")] {
        client.subscribe(id, query).await;
        client.hear().await;
    }
    let metrics = server.get("/metrics").await.text().await.unwrap();
    for (code, count) in [("OK", 2), ("GRAPHQL_VALIDATION_FAILED", 1), ("GRAPHQL_PARSE_FAILED", 1)] {
        let line = format!("graphql_subscriptions_total{{code=\"{code}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
}
