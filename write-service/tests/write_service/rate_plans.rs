//! Rate plans: what a night costs is fixed when it is booked, and not said any more once it is stale.

use contracts::direct_booking::{RATE_PLAN, RatePlanDocument};
use serde_json::{Value, json};

use crate::{
    fixture::{Hotel, booking, rate_plan, tariff},
    place::BOOKINGS,
};

const PLANS: &str = "/direct-booking/rate-plans";

/// A booking by a rate plan, which the guest was shown at this price.
fn by_plan(id: &str, plan: &str, shown: Option<i64>) -> Value {
    let mut body = booking(id, 1, 2);
    body["ratePlanId"] = json!(plan);
    match shown {
        Some(amount) => body["nightlyRate"]["amountMinor"] = json!(amount),
        None => drop(body.as_object_mut().unwrap().remove("nightlyRate")),
    }
    body
}

#[tokio::test]
async fn a_price_is_fixed_when_it_is_booked() {
    let hotel = Hotel::open_for_bookings("fixed price", 9).await;
    let service = &hotel.service;
    service.post(PLANS, &rate_plan("flexible", 1)).await.expect(201);
    let made = service.post(BOOKINGS, &by_plan("b1", "flexible", None)).await.expect(202);
    assert_eq!(made.body["total"], json!({"amountMinor": 19_800, "currency": "EUR"}));
    assert_eq!(made.body["ratePlanId"], "flexible");

    let mut dearer = tariff(1);
    dearer["nightlyRate"]["amountMinor"] = json!(12_000);
    let repriced = service.post(&format!("{PLANS}/flexible/reprice"), &dearer).await.expect(200);
    assert_eq!(repriced.body["version"], 2);
    assert_eq!(service.get(&format!("{BOOKINGS}/b1")).await.body["total"]["amountMinor"], 19_800);
    // Who was shown the old price is asked first.
    service.post(BOOKINGS, &by_plan("b2", "flexible", Some(9_900))).await.expect_problem(409, "stale-price");
    let made = service.post(BOOKINGS, &by_plan("b2", "flexible", Some(12_000))).await.expect(202);
    assert_eq!(made.body["nightlyRate"]["amountMinor"], 12_000);
}

#[tokio::test]
async fn a_price_past_its_validity_is_refused_until_there_is_a_new_one() {
    let hotel = Hotel::open_for_bookings("stale price", 9).await;
    let service = &hotel.service;
    service.post(PLANS, &rate_plan("old", -1)).await.expect(201);
    let written = hotel.written().await;
    service.post(BOOKINGS, &by_plan("b1", "old", None)).await.expect_problem(409, "stale-price");
    service.post(BOOKINGS, &by_plan("b1", "none", None)).await.expect_problem(409, "unknown-rate-plan");
    hotel.define_rooms("single", 1).await;
    let mut other_room = by_plan("b1", "old", None);
    other_room["roomTypeId"] = json!("single");
    service.post(BOOKINGS, &other_room).await.expect_problem(409, "unknown-rate-plan");
    assert_eq!(hotel.written().await, written + 3, "the room type, told in both versions");
    service.post(&format!("{PLANS}/old/reprice"), &tariff(1)).await.expect(200);
    service.post(BOOKINGS, &by_plan("b1", "old", None)).await.expect(202);
}

#[tokio::test]
async fn a_rate_plan_says_until_when_it_may_be_kept() {
    let hotel = Hotel::open_for_bookings("validity", 1).await;
    let service = &hotel.service;
    let defined = service.post(PLANS, &rate_plan("flexible", 1)).await.expect(201);
    let document: RatePlanDocument = serde_json::from_slice(&defined.bytes).unwrap();
    let read = service.get(&format!("{PLANS}/flexible")).await.expect(200);
    assert_eq!(read.bytes, defined.bytes);
    let max_age: i64 = read.header("cache-control").strip_prefix("private, max-age=").unwrap().parse().unwrap();
    assert!((3_000..=3_600).contains(&max_age), "{max_age}");
    let rows = hotel.outbox("direct_booking").await;
    let row = rows.iter().find(|row| row.aggregatetype == RATE_PLAN.name).unwrap();
    let told: chrono::DateTime<chrono::Utc> = row.headers["ce_validuntil"].parse().unwrap();
    assert_eq!(told, document.valid_until);

    service.post(PLANS, &rate_plan("stale", -1)).await.expect(201);
    let stale = service.get(&format!("{PLANS}/stale")).await.expect(200);
    assert_eq!(stale.header("cache-control"), "private, max-age=0");
    let unchanged =
        service.send(service.request("GET", &format!("{PLANS}/flexible")).header("if-none-match", read.header("etag")));
    assert!(unchanged.await.expect(304).header("cache-control").starts_with("private, max-age="));
    let refused =
        service.post(&format!("{PLANS}/flexible/reprice"), &json!({"nightlyRate": {}, "validUntil": "soon"})).await;
    let refused = refused.expect_problem(422, "invalid-fields");
    assert_eq!(refused.pointers(), ["/nightlyRate/amountMinor", "/nightlyRate/currency", "/validUntil"]);
}
