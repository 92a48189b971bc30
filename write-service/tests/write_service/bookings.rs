//! The rules of bookings.

use serde_json::json;

use crate::fixture::{Hotel, account, booking, day};

const BOOKINGS: &str = "/direct-booking/bookings";

#[tokio::test]
async fn what_a_booking_names_has_to_be_known() {
    let hotel = Hotel::open_for_bookings("unknown", 5).await;
    hotel.know_account("bob", false).await;
    let written = hotel.written().await;
    let with = |field: &str, value: &str| {
        let mut body = booking("b1", 1, 1);
        body[field] = json!(value);
        body
    };
    let unknown =
        hotel.service.post(BOOKINGS, &with("accountId", "nobody")).await.expect_problem(409, "unknown-account");
    assert_eq!(unknown.header("retry-after"), "1");
    assert!(unknown.body["detail"].as_str().unwrap().contains("Read-After"));
    hotel.service.post(BOOKINGS, &with("accountId", "bob")).await.expect_problem(409, "account-closed");
    hotel.service.post(BOOKINGS, &with("roomTypeId", "suite")).await.expect_problem(409, "unknown-room-type");
    assert_eq!(hotel.written().await, written);
}

#[tokio::test]
async fn an_account_that_only_accounts_knows_is_unknown_here() {
    let hotel = Hotel::open("own copy").await;
    hotel.define_rooms("double", 1).await;
    hotel.service.post("/accounts/accounts", &account("ada")).await.expect(201);
    hotel.service.post(BOOKINGS, &booking("b1", 1, 1)).await.expect_problem(409, "unknown-account");
}

#[tokio::test]
async fn the_first_full_night_is_named_and_a_cancelled_booking_frees_its_nights() {
    let hotel = Hotel::open_for_bookings("no room", 1).await;
    let service = &hotel.service;
    service.post(BOOKINGS, &booking("b1", 10, 2)).await.expect(202);
    let written = hotel.written().await;
    let refused = service.post(BOOKINGS, &booking("b2", 8, 7)).await.expect_problem(409, "no-room");
    assert!(refused.body["detail"].as_str().unwrap().contains(&day(10)), "{}", refused.body);
    assert_eq!(hotel.written().await, written);

    // Around it there is room: the day of departure is free for others.
    service.post(BOOKINGS, &booking("b3", 8, 2)).await.expect(202);
    service.post(BOOKINGS, &booking("b4", 12, 1)).await.expect(202);
    service.post(&format!("{BOOKINGS}/b1/cancel"), &json!({})).await.expect(200);
    service.post(&format!("{BOOKINGS}/b1/cancel"), &json!({})).await.expect_problem(409, "already-cancelled");
    service.post(BOOKINGS, &booking("b5", 10, 2)).await.expect(202);
    assert_eq!(hotel.number("select max(taken)::bigint from direct_booking.room_night").await, 1);
}

#[tokio::test]
async fn day_use_takes_the_room_for_the_day_and_is_paid_once() {
    let hotel = Hotel::open_for_bookings("day use", 1).await;
    let made = hotel.service.post(BOOKINGS, &booking("b1", 5, 0)).await.expect(202);
    assert_eq!(made.body["total"]["amountMinor"], 7_500);
    hotel.service.post(BOOKINGS, &booking("b2", 5, 1)).await.expect_problem(409, "no-room");
    hotel.service.post(BOOKINGS, &booking("b3", 4, 1)).await.expect(202);
    hotel.service.post(&format!("{BOOKINGS}/b1/cancel"), &json!({})).await.expect(200);
    hotel.service.post(BOOKINGS, &booking("b4", 5, 0)).await.expect(202);
}

#[tokio::test]
async fn a_complimentary_night_a_single_baby_and_another_currency_are_fine() {
    let hotel = Hotel::open_for_bookings("fine", 9).await;
    for (at, (field, value)) in [
        ("nightlyRate", json!({"amountMinor": 0, "currency": "JPY"})),
        ("guests", json!({"adults": 0, "babies": 1})),
        ("checkOut", json!(day(1 + 366))),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = booking(&at.to_string(), 1, 1);
        let status = if field == "nightlyRate" { 201 } else { 202 };
        body[field] = value;
        hotel.service.post(BOOKINGS, &body).await.expect(status);
    }
}

#[tokio::test]
async fn a_replay_brings_its_own_time() {
    let hotel = Hotel::open_for_replay("replay").await;
    hotel.know_account("ada", true).await;
    hotel.define_rooms("double", 1).await;
    let service = &hotel.service;
    let mut body = booking("b1", 0, 0);
    (body["checkIn"], body["checkOut"]) = (json!("2015-07-03"), json!("2015-07-05"));
    let at = |time: &'static str| [("waybill-time", time)];

    let late = service.post_with(BOOKINGS, &body, &at("2015-07-04T00:00:00Z")).await;
    assert_eq!(late.expect_problem(422, "invalid-fields").pointers(), ["/checkIn"]);
    let made = service.post_with(BOOKINGS, &body, &at("2015-07-01T10:00:00.5Z")).await.expect(202);
    assert_eq!(made.body["madeAt"], "2015-07-01T10:00:00.500Z");
    assert_eq!(service.get("/direct-booking/bookings/b1").await.bytes, made.bytes);

    let cancel = format!("{BOOKINGS}/b1/cancel");
    service.post_with(&cancel, &json!({}), &at("2015-07-06T00:00:00Z")).await.expect_problem(409, "stay-over");
    service.post_with(&cancel, &json!({}), &at("whenever")).await.expect_problem(400, "invalid-header");
    let cancelled = service.post_with(&cancel, &json!({}), &at("2015-07-05T23:59:59Z")).await.expect(200);
    assert_eq!(cancelled.body["cancelledAt"], "2015-07-05T23:59:59Z");
}

#[tokio::test]
async fn outside_a_replay_a_command_cannot_choose_its_time() {
    let hotel = Hotel::open_for_bookings("no replay", 1).await;
    let headers = [("waybill-time", "2015-07-01T10:00:00Z")];
    hotel.service.post_with(BOOKINGS, &booking("b1", 1, 1), &headers).await.expect_problem(400, "invalid-header");
}
