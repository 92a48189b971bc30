//! What a command answers, a GET answers too, with an entity tag by which both can be made conditional.

use contracts::{accounts::AccountDocument, direct_booking::BookingDocument};
use serde_json::json;

use crate::fixture::{Hotel, account, booking, day, details, token};

#[tokio::test]
async fn an_account_is_opened_changed_and_closed() {
    let hotel = Hotel::open("an account's life").await;
    let service = &hotel.service;

    let opened = service.post("/accounts/accounts", &account("ada")).await.expect(201);
    assert_eq!(opened.header("location"), "/accounts/accounts/ada");
    assert_eq!(opened.header("etag"), "\"1-1\"");
    assert_eq!((token(&opened).subject.as_str(), token(&opened).version.get()), ("ada", 1));
    assert_eq!(opened.header("x-correlation-id").len(), 36);
    let mut document = account("ada");
    document["version"] = json!(1);
    document["status"] = json!("OPEN");
    assert_eq!(opened.body, document);

    let changed = service.post("/accounts/accounts/ada/change-details", &details("Brugge")).await.expect(200);
    assert_eq!(changed.header("etag"), "\"1-2\"");
    assert!(!changed.headers.contains_key("location"));
    assert_eq!(changed.body["address"]["city"], "Brugge");

    let closed = service.send(service.command("/accounts/accounts/ada/close")).await.expect(200);
    assert_eq!((&closed.body["status"], &closed.body["version"]), (&json!("CLOSED"), &json!(3)));
    let got = service.get("/accounts/accounts/ada").await.expect(200);
    assert_eq!(got.bytes, closed.bytes);
    assert!(serde_json::from_slice::<AccountDocument>(&got.bytes).is_ok());

    let written = hotel.written().await;
    service.post("/accounts/accounts/ada/close", &json!({})).await.expect_problem(409, "account-closed");
    service.post("/accounts/accounts/ada/change-details", &details("X")).await.expect_problem(409, "account-closed");
    assert_eq!(hotel.written().await, written);
}

#[tokio::test]
async fn room_types_and_bookings_answer_their_documents() {
    let hotel = Hotel::open("documents").await;
    let service = &hotel.service;
    hotel.know_account("ada", true).await;

    let rooms = json!({"roomTypeId": "double", "name": "Double", "rooms": ["101", "102"]});
    let defined = service.post("/direct-booking/room-types", &rooms).await.expect(201);
    assert_eq!(defined.header("location"), "/direct-booking/room-types/double");
    let added =
        service.post("/direct-booking/room-types/double/add-rooms", &json!({"rooms": ["0", "103"]})).await.expect(200);
    let rooms = ["101", "102", "0", "103"].map(|number| json!({"number": number, "stepFree": false}));
    assert_eq!(added.body, json!({"roomTypeId": "double", "version": 2, "name": "Double", "rooms": rooms}));
    assert_eq!(service.get("/direct-booking/room-types/double").await.bytes, added.bytes);
    let again = service.post("/direct-booking/room-types/double/add-rooms", &json!({"rooms": ["7", "103"]})).await;
    assert!(again.expect_problem(409, "room-exists").body["detail"].as_str().unwrap().contains("103"));

    let made = service.post("/direct-booking/bookings", &booking("b1", 3, 4)).await.expect(202);
    assert_eq!(made.header("location"), "/direct-booking/bookings/b1/outcome");
    assert_eq!(made.body["total"], json!({"amountMinor": 30_000, "currency": "EUR"}));
    assert_eq!(made.body["guests"], json!({"adults": 2, "children": 0, "babies": 0}));
    assert_eq!((&made.body["status"], &made.body["checkOut"]), (&json!("PENDING"), &json!(day(7))));
    assert_eq!(service.get("/direct-booking/bookings/b1").await.bytes, made.bytes);
    let cancelled = service.post("/direct-booking/bookings/b1/cancel", &json!({})).await.expect(200);
    assert_eq!((&cancelled.body["status"], &cancelled.body["version"]), (&json!("CANCELLED"), &json!(2)));
    assert_eq!(service.get("/direct-booking/bookings/b1").await.bytes, cancelled.bytes);
    assert!(serde_json::from_slice::<BookingDocument>(&cancelled.bytes).is_ok());
}

