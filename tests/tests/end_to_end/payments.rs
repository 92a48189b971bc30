//! Any process is killed in the middle of bookings: each is charged once and confirmed, or cancelled and charged for nothing.
//! The third party fails for a while: bookings are taken all the same, and charged afterwards. "Once" is what the third party's
//! ledger says, which is on its disk.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context;
use chrono::{Days, Utc};
use end_to_end::{PATIENCE, Pipeline, Service, account, booking};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use servers::{eventually, unique_prefix};

/// How many bookings are posted for each death.
const BOOKINGS: usize = 20;

/// How often each process dies: once, or as often as `SOAK` says (`make soak`).
fn rounds() -> anyhow::Result<usize> {
    std::env::var("SOAK").map_or(Ok(1), |deaths| deaths.parse()).context("SOAK is not a number of deaths")
}

/// What the third party has done about each booking: how often it charged it, and how often it gave the money back.
async fn ledger(processor: &Service) -> anyhow::Result<BTreeMap<String, (usize, usize)>> {
    let ledger: Value = reqwest::get(format!("{}/v1/ledger", processor.url)).await?.json().await?;
    let mut done: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for entry in ledger["entries"].as_array().context("no entries")? {
        let (charges, refunds) =
            done.entry(entry["reference"].as_str().context("no reference")?.to_owned()).or_default();
        match entry["kind"].as_str() {
            Some("charge") if entry["status"] == "succeeded" => *charges += 1,
            Some("refund") => *refunds += 1,
            _ => {}
        }
    }
    Ok(done)
}

/// Posts a command until it is answered: under the same key, so that it is done once.
async fn post(pipeline: &Pipeline, key: &str, path: &str, body: &Value) {
    eventually("a command is answered", PATIENCE, async || {
        match pipeline.post(path, body, &[("idempotency-key", key)]).await {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(Some(())),
            other => Err(format!("{path}: {other:?}")),
        }
    })
    .await;
}

/// Three bookings in ten are cancelled.
fn is_cancelled(id: &str) -> bool {
    id.ends_with(['0', '4', '8'])
}

/// Makes these bookings, some at once, and cancels those that are to be.
async fn book(pipeline: &Pipeline, wish: &Value, ids: &[String]) {
    let book = async |id: &String| {
        let mut wish = wish.clone();
        wish["bookingId"] = json!(id);
        post(pipeline, id, "/direct-booking/bookings", &wish).await;
        if is_cancelled(id) {
            let path = format!("/direct-booking/bookings/{id}/cancel");
            post(pipeline, &format!("cancel-{id}"), &path, &json!({})).await;
        }
    };
    stream::iter(ids).for_each_concurrent(8, book).await;
}

#[tokio::test]
async fn whatever_process_is_killed_each_booking_is_charged_once_or_not_at_all() -> anyhow::Result<()> {
    let file = std::env::temp_dir().join(format!("{}.jsonl", unique_prefix("ledger")));
    let ledger_file = file.to_str().context("a path that is no text")?;
    let mut processor = Service::start("card-processor", &["--ledger", ledger_file], "LISTEN", Vec::new())?;
    let mut pipeline = Pipeline::start("killpayments", &[("CARD_PROCESSOR_URL", &processor.url)]).await?;
    let (opened, _) = pipeline.must("/accounts/accounts", &account("Meir 1"), None).await?;
    let account = opened["accountId"].as_str().context("no id")?.to_owned();
    let rounds = rounds()?;
    pipeline
        .must(&format!("/accounts/accounts/{account}/change-card-details"), &json!({"cardToken": "tok_ada"}), None)
        .await?;
    let numbers: Vec<String> = (1..=BOOKINGS * 4).map(|number| number.to_string()).collect();
    let (double, _) =
        pipeline.must("/direct-booking/room-types", &json!({"name": "Double", "rooms": numbers}), None).await?;
    let room_type = double["roomTypeId"].as_str().context("no id")?.to_owned();

    let mut expected = BTreeMap::new();
    for round in 0..rounds {
        // Each time another night, so that the rooms are enough however often they die.
        let night = Utc::now().date_naive() + Days::new(40 + round as u64);
        let mut wish = booking(&account, &room_type);
        (wish["checkIn"], wish["checkOut"]) = (json!(night), json!(night + Days::new(1)));
        for victim in 0..4 {
            let ids: Vec<String> = (0..BOOKINGS).map(|number| format!("{round}-{victim}-{number}")).collect();
            let (before, after) = ids.split_at(BOOKINGS / 2);
            book(&pipeline, &wish, before).await;
            match victim {
                0 => pipeline.write.kill().await?,
                1 => pipeline.capture.kill().await?,
                2 => processor.kill().await?,
                _ => pipeline.read.kill().await?,
            }
            match victim {
                0 => pipeline.write.start_again()?,
                1 => pipeline.capture.start_again()?,
                2 => processor.start_again()?,
                _ => pipeline.read.start_again()?,
            }
            book(&pipeline, &wish, after).await;
            for id in ids {
                let status = if is_cancelled(&id) { "CANCELLED" } else { "CONFIRMED" };
                expected.insert(id, status);
            }
        }
    }
    eventually("each booking has ended", PATIENCE, async || {
        let done = ledger(&processor).await.map_err(|error| format!("{error:#}"))?;
        for (id, status) in &expected {
            let seen = pipeline.query("query($id: ID!) { booking(id: $id) { status } }", &json!({"id": id}), &[]).await;
            let seen = seen.map_err(|error| format!("{error:#}"))?["booking"]["status"].clone();
            let (charges, refunds) = done.get(id).copied().unwrap_or_default();
            assert!(charges <= 1 && refunds <= charges, "booking {id} was charged {charges} times, refunded {refunds}");
            let kept = usize::from(*status == "CONFIRMED");
            if seen != *status || charges - refunds != kept {
                return Err(format!("booking {id} is {seen}, charged {charges} times, refunded {refunds}"));
            }
        }
        Ok(Some(()))
    })
    .await;
    std::fs::remove_file(&file)?;
    Ok(())
}

