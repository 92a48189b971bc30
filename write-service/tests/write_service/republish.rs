//! What is told again: as it is, under its lock, to copies and not to processes.

use std::collections::BTreeMap;

use contracts::direct_booking::{ROOM_TYPE, v1};
use futures::FutureExt;
use serde_json::{Value, json};
use telemetry::database::Database;
use write_service::{Selection, contexts, republish};

use crate::{
    fixture::{DEADLINE, Hotel, OutboxRow, account, booking, by_guest, connect, details, rate_plan},
    place::{BOOKINGS, Place},
};

async fn again(hotel: &Hotel, context: &str, selection: &Selection) {
    let database = Database::parse(&hotel.login.url).unwrap();
    republish(contexts::named(context).unwrap(), &database, selection, |_, _| {}).await.unwrap();
}

async fn told_again(hotel: &Hotel, schema: &str) -> Vec<OutboxRow> {
    hotel.outbox(schema).await.into_iter().filter(|row| row.ty.contains("Restated.")).collect()
}

#[tokio::test]
async fn everything_is_told_as_it_is_with_the_version_that_it_has() {
    let hotel = Hotel::open_for_bookings("told again", 3).await;
    let service = &hotel.service;
    service.post("/accounts/accounts", &account("ada")).await.expect(201);
    service.post("/accounts/accounts/ada/change-details", &details("Brugge")).await.expect(200);
    service.post("/accounts/accounts/ada/change-card-details", &json!({"cardToken": "tok_ada"})).await.expect(200);
    service.post("/direct-booking/rate-plans", &rate_plan("flexible", 1)).await.expect(201);
    service.post(BOOKINGS, &booking("b1", 1, 1)).await.expect(202);
    service.post(BOOKINGS, &by_guest("b2", "zoe")).await.expect(202);
    service.post(&format!("{BOOKINGS}/b2/cancel"), &json!({})).await.expect(200);
    service.post("/direct-booking/guests/zoe/erase", &json!({})).await.expect(204);
    for schema in ["accounts", "direct_booking"] {
        let before = hotel.outbox(schema).await;
        again(&hotel, &schema.replace('_', "-"), &Selection::default()).await;
        let told = told_again(&hotel, schema).await;
        // Of each aggregate exactly once what was told of it last.
        let mut last = BTreeMap::new();
        for row in &before {
            last.insert((row.aggregatetype.clone(), row.aggregateid.clone()), (row.version, row.text.clone()));
        }
        assert_eq!(told.len(), last.len());
        for row in told {
            let (version, text) = &last[&(row.aggregatetype.clone(), row.aggregateid.clone())];
            assert_eq!((row.version, &row.text), (*version, text), "{}", row.ty);
        }
    }
    let one = Selection { topic: Some("hotel.accounts.account.v1".into()), id: Some("ada".into()), raise_version: 10 };
    again(&hotel, "accounts", &one).await;
    let raised = told_again(&hotel, "accounts").await.pop().unwrap();
    assert_eq!((raised.aggregateid.as_str(), raised.version), ("ada", 12));
    let document: Value = serde_json::from_str(&raised.text.unwrap()).unwrap();
    assert_eq!(document, service.get("/accounts/accounts/ada").await.body);
    // Every version of its contract, though one is named, and both with the same version of the room type.
    let topics = [ROOM_TYPE.name, v1::ROOM_TYPE.name].map(str::to_owned);
    for (told, topic) in topics.iter().enumerate() {
        let both = Selection { topic: Some(topic.clone()), id: Some("double".into()), raise_version: 10 };
        again(&hotel, "direct-booking", &both).await;
        let raised = told_again(&hotel, "direct_booking").await;
        let last =
            raised.iter().rev().take(2).map(|row| (row.aggregatetype.clone(), row.version)).collect::<BTreeMap<_, _>>();
        let version = 1 + 10 * (told as i64 + 1);
        assert_eq!(last, topics.clone().map(|topic| (topic, version)).into());
    }
    service.post("/accounts/accounts/ada/close", &json!({})).await.expect(200);
    assert_eq!(service.get("/accounts/accounts/ada").await.body["version"], 13);
}

#[tokio::test]
async fn a_newer_version_cannot_be_overtaken() {
    let hotel = Hotel::open("overtaken").await;
    hotel.service.post("/accounts/accounts", &account("ada")).await.expect(201);
    let mut admin = connect(&hotel.admin_url).await;
    let change = admin.transaction().await.unwrap();
    change
        .execute("update accounts.account set version = 2, city = 'Brugge' where account_id = 'ada'", &[])
        .await
        .unwrap();
    let selection = Selection::default();
    let mut telling = again(&hotel, "accounts", &selection).boxed();
    let waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    let other = connect(&hotel.admin_url).await;
    let waiting = servers::eventually("it waits for the change", DEADLINE, async || {
        other.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) > 0
    });
    tokio::select! {
        () = &mut telling => panic!("it did not wait"),
        _ = waiting => {}
    }
    change.commit().await.unwrap();
    tokio::time::timeout(DEADLINE, telling).await.unwrap();
    let told = told_again(&hotel, "accounts").await.pop().unwrap();
    assert_eq!(told.version, 2);
    assert!(told.text.unwrap().contains("Brugge"));
}

#[tokio::test]
async fn copies_are_filled_again_and_no_process_is_started() {
    let place = Place::open("copies").await;
    let hotel = &place.hotel;
    place.open_account().await;
    place.name_card("tok_ada").await.expect(200);
    place.book("b1").await;
    place.booking_is("b1", "CONFIRMED").await;
    // The copies are lost, and so is the payment: nothing shall be charged a second time because of that.
    hotel
        .admin
        .batch_execute(
            "truncate direct_booking.account_copy, payments.card; truncate payments.operation, payments.payment",
        )
        .await
        .unwrap();
    for context in ["accounts", "direct-booking"] {
        again(hotel, context, &Selection::default()).await;
    }
    let copies = "select (select count(*) from direct_booking.account_copy where version = 1)
        + (select count(*) from payments.card where version = 1)";
    servers::eventually("the copies", DEADLINE, async || {
        place.relay().await;
        hotel.number(copies).await == 2
    })
    .await;
    // What comes later comes behind what was told again.
    place.book("b2").await;
    place.booking_is("b2", "CONFIRMED").await;
    assert_eq!(hotel.number("select count(*) from payments.payment where booking_id = 'b1'").await, 0);
    assert_eq!(place.ledger().await["b1"], ["charge succeeded"]);
}
