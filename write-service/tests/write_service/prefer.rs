//! What is not decided yet: 202, a status resource, and the wait that a client may prefer.

use serde_json::json;

use crate::{
    fixture::{Answer, Hotel, booking},
    place::{BOOKINGS, Place},
};

#[tokio::test]
async fn what_is_not_known_yet_is_accepted_and_a_status_resource_tells_the_rest() {
    let place = Place::open("accepted").await;
    place.open_account().await;
    let made = place.book("b1").await;
    let status = made.header("location").to_owned();
    assert_eq!(status, format!("{BOOKINGS}/b1/outcome"));
    let pending = place.document(&status).await;
    assert_eq!(pending, json!({"isKnown": false, "status": "PENDING", "booking": format!("{BOOKINGS}/b1")}));
    place.name_card("tok_ada").await.expect(200);
    place.booking_is("b1", "CONFIRMED").await;
    let known = place.document(&status).await;
    assert_eq!(known, json!({"isKnown": true, "status": "CONFIRMED", "booking": format!("{BOOKINGS}/b1")}));
    place.hotel.service.get(&format!("{BOOKINGS}/none/outcome")).await.expect_problem(404, "not-found");
}

/// Sends a command under a key, with a preference, while word goes round.
async fn prefer(place: &Place, key: &str, id: &str, preference: &str) -> Answer {
    let service = &place.hotel.service;
    let request = service.request("POST", BOOKINGS).header("idempotency-key", key).header("prefer", preference);
    let answer = service.send(request.json(&booking(id, 1, 2)));
    let relay = async {
        loop {
            place.relay().await;
        }
    };
    tokio::select! {
        answer = answer => answer,
        () = relay => unreachable!(),
    }
}

#[tokio::test]
async fn a_client_that_waits_is_told_what_came_of_it_also_when_it_asks_again() {
    let place = Place::open("waits").await;
    place.open_account().await;
    // There is no card yet: the wait is in vain, and what is kept is that it was begun.
    let begun = prefer(&place, "k1", "b1", "wait=1").await.expect(202);
    assert_eq!((begun.header("preference-applied"), &begun.body["status"]), ("wait=1", &json!("PENDING")));
    place.name_card("tok_ada").await.expect(200);
    let ended = prefer(&place, "k1", "b1", "wait=8").await.expect(201);
    assert_eq!((&ended.body["status"], &ended.body["version"]), (&json!("CONFIRMED"), &json!(2)));
    assert_eq!((ended.header("location"), ended.header("etag")), ("/direct-booking/bookings/b1", "\"1-2\""));
    assert_eq!((ended.header("idempotency-replayed"), ended.header("preference-applied")), ("true", "wait=8"));
    // Without a preference it is what it was at first.
    let again = place.hotel.service.post_as("k1", BOOKINGS, &booking("b1", 1, 2)).await.expect(202);
    assert_eq!((&again.bytes, again.header("location")), (&begun.bytes, begun.header("location")));

    let ended = prefer(&place, "k2", "b2", "respond-async, wait=8").await.expect(201);
    assert_eq!(ended.body["status"], "CONFIRMED");
    let token = ended.header("read-after");
    assert_eq!(token.parse::<contracts::ReadAfter>().unwrap().version.get(), 2);
    place.name_card("tok_insufficient").await.expect(200);
    let at_once = prefer(&place, "k3", "b3", "respond-async").await.expect(202);
    assert_eq!(at_once.header("preference-applied"), "respond-async");
}

#[tokio::test]
async fn a_wait_holds_no_connection_and_a_refusal_does_not_wait() {
    let hotel = Hotel::open_with("patient", |settings| write_service::Settings { connections: 1, ..settings }).await;
    hotel.know_account("ada", true).await;
    hotel.define_rooms("double", 2).await;
    let service = &hotel.service;
    let body = booking("b1", 1, 1);
    let waiting = service.post_with(BOOKINGS, &body, &[("prefer", "wait=8")]);
    let meanwhile = async {
        // The waiting one is there, and others get the one connection.
        servers::eventually("the booking", crate::fixture::DEADLINE, async || {
            service.get(&format!("{BOOKINGS}/b1")).await.status == 200
        })
        .await;
        service
            .post_with(BOOKINGS, &booking("b1", 1, 1), &[("prefer", "wait=8")])
            .await
            .expect_problem(409, "already-exists");
        service.post(&format!("{BOOKINGS}/b1/cancel"), &json!({})).await.expect(200);
    };
    let (ended, ()) = tokio::join!(waiting, meanwhile);
    assert_eq!(ended.expect(201).body["status"], "CANCELLED");
}