#[tokio::test]
async fn an_id_is_made_when_none_is_given_and_never_used_twice() {
    let hotel = Hotel::open_for_bookings("ids", 5).await;
    let service = &hotel.service;
    let opened = service.post("/accounts/accounts", &details("Gent")).await.expect(201);
    let id = opened.body["accountId"].as_str().unwrap();
    assert_eq!(id.len(), 36);
    assert_eq!(service.get(opened.header("location")).await.expect(200).bytes, opened.bytes);

    service.post("/direct-booking/bookings", &booking("b1", 1, 1)).await.expect(202);
    let written = hotel.written().await;
    service.post("/accounts/accounts", &account(id)).await.expect_problem(409, "already-exists");
    service.post("/direct-booking/bookings", &booking("b1", 5, 1)).await.expect_problem(409, "already-exists");
    let rooms = json!({"roomTypeId": "double", "name": "Double", "rooms": ["9"]});
    service.post("/direct-booking/room-types", &rooms).await.expect_problem(409, "already-exists");
    assert_eq!(hotel.written().await, written);
}

#[tokio::test]
async fn a_document_that_the_client_has_is_not_sent_again() {
    let hotel = Hotel::open("not modified").await;
    let service = &hotel.service;
    service.post("/accounts/accounts", &account("ada")).await.expect(201);
    let get = |method: &str, tags: &str| {
        service.send(service.request(method, "/accounts/accounts/ada").header("if-none-match", tags))
    };

    for tags in ["\"1-1\"", "W/\"1-1\"", "\"1-9\", \"1-1\"", "*"] {
        let answer = get("GET", tags).await.expect(304);
        assert!(answer.bytes.is_empty());
        assert_eq!(answer.header("etag"), "\"1-1\"");
    }
    for tags in ["\"1-2\"", "1-1", ""] {
        assert_eq!(get("GET", tags).await.expect(200).header("etag"), "\"1-1\"");
    }
    let head = get("HEAD", "\"1-2\"").await.expect(200);
    assert!(head.bytes.is_empty());
    assert_eq!((head.header("etag"), head.header("content-type")), ("\"1-1\"", "application/json"));
    get("HEAD", "\"1-1\"").await.expect(304);

    service.post("/accounts/accounts/ada/change-details", &details("Brugge")).await.expect(200);
    assert_eq!(get("GET", "\"1-1\"").await.expect(200).body["version"], 2);
}

#[tokio::test]
async fn a_command_meant_for_another_version_has_no_effect() {
    let hotel = Hotel::open_for_bookings("preconditions", 5).await;
    let service = &hotel.service;
    service.post("/accounts/accounts", &account("ada")).await.expect(201);
    service.post("/direct-booking/bookings", &booking("b1", 1, 1)).await.expect(202);
    let written = hotel.written().await;
    let commands = [
        ("/accounts/accounts/ada/change-details", details("Brugge")),
        ("/accounts/accounts/ada/close", json!({})),
        ("/direct-booking/room-types/double/add-rooms", json!({"rooms": ["new"]})),
        ("/direct-booking/bookings/b1/cancel", json!({})),
    ];
    for (path, body) in &commands {
        for tag in ["\"1-2\"", "W/\"1-1\"", "1-1", ""] {
            service.post_with(path, body, &[("if-match", tag)]).await.expect_problem(412, "precondition-failed");
        }
    }
    assert_eq!(hotel.written().await, written);
    service.post_with(commands[0].0, &commands[0].1, &[("if-match", "\"1-1\"")]).await.expect(200);
    service.post_with(commands[1].0, &commands[1].1, &[("if-match", "*")]).await.expect(200);
}
