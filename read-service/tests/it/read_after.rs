//! Reading one's own writes.

use std::time::Duration;

use contracts::{ReadAfter, accounts, direct_booking};
use read_service::{
    projection::Journal,
    view::{Options, View},
};
use serde_json::{Value, json};

use crate::support::{SOON, Server, account, booking, code, payment, room_type, tombstone};

fn token(topic: contracts::Topic, subject: &str, version: i64) -> String {
    let version = version.try_into().unwrap();
    ReadAfter { topic: topic.name.to_owned(), subject: subject.to_owned(), version }.to_string()
}

async fn with_header(server: &Server, query: &str, tokens: &[&str]) -> (u16, Value) {
    let mut request = server.http.post(server.url("/graphql")).header("accept", "application/graphql-response+json");
    for token in tokens {
        request = request.header("Read-After", *token);
    }
    let response = request.json(&json!({"query": query})).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

const BOOKING: &str = r#"{ booking(id: "7") { version account { version } } }"#;

#[tokio::test]
async fn a_query_waits_for_what_its_tokens_name() {
    let server = Server::start("waits").await;
    let tokens = format!("{}, {}", token(direct_booking::BOOKING, "7", 2), token(accounts::ACCOUNT, "a1", 1));
    let tokens = [tokens.as_str()];
    let waiting = with_header(&server, BOOKING, &tokens);
    let writing = async {
        for event in [booking("7", 1, "2026-03-01", &json!({})), booking("7", 2, "2026-03-01", &json!({}))] {
            server.views.fill(&[event]).await;
        }
        server.views.fill(&[account("a1", 3, "Ada")]).await;
    };
    let ((status, answer), ()) = tokio::join!(waiting, writing);
    assert_eq!(status, 200);
    assert_eq!(answer["data"]["booking"], json!({"version": 2, "account": {"version": 3}}));
}

#[tokio::test]
async fn a_token_may_come_as_an_argument_of_each_field() {
    let server = Server::start("argument").await;
    server.views.fill(&[booking("7", 2, "2026-03-01", &json!({})), account("a1", 1, "Ada")]).await;
    let (seven, ada) = (token(direct_booking::BOOKING, "7", 2), token(accounts::ACCOUNT, "a1", 1));
    let data = server
        .data(&format!(
            r#"{{ booking(id: "7", readAfter: "{seven}") {{ version }} account(id: "a1", readAfter: ["{ada}", "{seven}"]) {{ id }}
                 bookings(readAfter: ["{seven},{ada}"]) {{ nodes {{ bookingId }} }} roomType(id: "x", readAfter: []) {{ id }}
                 bookingsSummary(readAfter: ["{seven}"]) {{ count }} }}"#
        ))
        .await;
    assert_eq!(data["booking"], json!({"version": 2}));
    assert_eq!(data["bookingsSummary"], json!({"count": 1}));
}

/// Given a query that waits for one thing alone, short or long, when that comes, then it is what the query answers with.
#[tokio::test]
async fn a_query_that_waits_for_one_thing_answers_with_it() {
    let server = Server::start("one thing").await;
    let long: String = (0..100).map(|number| format!("b{number}: booking(id: \"7\") {{ version }} ")).collect();
    for (version, query) in [(2, BOOKING), (3, &format!("{{ booking(id: \"7\") {{ version }} {long} }}"))] {
        let token = token(direct_booking::BOOKING, "7", version);
        let tokens = [token.as_str()];
        let waiting = with_header(&server, query, &tokens);
        let writing = async {
            for version in [version - 1, version] {
                server.views.fill(&[booking("7", version, "2026-03-01", &json!({}))]).await;
            }
        };
        let ((status, answer), ()) = tokio::join!(waiting, writing);
        assert_eq!((status, &answer["data"]["booking"]["version"]), (200, &json!(version)));
    }
}

/// Given what is visible already, when a query names it, then its own statement has found that out; what fields of different views
/// wait for is looked for apart.
#[tokio::test]
async fn to_look_takes_no_statement_more() {
    let server = Server::start("look").await;
    server.views.fill(&[booking("7", 2, "2026-03-01", &json!({})), account("a1", 1, "Ada")]).await;
    let (seven, ada) = (token(direct_booking::BOOKING, "7", 2), token(accounts::ACCOUNT, "a1", 1));
    let two = format!("{seven},{ada}");
    for (tokens, statements) in [(seven.as_str(), 1), (two.as_str(), 3)] {
        let before = server.statements().await;
        let (_, answer) = with_header(&server, BOOKING, &[tokens]).await;
        assert_eq!(answer["data"]["booking"]["version"], json!(2), "{answer}");
        assert_eq!(server.statements().await - before, statements);
    }
}

