//! How it misbehaves when it is told to, and what is in the ledger then.

use std::time::Duration;

use serde_json::{Value, json};
use servers::eventually;
use tokio::task::JoinHandle;

use crate::shop::{Answer, PATIENCE, Shop, answer, charge};

#[tokio::test]
async fn it_tells_how_it_behaves() {
    let shop = Shop::open().await;
    assert_eq!(shop.get("/v1/behaviour").await.json(), json!({"mode": "normal", "delayMs": 2000}));
    shop.behave(&json!({"mode": "fail", "times": 2})).await;
    shop.charge("a", &charge("tok_visa", "b-1")).await.expect_problem(503, "unavailable");
    assert_eq!(shop.get("/v1/behaviour").await.json(), json!({"mode": "fail", "delayMs": 2000, "times": 1}));
    let wrong = shop.http.put(format!("{}/v1/behaviour", shop.url)).json(&json!({"mode": "kind"}));
    answer(wrong).await.unwrap().expect_problem(422, "invalid-fields");
    assert_eq!(shop.get("/v1/behaviour").await.json()["mode"], "fail");
    shop.close().await;
}

#[tokio::test]
async fn when_it_fails_nothing_is_done_and_the_next_try_is() {
    let shop = Shop::open().await;
    let request = charge("tok_visa", "b-1");
    shop.behave(&json!({"mode": "fail", "times": 2})).await;
    for _ in 0..2 {
        shop.charge("a", &request).await.expect_problem(503, "unavailable");
    }
    assert!(shop.entries("").await.is_empty());
    let first = shop.charge("a", &request).await;
    assert_eq!(first.status, 201);
    // It fails for what was done, too.
    shop.behave(&json!({"mode": "fail"})).await;
    shop.charge("a", &request).await.expect_problem(503, "unavailable");
    shop.refund("r", "a", 1).await.expect_problem(503, "unavailable");
    shop.behave(&json!({"mode": "normal"})).await;
    assert_eq!(shop.charge("a", &request).await, first);
    shop.close().await;
}

/// Sends a charge, and goes on once the processor has it in hand.
async fn begin(shop: &Shop, key: &str, behaviour: &Value) -> JoinHandle<reqwest::Result<Answer>> {
    shop.behave(behaviour).await;
    let task = tokio::spawn(answer(shop.charging(key, &charge("tok_visa", "b-1"))));
    eventually("the request", PATIENCE, async || shop.get("/v1/behaviour").await.json()["mode"] == "normal").await;
    task
}

/// The answer to a charge, once it is not under way any more.
async fn answered(shop: &Shop, key: &str) -> Answer {
    eventually("the answer", PATIENCE, async || {
        let answer = shop.charge(key, &charge("tok_visa", "b-1")).await;
        if answer.status == 409 { Err(answer.body) } else { Ok(Some(answer)) }
    })
    .await
}

#[tokio::test]
async fn when_it_hangs_nothing_is_done_until_the_client_tries_again() {
    let shop = Shop::open().await;
    let hang = json!({"mode": "hang", "times": 1});
    let hangs = begin(&shop, "a", &hang).await;
    assert!(shop.entries("").await.is_empty());
    assert_eq!(shop.charge("a", &charge("tok_visa", "b-1")).await.status, 201);
    assert!(!hangs.is_finished());
    hangs.abort();
    // Also for what was done before; and its end is not held up by those who wait.
    let hangs = begin(&shop, "a", &hang).await;
    assert!(!hangs.is_finished());
    shop.close().await;
    assert!(!hangs.await.unwrap().unwrap_err().is_timeout());
}

