//! What a processor finds of itself when it is started again.

use std::{fs, io::Write};

use card_processor::{Key, Ledger, LedgerError, Settings, Status};
use telemetry::CancellationToken;
use tokio::net::TcpListener;

use crate::shop::{Shop, charge};

#[tokio::test]
async fn what_was_answered_is_answered_again_after_a_restart_and_a_torn_line_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.jsonl");
    let shop = Shop::on(&path).await;
    let taken = shop.charge("a", &charge("tok_visa", "b-1")).await;
    let declined = shop.charge("b", &charge("tok_declined", "b-2")).await;
    let returned = shop.refund("r", "a", 7000).await;
    let listed = shop.entries("").await;
    // What a test reads is what is served.
    let read = Ledger::read(&path).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::Value::from(listed.clone()));
    assert_eq!(read.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["a", "b", "r"]);
    assert_eq!((read[1].status, read[2].charge_key.as_ref().map(Key::as_str)), (Status::Declined, Some("a")));
    shop.close().await;

    let whole = fs::read(&path).unwrap();
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(&whole[..whole.len() / 5]).unwrap();
    let shop = Shop::on(&path).await;
    assert_eq!(shop.charge("a", &charge("tok_visa", "b-1")).await, taken);
    assert_eq!(shop.charge("b", &charge("tok_declined", "b-2")).await, declined);
    assert_eq!(shop.refund("r", "a", 7000).await, returned);
    shop.refund("s", "a", 500).await.expect_problem(409, "already-refunded");
    assert_eq!(shop.entries("").await, listed);
    assert_eq!(fs::read(&path).unwrap(), whole);
    shop.charge("c", &charge("tok_visa", "b-3")).await;
    shop.close().await;
    assert_eq!(Ledger::read(&path).unwrap().len(), 4);
}

#[tokio::test]
async fn a_ledger_that_is_malformed_or_in_use_is_not_served() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.jsonl");
    let serve = async || {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        card_processor::serve(Settings { ledger: Some(path.clone()) }, listener, CancellationToken::new()).await
    };
    let shop = Shop::on(&path).await;
    shop.charge("a", &charge("tok_visa", "b-1")).await;
    assert!(matches!(serve().await, Err(LedgerError::InUse(_))));
    shop.close().await;

    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"rubbish\n").unwrap();
    let error = serve().await.unwrap_err().to_string();
    assert!(error.contains("ledger.jsonl:2:"), "{error}");
}