#[tokio::test]
async fn a_tombstone_is_visible_too() {
    let server = Server::start("gone").await;
    server.views.fill(&[tombstone(direct_booking::BOOKING, "7", 3)]).await;
    let (_, answer) = with_header(&server, BOOKING, &[&token(direct_booking::BOOKING, "7", 3)]).await;
    assert_eq!(answer, json!({"data": {"booking": null}}));
}

/// Given a token from before its aggregate's contract had another version, then it is as good as one that names that.
#[tokio::test]
async fn a_token_that_names_the_old_version_is_good_too() {
    let server = Server::start("old token").await;
    server.views.fill(&[room_type("double", 2, &["101"])]).await;
    let query = r#"{ roomType(id: "double") { rooms { number stepFree } } }"#;
    for topic in [direct_booking::ROOM_TYPE, direct_booking::v1::ROOM_TYPE] {
        let (_, answer) = with_header(&server, query, &[&token(topic, "double", 2)]).await;
        assert_eq!(answer["data"]["roomType"], json!({"rooms": [{"number": "101", "stepFree": true}]}), "{answer}");
    }
}

#[tokio::test]
async fn a_wait_in_vain_ends_and_says_so() {
    let server = Server::start_with("in vain", Duration::from_millis(50), Options::default()).await;
    server.views.fill(&[booking("7", 1, "2026-03-01", &json!({}))]).await;
    let (status, answer) = with_header(&server, BOOKING, &[&token(direct_booking::BOOKING, "7", 2)]).await;
    assert_eq!((status, code(&answer)), (200, "NOT_YET_VISIBLE"));
    assert_eq!(answer["errors"][0]["path"], json!(["booking"]));
    assert_eq!(answer["data"], json!({"booking": null}));
    let list = format!(
        r#"{{ late: bookings(readAfter: ["{}"]) {{ nodes {{ bookingId }} }} }}"#,
        token(direct_booking::BOOKING, "7", 2)
    );
    let (_, answer) = server.post(&list, json!({})).await;
    assert_eq!((code(&answer), &answer["data"]), ("NOT_YET_VISIBLE", &json!({"late": null})));
}

