//! The guest comes, has a room, and leaves; and what becomes of a booking that nobody pays.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use write_service::{Settings, Surroundings};

use crate::{
    fixture::{Answer, Hotel, booking},
    place::{BOOKINGS, Place},
};

/// Books for nothing, so that it is confirmed at once, from so many days on.
async fn confirmed(hotel: &Hotel, id: &str, check_in: i64, nights: i64) {
    let mut free = booking(id, check_in, nights);
    free["nightlyRate"]["amountMinor"] = json!(0);
    hotel.service.post(BOOKINGS, &free).await.expect(201);
}

async fn act(hotel: &Hotel, id: &str, what: &str, body: Value) -> Answer {
    hotel.service.post(&format!("{BOOKINGS}/{id}/{what}"), &body).await
}

#[tokio::test]
async fn a_guest_comes_has_a_room_and_leaves() {
    let hotel = Hotel::open_for_bookings("a stay", 2).await;
    for id in ["b1", "b2"] {
        confirmed(&hotel, id, 0, 2).await;
    }
    let inside = act(&hotel, "b1", "check-in", json!({})).await.expect(200);
    assert_eq!((&inside.body["status"], &inside.body["room"]), (&json!("CHECKED_IN"), &json!("1")));
    act(&hotel, "b1", "check-in", json!({})).await.expect_problem(409, "checked-in");
    act(&hotel, "b1", "cancel", json!({})).await.expect_problem(409, "checked-in");
    act(&hotel, "b2", "check-in", json!({"room": "1"})).await.expect_problem(409, "room-occupied");
    act(&hotel, "b2", "check-in", json!({"room": "9"})).await.expect_problem(409, "unknown-room");
    act(&hotel, "b2", "check-out", json!({})).await.expect_problem(409, "not-checked-in");
    act(&hotel, "b2", "check-in", json!({"room": "2"})).await.expect(200);
    let left = act(&hotel, "b1", "check-out", json!({})).await.expect(200);
    assert_eq!((&left.body["status"], &left.body["version"]), (&json!("CHECKED_OUT"), &json!(3)));
    act(&hotel, "b1", "check-out", json!({})).await.expect_problem(409, "checked-out");

    // Who leaves early leaves the room to others.
    confirmed(&hotel, "b3", 0, 2).await;
    act(&hotel, "b3", "check-in", json!({})).await.expect(200);
    hotel.service.post(BOOKINGS, &booking("b4", 1, 1)).await.expect_problem(409, "no-room");
    let events = hotel.outbox("direct_booking").await;
    let story: Vec<_> = events.iter().filter(|row| row.aggregateid == "b1").map(|row| row.ty.as_str()).collect();
    assert_eq!(
        story,
        ["BookingMadeOnAccount", "GuestCheckedIn", "GuestCheckedOut"]
            .map(|event| format!("hotel.direct-booking.{event}.v1"))
    );
}

#[tokio::test]
async fn nobody_comes_before_the_day_or_without_a_confirmed_booking() {
    let hotel = Hotel::open_for_bookings("too early", 2).await;
    confirmed(&hotel, "b1", 1, 2).await;
    act(&hotel, "b1", "check-in", json!({})).await.expect_problem(409, "too-early");
    hotel.service.post(BOOKINGS, &booking("b2", 0, 1)).await.expect(202);
    act(&hotel, "b2", "check-in", json!({})).await.expect_problem(409, "not-yet-confirmed");
    act(&hotel, "none", "check-in", json!({})).await.expect_problem(404, "not-found");
    let at = |version: u32| [("if-match", format!("\"1-{version}\""))];
    let stale = at(7);
    let headers: Vec<_> = stale.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let path = format!("{BOOKINGS}/b1/check-out");
    hotel.service.post_with(&path, &json!({}), &headers).await.expect_problem(412, "precondition-failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_who_come_at_once_do_not_get_the_same_room() {
    let hotel = Hotel::open_for_bookings("all at once", 6).await;
    for guest in 0..6 {
        confirmed(&hotel, &format!("b{guest}"), 0, 1).await;
    }
    let arrivals = join_all((0..6).map(async |guest| act(&hotel, &format!("b{guest}"), "check-in", json!({})).await));
    let mut rooms: Vec<_> =
        arrivals.await.into_iter().map(|answer| answer.expect(200).body["room"].as_str().unwrap().to_owned()).collect();
    rooms.sort();
    assert_eq!(rooms, ["1", "2", "3", "4", "5", "6"]);
}

#[tokio::test]
async fn a_booking_that_nobody_pays_expires_and_its_room_is_free_again() {
    let place = Place::open_with("expiry", |settings| {
        let surroundings = Surroundings { booking_expiry: Duration::from_secs(1), ..settings.surroundings };
        Settings { surroundings, ..settings }
    })
    .await;
    place.hotel.define_rooms("single", 1).await;
    let wish = |id: &str| {
        let mut wish = booking(id, 1, 2);
        wish["roomTypeId"] = json!("single");
        wish
    };
    let service = &place.hotel.service;
    let made = service.post(BOOKINGS, &wish("b1")).await.expect(202);
    let expired = place.booking_is("b1", "EXPIRED").await;
    assert_eq!(expired["version"], 2);
    service.post(BOOKINGS, &wish("b2")).await.expect(202);
    // Payments does not wait for the card any more; the story goes on where it began.
    place.payment_is("b1", "CANCELLED").await;
    for schema in ["direct_booking", "payments"] {
        let rows = place.hotel.outbox(schema).await;
        for row in rows.iter().filter(|row| row.aggregateid == "b1") {
            assert_eq!(row.headers["ce_correlationid"], made.header("x-correlation-id"), "{}", row.ty);
        }
    }
    act(&place.hotel, "b1", "cancel", json!({})).await.expect_problem(409, "expired");
    assert_eq!(place.ledger().await.get("b1"), None);
}
