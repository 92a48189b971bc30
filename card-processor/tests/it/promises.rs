//! What the API promises when everything works.

use std::collections::HashSet;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::shop::{Shop, answer, charge};

#[tokio::test]
async fn a_charge_is_answered_again_byte_for_byte() {
    let shop = Shop::open().await;
    for (key, token, status) in [("a", "tok_visa", 201), ("b", "tok_declined", 402), ("c", "tok_insufficient", 402)] {
        let first = shop.charge(key, &charge(token, "b-1")).await;
        assert_eq!((first.status, first.media_type.as_str()), (status, "application/json"), "{first:?}");
        assert_eq!(shop.charge(key, &charge(token, "b-1")).await, first);
        shop.charge(key, &charge(token, "b-2")).await.expect_problem(422, "idempotency-key-reused");
    }
    let mut taken = shop.charge("a", &charge("tok_visa", "b-1")).await.json();
    assert!(taken["id"].as_str().is_some_and(|id| id.starts_with("ch_")), "{taken}");
    taken.as_object_mut().unwrap().remove("id");
    let request = charge("tok_visa", "b-1");
    assert_eq!(
        taken,
        json!({"status": "succeeded", "cardToken": "tok_visa", "amountMinor": 7500, "currency": "EUR",
        "reference": request["reference"]})
    );
    let declined = shop.charge("c", &charge("tok_insufficient", "b-1")).await.json();
    assert_eq!((&declined["status"], &declined["declineCode"]), (&json!("declined"), &json!("insufficient-funds")));
    shop.close().await;
}

#[tokio::test]
async fn fifty_at_once_with_one_key_make_one_entry() {
    let shop = Shop::open().await;
    let request = charge("tok_visa", "b-1");
    let answers = join_all((0..50).map(|_| shop.charge("one", &request))).await;
    let done: HashSet<_> =
        answers.iter().filter(|answer| answer.status == 201).map(|answer| answer.body.clone()).collect();
    assert_eq!(done.len(), 1, "{answers:?}");
    for waited in answers.iter().filter(|answer| answer.status != 201) {
        waited.expect_problem(409, "under-way");
        assert_eq!(waited.retry_after.as_deref(), Some("1"));
    }
    assert_eq!(shop.entries("").await.len(), 1);
    assert!(done.contains(&shop.charge("one", &request).await.body));
    shop.close().await;
}

#[tokio::test]
async fn a_charge_is_refunded_once_whoever_asks_at_once() {
    let shop = Shop::open().await;
    shop.charge("paid", &charge("tok_visa", "b-1")).await;
    shop.charge("declined", &charge("tok_declined", "b-2")).await;
    shop.refund("r", "nothing", 1).await.expect_problem(404, "not-found");
    shop.refund("r", "declined", 1).await.expect_problem(404, "not-found");
    shop.refund("r", "paid", 7501).await.expect_problem(422, "more-than-charged");
    shop.refund("paid", "paid", 7500).await.expect_problem(422, "idempotency-key-reused");

    let keys: Vec<_> = (0..20).map(|number| format!("r-{number}")).collect();
    let answers = join_all(keys.iter().map(|key| shop.refund(key, "paid", 7500))).await;
    let (done, refused): (Vec<_>, Vec<_>) = keys.iter().zip(&answers).partition(|(_, answer)| answer.status == 201);
    let [(key, first)] = done[..] else { panic!("{answers:?}") };
    refused.iter().for_each(|(_, answer)| answer.expect_problem(409, "already-refunded"));
    assert_eq!(&shop.refund(key, "paid", 7500).await, first);
    shop.refund(key, "paid", 7499).await.expect_problem(422, "idempotency-key-reused");

    let entries = shop.entries("?reference=b-1").await;
    let told: Vec<_> = entries.iter().map(|entry| (&entry["kind"], &entry["status"], &entry["cardToken"])).collect();
    let (succeeded, card) = (json!("succeeded"), json!("tok_visa"));
    assert_eq!(told, [(&json!("charge"), &succeeded, &card), (&json!("refund"), &succeeded, &card)]);
    assert_eq!(shop.entries("").await.len(), 3);
    shop.close().await;
}

#[tokio::test]
async fn what_cannot_be_accepted_is_a_problem_and_no_entry() {
    let shop = Shop::open().await;
    let url = format!("{}/v1/charges", shop.url);
    let send = |body: String| {
        let request = shop.http.post(&url).header("idempotency-key", "k").header("content-type", "application/json");
        answer(request.body(body))
    };
    let with = |name: &str, value: Value| {
        let mut body = charge("tok_visa", "b-1");
        body[name] = value;
        body.to_string()
    };
    for malformed in ["", "{", "nonsense"] {
        send(malformed.to_owned()).await.unwrap().expect_problem(400, "malformed");
    }
    for (name, value) in [
        ("tip", json!(1)),
        ("amountMinor", json!(0)),
        ("amountMinor", json!("7500")),
        ("currency", json!("euro")),
        ("reference", json!("")),
        ("cardToken", json!("4242424242424242")),
        ("cardToken", json!("4242 4242 4242 4242")),
        ("cardToken", json!(4_242_424_242_424_242_u64)),
    ] {
        let refused = send(with(name, value)).await.unwrap();
        refused.expect_problem(422, "invalid-fields");
        assert!(!refused.body.contains("4242"), "{refused:?}");
    }
    send(with("reference", json!("x".repeat(17_000)))).await.unwrap().expect_problem(413, "body-too-large");
    let body = charge("tok_visa", "b-1");
    let text = shop.http.post(&url).header("idempotency-key", "k").body(body.to_string());
    answer(text).await.unwrap().expect_problem(415, "unsupported-media-type");
    answer(shop.http.post(&url).json(&body)).await.unwrap().expect_problem(400, "idempotency-key");
    for key in ["", "a b", &"x".repeat(256)] {
        shop.charge(key, &body).await.expect_problem(400, "idempotency-key");
    }
    answer(shop.charging("a", &body).header("idempotency-key", "b"))
        .await
        .unwrap()
        .expect_problem(400, "idempotency-key");
    shop.get("/v1/charges").await.expect_problem(405, "method-not-allowed");
    shop.get("/v2").await.expect_problem(404, "not-found");
    shop.get("/v1/ledger?page=2").await.expect_problem(400, "malformed");
    assert!(shop.entries("").await.is_empty());
    shop.close().await;
}
