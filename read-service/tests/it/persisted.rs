//! Queries that are known by their hashes.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Server, booking, code};

const QUERY: &str = r#"query Q($id: ID!) { booking(id: $id) { version } }"#;

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn ask(server: &Server, query: Option<&str>, hash: &str) -> (u16, Value) {
    let mut body =
        json!({"variables": {"id": "7"}, "extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash}}});
    if let Some(query) = query {
        body["query"] = json!(query);
    }
    let request = server.http.post(server.url("/graphql")).header("accept", "application/graphql-response+json");
    let response = request.json(&body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_query_that_was_sent_once_is_known_by_its_hash() {
    let server = Server::start("persisted").await;
    server.views.fill(&[booking("7", 3, "2026-03-01", &json!({}))]).await;
    let hash = hash(QUERY);
    let (status, answer) = ask(&server, None, &hash).await;
    assert_eq!((status, code(&answer)), (400, "PERSISTED_QUERY_NOT_FOUND"));
    for query in [Some(QUERY), None, None] {
        let (status, answer) = ask(&server, query, &hash).await;
        assert_eq!((status, &answer["data"]["booking"]["version"]), (200, &json!(3)), "{answer}");
    }
    // As a GET, so that caches may keep it.
    let path = format!(
        "/graphql?variables=%7B%22id%22:%227%22%7D\
         &extensions=%7B%22persistedQuery%22:%7B%22version%22:1,%22sha256Hash%22:%22{hash}%22%7D%7D"
    );
    let answer: Value = server.get(&path).await.json().await.unwrap();
    assert_eq!(answer["data"]["booking"]["version"], 3);
}

#[tokio::test]
async fn a_hash_that_is_not_the_querys_is_refused_and_not_remembered() {
    let server = Server::start("forged").await;
    let other = hash("{ __typename }");
    let (status, answer) = ask(&server, Some(QUERY), &other).await;
    assert_eq!((status, code(&answer)), (400, "BAD_REQUEST"));
    assert_eq!(code(&ask(&server, None, &other).await.1), "PERSISTED_QUERY_NOT_FOUND");
    let invalid = "{ nonsense }";
    assert_eq!(code(&ask(&server, Some(invalid), &hash(invalid)).await.1), "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(code(&ask(&server, None, &hash(invalid)).await.1), "PERSISTED_QUERY_NOT_FOUND");
    for nonsense in ["", "abc", &"x".repeat(64), &"a".repeat(63), &"é".repeat(32)] {
        let (status, answer) = ask(&server, Some(QUERY), nonsense).await;
        assert_eq!((status, code(&answer)), (400, "BAD_REQUEST"), "{nonsense}");
    }
}
