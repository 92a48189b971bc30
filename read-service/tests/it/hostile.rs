//! Requests that mean no good: refused quickly, with the right status and code, and at no cost to the database.

use std::time::{Duration, Instant};

use futures::future::join_all;
use read_service::view::Options;
use serde_json::{Value, json};
use servers::eventually;
use tokio::time::timeout;

use crate::support::{SOON, Server, account, booking, code};

/// More than any refusal should take, on a busy machine too.
const QUICK: Duration = Duration::from_secs(2);

async fn refused(server: &Server, query: &str, variables: Value) -> String {
    let (statements, start) = (server.statements().await, Instant::now());
    let (status, answer) = server.post(query, variables).await;
    let beginning: String = query.chars().take(80).collect();
    assert!(start.elapsed() < QUICK, "{:?} for {beginning}", start.elapsed());
    assert_eq!(status, 400, "{answer} for {beginning}");
    assert_eq!(answer.get("data"), None, "{answer}");
    assert_eq!(server.statements().await, statements, "it reached the database: {beginning}");
    code(&answer).to_owned()
}

#[tokio::test]
async fn arguments_that_cannot_be_used_are_refused() {
    let server = Server::start("arguments").await;
    let list = |arguments: &str| format!("{{ bookings({arguments}) {{ nodes {{ bookingId }} }} }}");
    for arguments in [
        "first: -1",
        "first: 0",
        "first: 101",
        "first: 1000",
        "last: 2147483647",
        "first: 1, last: 1",
        r#"after: """#,
        r#"after: "nonsense""#,
        r#"before: "MjAyNi0wMy0wMS8""#,
        r#"filter: {accountId: "a b"}"#,
        r#"filter: {roomTypeId: "\u0000"}"#,
        r#"filter: {checkInFrom: "2026-03-02", checkInTo: "2026-03-01"}"#,
    ] {
        assert_eq!(refused(&server, &list(arguments), json!({})).await, "BAD_USER_INPUT", "{arguments}");
    }
    for arguments in [
        "first: 2147483648",
        "first: 1.5",
        r#"first: "1""#,
        r#"filter: {checkInFrom: "2026-02-30"}"#,
        r#"filter: {checkInFrom: "0000-01-01"}"#,
        "filter: {checkInFrom: 20260301}",
        "filter: {status: LOST}",
        "filter: {unknown: 1}",
        "unknown: 1",
    ] {
        let code = refused(&server, &list(arguments), json!({})).await;
        assert_eq!(code, "GRAPHQL_VALIDATION_FAILED", "{arguments}");
    }
    let with = "query Q($day: Date, $first: Int) { bookings(first: $first, filter: {checkInFrom: $day}) { nodes { bookingId } } }";
    for variables in [json!({"day": "tomorrow"}), json!({"first": "1"}), json!({"first": 1e40}), json!({"day": {}})] {
        let code = refused(&server, with, variables.clone()).await;
        assert!(["GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"].contains(&code.as_str()), "{variables}: {code}");
    }
}

#[tokio::test]
async fn variables_of_another_type_are_refused() {
    let server = Server::start("variables").await;
    server.views.fill(&[booking("7", 1, "2026-03-01", &json!({}))]).await;
    let skipping = r#"query Q($x: Boolean!) { booking(id: "7") @skip(if: $x) { bookingId } }"#;
    for variables in [json!({"x": "true"}), json!({"x": 1}), json!({"x": null}), json!({"x": [true]}), json!({})] {
        assert_eq!(refused(&server, skipping, variables.clone()).await, "BAD_USER_INPUT", "{variables}");
    }
    let (_, answer) = server.post(skipping, json!({"x": true})).await;
    assert_eq!(answer, json!({"data": {}}));
    let by_default =
        r#"query Q($x: Boolean = true) { ...F } fragment F on Query { booking(id: "7") @skip(if: $x) { bookingId } }"#;
    assert_eq!(refused(&server, by_default, json!({"x": null})).await, "BAD_USER_INPUT");
    let (_, answer) = server.post(by_default, json!({})).await;
    assert_eq!(answer, json!({"data": {}}));
    // Whether they are used or not.
    let (first, id, tokens) =
        ("bookings(first: $x) { nodes { id } }", "booking(id: $x) { id }", "roomType(id: 1, readAfter: $x) { id }");
    for (ty, field, value) in [
        ("Int", first, json!("1")),
        ("Int", first, json!(1.5)),
        ("[String!]", tokens, json!([null])),
        ("ID!", id, json!({})),
    ] {
        let query =
            format!("query Q($x: {ty}) {{ __typename ...F @skip(if: true) }} fragment F on Query {{ {field} }}");
        assert_eq!(refused(&server, &query, json!({"x": value})).await, "BAD_USER_INPUT", "{ty} {value}");
    }
    for query in [
        r#"query Q($x: String!) { booking(id: "7") @skip(if: $x) { bookingId } }"#,
        r#"query Q($x: Int!) { ...F } fragment F on Query { ... @include(if: $x) { booking(id: "7") { id } } }"#,
        r#"query Q($x: [Boolean!]!) { ...F @skip(if: $x) } fragment F on Query { booking(id: "7") { id } }"#,
        r#"{ booking(id: "7") @skip(if: "true") { bookingId } }"#,
        "query Q($x: Int) { __typename }",
    ] {
        assert_eq!(refused(&server, query, json!({"x": "true"})).await, "GRAPHQL_VALIDATION_FAILED", "{query}");
    }
}

