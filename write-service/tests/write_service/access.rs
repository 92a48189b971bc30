//! Bearer tokens: who may do what, where they are asked for.

use std::sync::{Arc, Mutex};

use auth::{AuthSettings, Source};
use axum::{Router, routing::get};
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};
use servers::IssuerKey;
use tokio::net::TcpListener;
use write_service::Settings;

use crate::fixture::{Answer, DEADLINE, Hotel, account};

const ACCOUNTS: &str = "/accounts/accounts";
const ADA: &str = "/accounts/accounts/ada";

/// Who makes tokens, with the keys that it publishes.
struct Issuer {
    url: String,
    keys: Arc<Mutex<Vec<Value>>>,
}

impl Issuer {
    async fn open(keys: &[&IssuerKey]) -> Self {
        let keys = Arc::new(Mutex::new(keys.iter().map(|key| key.public()).collect::<Vec<_>>()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let served = keys.clone();
        let answer = get(async move || json!({"keys": *served.lock().unwrap()}).to_string());
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/keys", answer)).await.unwrap() });
        Self { url, keys }
    }
}

fn claims(subject: &str, scope: &str) -> Value {
    let now = chrono::Utc::now().timestamp();
    json!({"sub": subject, "scope": scope, "iss": "https://id.example", "aud": "hotel", "exp": now + 600, "nbf": now - 5})
}

async fn open(purpose: &str, issuer: &Issuer) -> Hotel {
    let source = Source::Url(issuer.url.parse().unwrap());
    let auth = AuthSettings { source, issuer: "https://id.example".to_owned(), audience: "hotel".to_owned() };
    let hotel = Hotel::open_with(purpose, |settings| Settings { auth: Some(auth), ..settings }).await;
    hotel.service.report_when("readiness", |report| report.ready).await;
    hotel
}

async fn post(hotel: &Hotel, token: &str, path: &str, body: &Value) -> Answer {
    hotel.service.post_with(path, body, &[("authorization", &format!("Bearer {token}"))]).await
}

async fn read(hotel: &Hotel, token: &str, path: &str) -> Answer {
    hotel.service.send(hotel.service.request("GET", path).bearer_auth(token)).await
}

#[tokio::test]
async fn a_token_is_good_for_its_scopes_and_no_more() {
    let key = IssuerKey::new("one");
    let hotel = open("scopes", &Issuer::open(&[&key]).await).await;
    let written = hotel.written().await;
    let none = hotel.service.post(ACCOUNTS, &account("ada")).await.expect_problem(401, "unauthenticated");
    assert_eq!(none.header("www-authenticate"), "Bearer realm=\"waybill\"");
    for scope in ["", "accounts:read", "payments:write direct-booking:write", "accounts", "accounts:writer"] {
        let refused = post(&hotel, &key.sign(&claims("teller", scope)), ACCOUNTS, &account("ada")).await;
        let refused = refused.expect_problem(403, "insufficient-scope");
        let challenge = refused.header("www-authenticate");
        assert!(
            challenge.contains("error=\"insufficient_scope\"") && challenge.contains("scope=\"accounts:write\""),
            "{challenge}"
        );
    }
    assert_eq!(hotel.written().await, written);
    let writer = key.sign(&claims("teller", "payments:read accounts:write"));
    post(&hotel, &writer, ACCOUNTS, &account("ada")).await.expect(201);
    read(&hotel, &writer, ADA).await.expect_problem(403, "insufficient-scope");
    let reader = key.sign(&claims("reader", "accounts:read"));
    read(&hotel, &reader, ADA).await.expect(200);
    read(&hotel, &reader, "/payments/payments/1").await.expect_problem(403, "insufficient-scope");
    // What is no context's is open as before.
    hotel.service.get("/healthz").await.expect(200);
    let document = hotel.service.get("/openapi.json").await.expect(200).body;
    assert_eq!(document["paths"][ACCOUNTS]["post"]["security"], json!([{"bearer": ["accounts:write"]}]));
    assert!(document["paths"][ACCOUNTS]["post"]["responses"]["403"].is_object());
}

#[tokio::test]
async fn a_token_that_is_not_good_here_is_refused_whatever_it_says() {
    let (key, stranger) = (IssuerKey::new("one"), IssuerKey::new("one"));
    let hotel = open("bad tokens", &Issuer::open(&[&key]).await).await;
    let good = claims("teller", "accounts:read");
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        key.sign(&claims)
    };
    let without = |name: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        key.sign(&claims)
    };
    let now = chrono::Utc::now().timestamp();
    let signed = key.sign(&good);
    let parts: Vec<_> = signed.split('.').collect();
    // {"alg":"none"}, and {"alg":"HS256","kid":"one"} signed by anything.
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
    let shared = format!("eyJhbGciOiJIUzI1NiIsImtpZCI6Im9uZSJ9.{}.{}", parts[1], parts[2]);
    let critical =
        Header { kid: Some("one".to_owned()), crit: Some(vec!["exp".to_owned()]), ..Header::new(Algorithm::EdDSA) };
    let critical = key.sign_with(&critical, &good);
    let mail = Header { kid: Some("one".to_owned()), typ: Some("mail".to_owned()), ..Header::new(Algorithm::EdDSA) };
    let mail = key.sign_with(&mail, &good);
    let unknown = key.under("other").sign(&good);
    for (what, token) in [
        ("expired", with("exp", json!(now - 60))),
        ("not yet", with("nbf", json!(now + 600))),
        ("issuer", with("iss", json!("https://evil.example"))),
        ("audience", with("aud", json!("motel"))),
        ("subject", with("sub", json!(""))),
        ("no exp", without("exp")),
        ("no aud", without("aud")),
        ("no iss", without("iss")),
        ("no sub", without("sub")),
        ("another key", stranger.sign(&good)),
        ("unknown key", unknown),
        ("none", unsigned),
        ("shared secret", shared),
        ("crit", critical),
        ("typ", mail),
        ("cut", signed[..signed.len() - 5].to_owned()),
        ("junk", "x".to_owned()),
        ("long", "x".repeat(9_000)),
    ] {
        let refused = read(&hotel, &token, ADA).await;
        assert_eq!(refused.status, 401, "{what}: {}", refused.body);
        let challenge = refused.header("www-authenticate");
        assert!(challenge.contains("error=\"invalid_token\""), "{what}: {challenge}");
    }
    let twice = hotel.service.request("GET", ADA).bearer_auth(&signed).bearer_auth(&signed);
    hotel.service.send(twice).await.expect_problem(400, "invalid-header");
    read(&hotel, &signed, ADA).await.expect_problem(404, "not-found");
    read(&hotel, &with("aud", json!(["motel", "hotel"])), ADA).await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn an_idempotency_key_is_its_callers() {
    let key = IssuerKey::new("one");
    let hotel = open("callers", &Issuer::open(&[&key]).await).await;
    let send = async |who: &str, body: Value| {
        let token = key.sign(&claims(who, "accounts:write"));
        let request = hotel.service.request("POST", ACCOUNTS).header("idempotency-key", "k").bearer_auth(token);
        hotel.service.send(request.json(&body)).await
    };
    send("teller", account("ada")).await.expect(201);
    send("another", account("bob")).await.expect(201);
    send("teller", account("bob")).await.expect_problem(422, "idempotency-key-reused");
    assert_eq!(send("teller", account("ada")).await.expect(201).header("idempotency-replayed"), "true");
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_known_as_soon_as_a_token_names_it() {
    let (old, new) = (IssuerKey::new("old"), IssuerKey::new("new"));
    let issuer = Issuer::open(&[&old]).await;
    let hotel = open("rotation", &issuer).await;
    let good = claims("reader", "accounts:read");
    read(&hotel, &old.sign(&good), ADA).await.expect_problem(404, "not-found");
    *issuer.keys.lock().unwrap() = vec![new.public()];
    servers::eventually("the new key", DEADLINE, async || {
        let answer = read(&hotel, &new.sign(&good), ADA).await;
        assert!([401, 404].contains(&answer.status), "{}", answer.body);
        answer.status == 404
    })
    .await;
    read(&hotel, &old.sign(&good), ADA).await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn without_the_issuers_keys_nobody_is_let_in_and_the_service_says_so() {
    let source = Source::File("/nowhere/keys.json".into());
    let auth = AuthSettings { source, issuer: "i".to_owned(), audience: "a".to_owned() };
    let hotel = Hotel::open_with("no keys", |settings| Settings { auth: Some(auth), ..settings }).await;
    hotel
        .service
        .report_when("the reason", |report| {
            report.parts.get("auth").is_some_and(|part| part.reason.as_ref().is_some_and(|text| text.contains("keys")))
        })
        .await;
    let token = IssuerKey::new("one").sign(&claims("reader", "accounts:read"));
    read(&hotel, &token, ADA).await.expect_problem(503, "unavailable");
}