#[tokio::test]
async fn while_it_is_slow_the_entry_is_there_and_the_key_is_under_way() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.jsonl");
    let shop = Shop::on(&path).await;
    let slow = json!({"mode": "slow", "delayMs": 60_000, "times": 1});
    let first = begin(&shop, "a", &slow).await;
    eventually("the entry", PATIENCE, async || shop.entries("").await.len() == 1).await;
    for _ in 0..3 {
        let other = shop.charge("a", &charge("tok_visa", "b-1")).await;
        other.expect_problem(409, "under-way");
        assert_eq!(other.retry_after.as_deref(), Some("1"));
    }
    assert!(!first.is_finished());
    // At its end it waits for nothing.
    shop.close().await;
    let first = first.await.unwrap().unwrap();
    assert_eq!(first.status, 201);
    let shop = Shop::on(&path).await;
    assert_eq!(shop.charge("a", &charge("tok_visa", "b-1")).await, first);
    assert_eq!(shop.entries("").await.len(), 1);
    shop.close().await;
}

#[tokio::test]
async fn what_a_client_did_not_wait_for_is_done_and_told_when_it_asks_again() {
    let shop = Shop::open().await;
    let slow = json!({"mode": "slow", "delayMs": 60_000, "times": 1});
    let gone = begin(&shop, "a", &slow).await;
    eventually("the entry", PATIENCE, async || shop.entries("").await.len() == 1).await;
    gone.abort();
    let answer = answered(&shop, "a").await;
    assert_eq!((answer.status, &answer.json()["id"]), (201, &shop.entries("").await[0]["id"]));
    assert_eq!(shop.entries("").await.len(), 1);
    shop.close().await;
}

#[tokio::test]
async fn a_replay_is_slow_too() {
    let shop = Shop::open().await;
    let request = charge("tok_visa", "b-1");
    let first = shop.charge("a", &request).await;
    shop.behave(&json!({"mode": "slow", "delayMs": 300, "times": 1})).await;
    let begun = tokio::time::Instant::now();
    assert_eq!(shop.charge("a", &request).await, first);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    shop.close().await;
}

#[tokio::test]
async fn when_it_declines_it_does_so_to_what_is_new() {
    let shop = Shop::open().await;
    let first = shop.charge("a", &charge("tok_visa", "b-1")).await;
    shop.behave(&json!({"mode": "decline"})).await;
    let declined = shop.charge("b", &charge("tok_visa", "b-2")).await;
    assert_eq!((declined.status, &declined.json()["declineCode"]), (402, &json!("card-declined")));
    assert_eq!(shop.charge("a", &charge("tok_visa", "b-1")).await, first);
    assert_eq!(shop.refund("r", "a", 7500).await.status, 201);
    shop.behave(&json!({"mode": "normal"})).await;
    // What was declined remains so.
    assert_eq!(shop.charge("b", &charge("tok_visa", "b-2")).await, declined);
    shop.close().await;
}

#[tokio::test]
async fn it_hangs_up_with_the_money_or_without() {
    let shop = Shop::open().await;
    let request = charge("tok_visa", "b-1");
    for (mode, key, entries) in [("drop-before-commit", "a", 0), ("drop-after-commit", "b", 1)] {
        shop.behave(&json!({"mode": mode, "times": 1})).await;
        let error = answer(shop.charging(key, &request)).await.unwrap_err();
        assert!(error.is_request() && !error.is_timeout() && !error.is_connect(), "{mode}: {error:?}");
        assert_eq!(shop.entries("").await.len(), entries, "{mode}");
        assert_eq!(shop.get("/v1/behaviour").await.json()["mode"], "normal");
    }
    // Whoever tries again learns which of them it was, and pays once.
    let id = shop.entries("").await[0]["id"].clone();
    assert_eq!(shop.charge("b", &request).await.json()["id"], id);
    assert_eq!(shop.charge("a", &request).await.status, 201);
    assert_eq!(shop.entries("").await.len(), 2);
    // A refund is dropped likewise, and so is what was done before.
    shop.behave(&json!({"mode": "drop-after-commit", "times": 2})).await;
    let refund = json!({"chargeKey": "a", "amountMinor": 1, "currency": "EUR"});
    let refund = shop.http.post(format!("{}/v1/refunds", shop.url)).header("idempotency-key", "r").json(&refund);
    assert!(answer(refund).await.is_err());
    assert!(answer(shop.charging("a", &request)).await.is_err());
    assert_eq!(shop.refund("r", "a", 1).await.status, 201);
    assert_eq!(shop.entries("").await.len(), 3);
    shop.close().await;
}