/// How many bookings are made while the third party fails.
const MEANWHILE: usize = 60;

/// For how long the third party fails after it is left alone: not at all, or for a minute (`make soak`).
fn outage() -> Duration {
    if std::env::var_os("SOAK").is_some() { Duration::from_secs(60) } else { Duration::ZERO }
}

async fn behave(processor: &Service, mode: &str) -> anyhow::Result<()> {
    let request = reqwest::Client::new().put(format!("{}/v1/behaviour", processor.url)).json(&json!({"mode": mode}));
    request.send().await?.error_for_status()?;
    Ok(())
}

/// How many of these bookings are in this state.
async fn count(pipeline: &Pipeline, status: &str) -> Result<u64, String> {
    let query = "query($status: BookingStatus!) { bookingsSummary(filter: {status: $status}) { count } }";
    let seen = pipeline.query(query, &json!({"status": status}), &[]).await.map_err(|error| format!("{error:#}"))?;
    seen["bookingsSummary"]["count"].as_u64().ok_or_else(|| seen.to_string())
}

#[tokio::test]
async fn a_third_party_that_fails_for_a_while_takes_all_payments_afterwards_each_once() -> anyhow::Result<()> {
    let processor = Service::start("card-processor", &[], "LISTEN", Vec::new())?;
    let pipeline = Pipeline::start("outage", &[("CARD_PROCESSOR_URL", &processor.url)]).await?;
    let (opened, token) = pipeline.must("/accounts/accounts", &account("Meir 1"), None).await?;
    let account = opened["accountId"].as_str().context("no id")?.to_owned();
    let card = format!("/accounts/accounts/{account}/change-card-details");
    pipeline.must(&card, &json!({"cardToken": "tok_ada"}), None).await?;
    let rooms: Vec<String> = (1..=MEANWHILE).map(|number| number.to_string()).collect();
    let (double, _) =
        pipeline.must("/direct-booking/room-types", &json!({"name": "Double", "rooms": rooms}), None).await?;
    let wish = booking(&account, double["roomTypeId"].as_str().context("no id")?);

    // It takes the first ones, and does not say so.
    behave(&processor, "drop-after-commit").await?;
    for number in 0..MEANWHILE {
        if number == MEANWHILE / 3 {
            eventually("something is charged that nobody knows of", PATIENCE, async || {
                match ledger(&processor).await {
                    Ok(done) if done.is_empty() => Err("nothing is charged".to_owned()),
                    Ok(_) => Ok(Some(())),
                    Err(error) => Err(format!("{error:#}")),
                }
            })
            .await;
            behave(&processor, "fail").await?;
        }
        let mut wish = wish.clone();
        wish["bookingId"] = json!(format!("b{number}"));
        let (booked, _) = pipeline.must("/direct-booking/bookings", &wish, Some(&token)).await?;
        assert_eq!(booked["status"], "PENDING");
    }
    eventually("the third party is left alone", PATIENCE, async || {
        let log = pipeline.write.process.log();
        if log.contains("left alone for a while") { Ok(Some(())) } else { Err(log) }
    })
    .await;
    let (start, mut modes) = (Instant::now(), ["hang", "drop-after-commit", "fail"].iter().cycle());
    while start.elapsed() < outage() {
        behave(&processor, modes.next().context("no mode")?).await?;
        // An outage is a time, and no condition.
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    eventually("all bookings are seen, and none is confirmed", PATIENCE, async || {
        let (pending, confirmed) = (count(&pipeline, "PENDING").await?, count(&pipeline, "CONFIRMED").await?);
        assert_eq!(confirmed, 0);
        if pending == MEANWHILE as u64 { Ok(Some(())) } else { Err(format!("{pending} are pending")) }
    })
    .await;

    behave(&processor, "normal").await?;
    // What was tried again and again is tried again after a minute at most.
    eventually("all bookings are confirmed", PATIENCE * 3, async || match count(&pipeline, "CONFIRMED").await? {
        confirmed if confirmed == MEANWHILE as u64 => Ok(Some(())),
        confirmed => Err(format!("{confirmed} are confirmed")),
    })
    .await;
    let ledger = ledger(&processor).await?;
    assert_eq!(ledger.len(), MEANWHILE);
    assert!(ledger.values().all(|done| *done == (1, 0)), "{ledger:?}");
    Ok(())
}