/// Given a question about the schema that cannot be answered, then that is an error, not an empty schema.
#[tokio::test]
async fn what_the_schema_cannot_say_is_an_error() {
    let server = Server::start("undescribed").await;
    server.views.fill(&[booking("7", 1, "2026-03-01", &json!({}))]).await;
    let query = r#"query Q($day: Date) { __schema { queryType { name } } booking(id: "7") { bookingId }
        bookings(filter: {checkInFrom: $day}) { nodes { bookingId } } }"#;
    let (status, answer) = server.post(query, json!({"day": "tomorrow"})).await;
    assert_eq!((status, code(&answer)), (200, "GRAPHQL_VALIDATION_FAILED"), "{answer}");
    assert_eq!(answer["data"], json!({"__schema": null, "booking": {"bookingId": "7"}, "bookings": null}));
    let failed: Vec<_> = answer["errors"].as_array().unwrap().iter().map(|error| error["path"][0].clone()).collect();
    assert_eq!(failed, ["__schema", "bookings"]);
    let (_, answer) = server.post(query, json!({"day": "2026-03-01"})).await;
    assert_eq!((&answer["errors"], &answer["data"]["__schema"]["queryType"]["name"]), (&Value::Null, &json!("Query")));
}

#[tokio::test]
async fn one_bad_argument_leaves_the_other_fields_alone() {
    let server = Server::start("partly").await;
    server.views.fill(&[booking("7", 1, "2026-03-01", &json!({}))]).await;
    let (status, answer) =
        server.post(r#"{ bad: booking(id: "a b") { id } good: booking(id: "7") { bookingId } }"#, json!({})).await;
    assert_eq!((status, code(&answer)), (200, "BAD_USER_INPUT"));
    assert_eq!(answer["errors"][0]["path"], json!(["bad"]));
    assert_eq!(answer["data"], json!({"bad": null, "good": {"bookingId": "7"}}));
}

#[tokio::test]
async fn what_is_not_in_the_schema_is_refused() {
    let server = Server::start("validation").await;
    for query in [
        "{ nonsense }",
        "{ booking { id } }",
        r#"{ booking(id: "7") }"#,
        r#"{ booking(id: "7") { id { x } } }"#,
        r#"{ booking(id: "7") { ...F } }"#,
        r#"{ booking(id: "7") { ...F } } fragment F on Account { id }"#,
        r#"{ booking(id: $id) { id } }"#,
        r#"query Q($id: Nonsense) { booking(id: $id) { id } }"#,
        r#"{ booking(id: "7") { x: id x: version } }"#,
        r#"{ booking(id: "7") @nonsense { id } }"#,
        "mutation M { erase }",
        "subscription S { bookings }",
    ] {
        assert_eq!(refused(&server, query, json!({})).await, "GRAPHQL_VALIDATION_FAILED", "{query}");
    }
    for query in ["", "{", "}", "{ booking(id: ) { id } }", "nonsense", "{ a }{ b }", "\u{0}", "{ é }", "query"] {
        assert_eq!(refused(&server, query, json!({})).await, "GRAPHQL_PARSE_FAILED", "{query:?}");
    }
}

#[tokio::test]
async fn bombs_are_not_set_off() {
    let server = Server::start("bombs").await;
    let many = |count: usize, of: &dyn Fn(usize) -> String| (0..count).map(of).collect::<String>();
    let nested = |open: &str, close: &str, depth: usize| format!("{}{}", open.repeat(depth), close.repeat(depth));
    let types = "fields { type { ".repeat(6) + "name" + &" } }".repeat(6);
    let year = r#"roomAvailability(roomTypeId: "double", from: "2026-01-01", to: "2027-01-02")"#;
    let night = r#"roomAvailability(roomTypeId: "double", from: "2026-01-01", to: "2026-01-02")"#;
    let sold = r#"channelAllotment(siteId: "example", from: "2026-01-01", to: "2027-01-02")"#;
    let bombs = [
        ("depth", nested("{a", "}", 30_000)),
        ("depth within the parser's limits", format!("{{ booking(id: 1) {}}}", nested("{account", "}", 40))),
        ("lists", format!("{{ booking(id: {}) {{ id }} }}", nested("[", "]", 30_000))),
        ("objects", format!("{{ bookings(filter: {}) {{ nodes {{ bookingId }} }} }}", "{a:".repeat(20_000))),
        ("types", format!("query Q($a: {}) {{ __typename }}", nested("[", "]", 30_000))),
        ("only opened", "{".repeat(60_000)),
        ("aliases", format!("{{ {} }}", many(1_500, &|n| format!("a{n}: booking(id: 1) {{ id }} ")))),
        (
            "aliases of pages",
            format!("{{ {} }}", many(100, &|n| format!("a{n}: bookings(first: 100) {{ nodes {{ bookingId }} }} "))),
        ),
        ("aliases of sums", format!("{{ {} }}", many(20, &|n| format!("a{n}: bookingsSummary {{ count }} ")))),
        ("the same field", format!("{{ booking(id: 1) {{ {} }} }}", "id ".repeat(20_000))),
        ("fragments", {
            let fragments = many(40, &|n| format!("fragment f{n} on Query {{ ...f{0} ...f{0} }} ", n + 1));
            format!("{{ ...f0 }} {fragments} fragment f40 on Query {{ __typename }}")
        }),
        ("a cycle", "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }".to_owned()),
        ("a cycle of its own", "{ booking(id: 1) { ...a } } fragment a on Booking { ...a }".to_owned()),
        ("introspection", format!("{{ __schema {{ types {{ {types} }} }} }}")),
        ("introspection by name", format!("{{ __type(name: \"Booking\") {{ {types} }} }}")),
        (
            "aliases of introspection",
            format!(
                "{{ {} }}",
                many(400, &|n| format!("a{n}: __schema {{ types {{ fields {{ args {{ name }} }} }} }} "))
            ),
        ),
        (
            "aliases within introspection",
            format!(
                "{{ __schema {{ {} }} }}",
                many(400, &|n| format!("a{n}: types {{ fields {{ args {{ name }} }} }} "))
            ),
        ),
        ("aliases of nights", format!("{{ {} }}", many(20, &|n| format!("a{n}: {year} {{ night rooms free }} ")))),
        (
            "aliases of nights of which nothing is asked",
            format!("{{ {} }}", many(300, &|n| format!("a{n}: {year} {{ __typename }} "))),
        ),
        ("aliases of single nights", format!("{{ {} }}", many(300, &|n| format!("a{n}: {night} {{ free }} ")))),
        ("aliases of allotments", format!("{{ {} }}", many(10, &|n| format!("a{n}: {sold} {{ night left }} ")))),
        (
            "pages of which nothing is asked",
            format!("{{ {} }}", many(300, &|n| format!("a{n}: bookings(first: 100) {{ nodes {{ __typename }} }} "))),
        ),
        ("directives", format!("{{ __typename {} }}", "@skip(if: false) ".repeat(3_000))),
        ("length", format!("{{ __typename }} # {}", "x".repeat(70_000))),
        (
            "fragments on nothing",
            many(2_000, &|n| format!("fragment f{n} on Query {{ __typename }} ")) + "{ __typename }",
        ),
        ("variables", format!("query Q({}) {{ __typename }}", many(3_000, &|n| format!("$v{n}: Int ")))),
        ("operations", many(1_500, &|n| format!("query q{n} {{ __typename }} "))),
    ];
    for (name, bomb) in bombs {
        let code = refused(&server, &bomb, json!({})).await;
        assert_ne!(code, "no code", "{name}");
    }
    for harmless in [
        "{ __typename }".to_owned(),
        format!("{{ {year} {{ night rooms taken free }} }}"),
        format!("{{ {sold} {{ night roomTypeId allotted sold left }} }}"),
        "{ bookings(first: 100) { nodes { bookingId status account { accountId } tasks { taskId kind day } } } }"
            .to_owned(),
    ] {
        let (status, answer) = server.post(&harmless, json!({})).await;
        assert_eq!((status, &answer["errors"]), (200, &Value::Null), "{harmless}");
    }
}

#[tokio::test]
async fn introspection_is_open() {
    let server = Server::start("introspection").await;
    let data = server.data(include_str!("introspection.graphql")).await;
    assert_eq!(data["__schema"]["queryType"]["name"], "Query");
    let undescribed: Vec<_> = data["__schema"]["types"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|ty| ty["name"] != "ID" && !ty["name"].as_str().unwrap().starts_with("__"))
        .flat_map(|ty| {
            let fields = ty["fields"].as_array().into_iter().chain(ty["inputFields"].as_array()).flatten();
            let values = ty["enumValues"].as_array().into_iter().flatten();
            let arguments = fields.clone().flat_map(|field| field["args"].as_array().into_iter().flatten());
            std::iter::once(ty)
                .chain(fields)
                .chain(values)
                .chain(arguments)
                .map(|part| (ty["name"].clone(), part.clone()))
        })
        .filter(|(_, part)| part["description"].as_str().is_none_or(str::is_empty))
        .map(|(ty, part)| format!("{ty}.{}", part["name"]))
        .collect();
    assert!(undescribed.is_empty(), "{undescribed:?}");
}

/// Given a statement that never ends, when its limit has passed, then the client is told so, without the database's words.
#[tokio::test]
async fn a_query_that_takes_too_long_is_given_up() {
    let options = Options { connections: 1, statement_timeout: Duration::from_millis(50), ..Options::default() };
    let server = Server::start_with("slow", Duration::from_secs(5), options).await;
    let mut owner = server.views.owner().await;
    let lock = owner.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE view.booking IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let (status, answer) = server.post("{ bookings { nodes { bookingId } } }", json!({})).await;
    assert_eq!((status, code(&answer)), (200, "TIMEOUT"));
    assert_eq!(answer["data"], json!({"bookings": null}));
    assert!(!answer.to_string().contains("statement timeout"), "{answer}");
    lock.rollback().await.unwrap();
    server.data("{ bookings { nodes { bookingId } } }").await;
}

const SLOW: &str = "{ bookings { nodes { bookingId } } }";

/// So many requests that are given up once their statements are under way.
async fn give_up(server: &Server, count: u64) {
    let before = server.statements().await;
    let requests = join_all((0..count).map(|_| server.post(SLOW, json!({}))));
    let sent = eventually("they are under way", SOON, async || server.statements().await == before + count);
    tokio::select! {
        _ = requests => panic!("they were answered"),
        () = sent => {}
    }
}

/// Given statements behind each other on one connection, each of which takes as long as it may, when all of them take longer than a
/// server may be silent, then each is told its own end, and so is one behind those that were given up.
#[tokio::test]
async fn slow_queries_do_not_cost_the_others_their_connection() {
    let options =
        Options { connections: 1, statement_timeout: Duration::from_millis(300), patience: Duration::from_millis(500) };
    let server = Server::start_with("slow ones", Duration::from_secs(5), options).await;
    let mut owner = server.views.owner().await;
    let lock = owner.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE view.booking IN ACCESS EXCLUSIVE MODE").await.unwrap();
    for (_, answer) in join_all((0..6).map(|_| server.post(SLOW, json!({})))).await {
        assert_eq!(code(&answer), "TIMEOUT", "{answer}");
    }
    give_up(&server, 6).await;
    let (_, answer) = server.post(SLOW, json!({})).await;
    assert_eq!(code(&answer), "TIMEOUT", "{answer}");
    lock.rollback().await.unwrap();
    server.data(SLOW).await;
}

/// Given a connection on which PostgreSQL still works for a client that has hung up, when another asks, then it is not put behind
/// that.
#[tokio::test]
async fn what_was_given_up_keeps_nobody_waiting() {
    let options = Options { connections: 2, statement_timeout: SOON * 3, patience: SOON * 3 };
    let server = Server::start_with("given up", SOON, options).await;
    server.views.fill(&[account("a1", 1, "Ada")]).await;
    let mut owner = server.views.owner().await;
    let lock = owner.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE view.booking IN ACCESS EXCLUSIVE MODE").await.unwrap();
    give_up(&server, 1).await;
    for _ in 0..10 {
        let quick = server.data(r#"{ account(id: "a1") { name } }"#);
        assert_eq!(timeout(SOON, quick).await.expect("it waits for nothing"), json!({"account": {"name": "Ada"}}));
    }
    lock.rollback().await.unwrap();
}

#[tokio::test]
async fn a_fault_of_the_database_is_not_shown() {
    let server = Server::start("fault").await;
    server.views.owner().await.batch_execute("ALTER TABLE view.booking RENAME status TO hidden_name").await.unwrap();
    let (_, answer) = server.post("{ bookings { nodes { status } } }", json!({})).await;
    assert_eq!(code(&answer), "INTERNAL_SERVER_ERROR");
    assert!(!answer.to_string().contains("status"), "{answer}");
}

/// Given connections that are cut, when the next queries come, then they are answered or told to try again, and soon
/// answered; `/readyz` goes the same way.
#[tokio::test]
async fn lost_connections_come_back() {
    let server = Server::start("lost").await;
    let owner = server.views.owner().await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'read-service serve'";
    assert!(owner.execute(cut, &[]).await.unwrap() > 0);
    eventually("an answer", SOON, async || {
        let (_, answer) = server.post("{ bookings { nodes { bookingId } } }", json!({})).await;
        assert!(answer["errors"].is_null() || code(&answer) == "UNAVAILABLE", "{answer}");
        answer["errors"].is_null()
    })
    .await;
    eventually("ready", SOON, async || server.get("/readyz").await.status().is_success()).await;
}