#[tokio::test]
async fn nonsense_is_refused_before_anything_is_waited_for() {
    let server = Server::start_with("nonsense", SOON * 10, Options::default()).await;
    let elsewhere = ReadAfter {
        topic: "hotel.accounts.card-details.v1".to_owned(),
        subject: "7".to_owned(),
        version: 1.try_into().unwrap(),
    };
    let nul = ReadAfter {
        topic: direct_booking::BOOKING.name.to_owned(),
        subject: "\0".to_owned(),
        version: 1.try_into().unwrap(),
    };
    let many = vec![token(direct_booking::BOOKING, "7", 9); 17].join(",");
    for text in ["nonsense", "a,b", &elsewhere.to_string(), &nul.to_string(), &many] {
        let (status, answer) = with_header(&server, BOOKING, &[text]).await;
        assert_eq!((status, code(&answer)), (400, "BAD_USER_INPUT"), "{text}");
        let (_, answer) =
            server.post(&format!(r#"{{ booking(id: "7", readAfter: ["{text}"]) {{ id }} }}"#), json!({})).await;
        assert_eq!(code(&answer), "BAD_USER_INPUT", "{text}");
    }
}

#[tokio::test]
async fn every_view_can_be_waited_for() {
    let server = Server::start_with("every view", Duration::from_millis(1), Options::default()).await;
    for view in View::ALL {
        let (_, answer) = with_header(&server, BOOKING, &[&token(*view.topic(), "7", 1)]).await;
        assert_eq!(code(&answer), "NOT_YET_VISIBLE", "{view:?}");
    }
}

#[tokio::test]
async fn no_token_at_all_waits_for_nothing() {
    let server = Server::start("none").await;
    for header in [&[][..], &[""], &[" , "]] {
        assert_eq!(with_header(&server, BOOKING, header).await, (200, json!({"data": {"booking": null}})));
    }
}

/// Given a query of many fields that all name what does not come, then it costs no more than one that names it once.
#[tokio::test]
async fn a_token_is_looked_for_once_however_many_fields_name_it() {
    let server = Server::start_with("many fields", Duration::from_millis(300), Options::default()).await;
    let fields: String = (0..900).map(|n| format!("a{n}: booking(id: 7, readAfter: $t) {{ id }} ")).collect();
    let variables = json!({"t": [token(direct_booking::BOOKING, "7", 9)]});
    let before = server.statements().await;
    let (status, answer) = server.post(&format!("query Q($t: [String!]) {{ {fields} }}"), variables).await;
    assert_eq!((status, code(&answer)), (200, "NOT_YET_VISIBLE"));
    assert_eq!(answer["errors"].as_array().unwrap().len(), 900);
    // At once, and ten times a second.
    let statements = server.statements().await - before;
    assert!((1..=10).contains(&statements), "{statements} statements");
}

#[tokio::test]
async fn an_operation_has_as_many_tokens_as_one_field() {
    let server = Server::start_with("tokens of all", SOON * 10, Options::default()).await;
    server.views.fill(&[booking("7", 20, "2026-03-01", &json!({}))]).await;
    let field = |version: i64| {
        let token = token(direct_booking::BOOKING, "7", version);
        format!(r#"a{version}: booking(id: "7", readAfter: "{token}") {{ version }} "#)
    };
    let fields = |count: i64| (1..=count).map(field).collect::<String>();
    server.data(&format!("{{ {} again: {} }}", fields(16), &field(16)[4..])).await;
    let before = server.statements().await;
    let (status, answer) = server.post(&format!("{{ {} }}", fields(17)), json!({})).await;
    assert_eq!((status, code(&answer)), (400, "BAD_USER_INPUT"), "{answer}");
    let (query, also_sent) = (format!("{{ {} }}", fields(16)), token(direct_booking::BOOKING, "7", 17));
    let (status, answer) = with_header(&server, &query, &[&also_sent]).await;
    assert_eq!((status, code(&answer)), (400, "BAD_USER_INPUT"), "{answer}");
    assert_eq!(server.statements().await, before, "nothing is waited for");
}

/// Given a view that has what a token names, and a journal that does not have it yet, then only the journal is waited for.
#[tokio::test]
async fn the_journal_waits_for_the_event_itself() {
    let made = booking("7", 2, "2026-03-01", &json!({}));
    let token = token(direct_booking::BOOKING, "7", 2);
    let query = r#"{ booking(id: "7") { version } journal(subject: "7") { nodes { version } } }"#;
    let late = Server::start_with("a late journal", Duration::from_millis(50), Options::default()).await;
    late.views.fill(std::slice::from_ref(&made)).await;
    let (_, answer) = with_header(&late, query, &[&token]).await;
    assert_eq!(answer["data"], json!({"booking": {"version": 2}, "journal": null}), "{answer}");
    assert_eq!((code(&answer), &answer["errors"][0]["path"]), ("NOT_YET_VISIBLE", &json!(["journal"])));

    let server = Server::start("a journal that comes").await;
    let journal = Journal::new(Duration::from_secs(36_500 * 24 * 60 * 60));
    // Of another aggregate by the same id, and of an older version: neither is it.
    let others = [payment("7", 5, "TAKEN", &json!({})), booking("7", 1, "2026-03-01", &json!({})), made];
    let others = others.into_iter().zip(1..).map(|(mut event, number)| {
        event.envelope.id = format!("01999999-0000-7000-8000-{number:012}").parse().unwrap();
        event
    });
    let [other, older, made] = others.collect::<Vec<_>>().try_into().unwrap();
    let asked = format!(r#"{{ journal(subject: "7", readAfter: "{token}") {{ nodes {{ version }} }} }}"#);
    let waiting = server.data(&asked);
    let writing = async {
        server.views.fill(std::slice::from_ref(&made)).await;
        for event in [other, older, made.clone()] {
            server.views.apply(&journal, &[event]).await;
        }
    };
    let (data, ()) = tokio::join!(waiting, writing);
    assert_eq!(data["journal"]["nodes"].as_array().unwrap().len(), 3, "{data}");
}
