//! Who may ask for what, where tokens are asked for.

use auth::{AuthSettings, Source};
use read_service::graphql::{PERSONAL, READ};
use serde_json::{Value, json};
use servers::IssuerKey;

use crate::support::{Server, account, booking, code};

pub(crate) async fn guarded(key: &IssuerKey, folder: &std::path::Path) -> Server {
    let file = folder.join("keys.json");
    std::fs::write(&file, json!({"keys": [key.public()]}).to_string()).unwrap();
    let auth = AuthSettings {
        source: Source::File(file),
        issuer: "https://id.example".to_owned(),
        audience: "hotel".to_owned(),
    };
    let server = Server::start_guarded("access", auth).await;
    server.views.fill(&[account("a1", 1, "Ada"), booking("7", 1, "2026-03-01", &json!({}))]).await;
    server
}

pub(crate) fn token(key: &IssuerKey, scope: &str, expires_in: i64) -> String {
    let now = chrono::Utc::now().timestamp();
    let claims =
        json!({"sub": "desk", "scope": scope, "iss": "https://id.example", "aud": "hotel", "exp": now + expires_in});
    key.sign(&claims)
}

async fn ask(server: &Server, query: &str, token: Option<&str>) -> (u16, Option<String>, Value) {
    let mut request = server.http.post(server.url("/graphql")).header("accept", "application/graphql-response+json");
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.json(&json!({"query": query})).send().await.unwrap();
    let challenge = response.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), challenge, response.json().await.unwrap())
}

const HARMLESS: &str = r#"{ booking(id: "7") { status accountId } }"#;

#[tokio::test]
async fn who_has_no_good_token_is_told_nothing() {
    let (key, folder) = (IssuerKey::new("one"), tempfile::tempdir().unwrap());
    let server = guarded(&key, folder.path()).await;
    let stranger = IssuerKey::new("one");
    for (bad, status, expected) in [
        (None, 401, "UNAUTHENTICATED"),
        (Some("nonsense".to_owned()), 401, "UNAUTHENTICATED"),
        (Some(token(&stranger, READ, 600)), 401, "UNAUTHENTICATED"),
        (Some(token(&key, READ, -600)), 401, "UNAUTHENTICATED"),
        (Some(token(&key, "accounts:read", 600)), 403, "FORBIDDEN"),
    ] {
        let (found, challenge, answer) = ask(&server, HARMLESS, bad.as_deref()).await;
        assert_eq!((found, code(&answer)), (status, expected), "{answer}");
        assert!(challenge.is_some_and(|text| text.starts_with("Bearer ")) && answer.get("data").is_none(), "{answer}");
    }
    let (status, _, answer) = ask(&server, HARMLESS, Some(&token(&key, READ, 600))).await;
    assert_eq!((status, &answer["data"]["booking"]["accountId"]), (200, &json!("a1")));
}

#[tokio::test]
async fn what_is_said_of_persons_needs_a_scope_of_its_own() {
    let (key, folder) = (IssuerKey::new("one"), tempfile::tempdir().unwrap());
    let server = guarded(&key, folder.path()).await;
    let (reader, desk) = (token(&key, READ, 600), token(&key, &format!("{READ} {PERSONAL}"), 600));
    for query in [
        r#"{ account(id: "a1") { name } }"#,
        r#"{ booking(id: "7") { status account { address { city } } } }"#,
        r#"{ guest(id: "g1") { name } }"#,
        r#"{ guest(id: "g1") { email } }"#,
        r#"{ booking(id: "7") { guest { version email } } }"#,
        r#"{ node(id: "Account:a1") { ...F } } fragment F on Account { email }"#,
        "{ bookings { edges { node { account { name } } } } }",
    ] {
        let before = server.statements().await;
        let (status, _, answer) = ask(&server, query, Some(&reader)).await;
        assert_eq!((status, code(&answer)), (403, "FORBIDDEN"), "{query}");
        assert!(answer["errors"][0]["message"].as_str().unwrap().contains(PERSONAL), "{answer}");
        assert_eq!(server.statements().await, before, "nothing is asked of the database");
        let (status, _, _) = ask(&server, query, Some(&desk)).await;
        assert_eq!(status, 200, "{query}");
    }
    let (status, _, _) = ask(&server, r#"{ account(id: "a1") { status version } }"#, Some(&reader)).await;
    assert_eq!(status, 200, "the rest of it may be seen");
}
