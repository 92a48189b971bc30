//! Payments: charged once, whatever the third party does, and what follows from it for the booking. The third party is the
//! stand-in, over real HTTP; "once" is what its ledger says.

use std::time::Duration;

use contracts::{
    accounts::{CARD, CardEvent},
    envelope::{AggregateVersion, Envelope, TraceContext},
};
use serde_json::json;
use servers::eventually;
use uuid::Uuid;
use write_service::{Settings, Surroundings};

use crate::{
    fixture::{DEADLINE, account, booking, record},
    place::{BOOKINGS, Place},
};

#[tokio::test]
async fn a_booking_is_pending_until_its_card_was_charged_and_then_confirmed() {
    let place = Place::open("charged").await;
    place.open_account().await;
    place.name_card("tok_ada").await.expect(200);
    let made = place.book("b1").await;
    assert_eq!(made.body["status"], "PENDING");
    let confirmed = place.booking_is("b1", "CONFIRMED").await;
    assert_eq!(confirmed["version"], 2);
    let payment = place.payment_is("b1", "TAKEN").await;
    assert_eq!(payment["amount"], json!({"amountMinor": 15_000, "currency": "EUR"}));
    assert_eq!(place.ledger().await["b1"], ["charge succeeded"]);
    // One story from the command to its end.
    let story = made.header("x-correlation-id");
    for (schema, id) in [("direct_booking", "b1"), ("payments", "b1")] {
        let rows = place.hotel.outbox(schema).await;
        for row in rows.iter().filter(|row| row.aggregateid == id) {
            assert_eq!(row.headers["ce_correlationid"], story, "{}", row.ty);
        }
    }
}

#[tokio::test]
async fn what_costs_nothing_is_confirmed_at_once_and_never_charged() {
    let place = Place::open("free").await;
    let mut free = booking("b1", 1, 2);
    free["nightlyRate"]["amountMinor"] = json!(0);
    let made = place.hotel.service.post(BOOKINGS, &free).await.expect(201);
    assert_eq!(made.body["status"], "CONFIRMED");
    place.book("b2").await;
    place.payment_is("b2", "AWAITING_CARD").await;
    place.hotel.service.get("/payments/payments/b1").await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn late_card_details_are_waited_for() {
    let place = Place::open("late card").await;
    place.open_account().await;
    place.book("b1").await;
    place.payment_is("b1", "AWAITING_CARD").await;
    place.name_card("tok_ada").await.expect(200);
    place.booking_is("b1", "CONFIRMED").await;
    assert_eq!(place.ledger().await["b1"], ["charge succeeded"]);
}

#[tokio::test]
async fn after_a_decline_another_card_may_be_tried() {
    let place = Place::open("second card").await;
    place.open_account().await;
    place.name_card("tok_insufficient").await.expect(200);
    place.book("b1").await;
    let waiting = place.payment_is("b1", "AWAITING_CARD").await;
    assert_eq!(waiting["declineReason"], "insufficient-funds");
    assert_eq!(place.document(&format!("{BOOKINGS}/b1")).await["status"], "PENDING");
    place.name_card("tok_good").await.expect(200);
    place.booking_is("b1", "CONFIRMED").await;
    assert_eq!(place.ledger().await["b1"], ["charge declined", "charge succeeded"]);
}

#[tokio::test]
async fn a_wait_for_a_card_ends_and_the_room_is_free_again() {
    let place = Place::open_with("no card", |settings| {
        let surroundings = Surroundings { card_wait: Duration::from_secs(1), ..settings.surroundings };
        Settings { surroundings, ..settings }
    })
    .await;
    place.hotel.define_rooms("single", 1).await;
    let wish = |id: &str| {
        let mut wish = booking(id, 1, 2);
        wish["roomTypeId"] = json!("single");
        wish
    };
    place.hotel.service.post(BOOKINGS, &wish("b1")).await.expect(202);
    place.hotel.service.post(BOOKINGS, &wish("b2")).await.expect_problem(409, "no-room");
    let rejected = place.booking_is("b1", "REJECTED").await;
    assert_eq!(rejected["rejection"], "no-card");
    place.hotel.service.post(BOOKINGS, &wish("b2")).await.expect(202);
    place.hotel.service.post(&format!("{BOOKINGS}/b1/cancel"), &json!({})).await.expect_problem(409, "rejected");
    assert_eq!(place.ledger().await.get("b1"), None);
}

#[tokio::test]
async fn a_cancelled_booking_is_given_its_money_back_also_when_the_charge_was_under_way() {
    let place = Place::open("refund").await;
    place.open_account().await;
    place.name_card("tok_ada").await.expect(200);
    place.book("b1").await;
    place.booking_is("b1", "CONFIRMED").await;
    place.cancel("b1").await;
    place.payment_is("b1", "REFUNDED").await;

    place.behave(json!({"mode": "slow", "delayMs": 1_500, "times": 1})).await;
    place.book("b2").await;
    eventually("the charge to be under way", DEADLINE, async || {
        place.relay().await;
        place.ledger().await.contains_key("b2")
    })
    .await;
    place.cancel("b2").await;
    place.payment_is("b2", "REFUNDED").await;

    place.hotel.service.post("/accounts/accounts", &account("bob")).await.expect(201);
    place.hotel.know_account("bob", true).await;
    let mut unpaid = booking("b3", 1, 2);
    unpaid["accountId"] = json!("bob");
    place.hotel.service.post(BOOKINGS, &unpaid).await.expect(202);
    place.payment_is("b3", "AWAITING_CARD").await;
    place.cancel("b3").await;
    place.payment_is("b3", "CANCELLED").await;
    let ledger = place.ledger().await;
    for id in ["b1", "b2"] {
        assert_eq!(ledger[id], ["charge succeeded", "refund succeeded"]);
        assert_eq!(place.document(&format!("{BOOKINGS}/{id}")).await["status"], "CANCELLED");
    }
    assert_eq!(ledger.get("b3"), None);
}

#[tokio::test]
async fn a_third_party_that_fails_hangs_up_or_is_slow_charges_each_booking_once() {
    let place = Place::open("misbehaving").await;
    place.open_account().await;
    place.name_card("tok_ada").await.expect(200);
    for (at, mode) in ["drop-after-commit", "fail", "drop-before-commit", "slow"].iter().enumerate() {
        place.behave(json!({"mode": mode, "delayMs": 300, "times": 4})).await;
        for n in 0..4 {
            place.book(&format!("b{at}{n}")).await;
        }
        for n in 0..4 {
            place.booking_is(&format!("b{at}{n}"), "CONFIRMED").await;
        }
    }
    let ledger = place.ledger().await;
    assert_eq!(ledger.len(), 16);
    assert!(ledger.values().all(|done| *done == ["charge succeeded"]), "{ledger:?}");
}

#[tokio::test]
async fn the_queue_of_payments_and_its_breaker_are_seen_at_metrics() {
    let place = Place::open("queue metrics").await;
    let service = &place.hotel.service;
    let of = |name: &str, more: &str| {
        format!("third_party_{name}{{context=\"payments\",third_party=\"card-processor\"{more}}}")
    };
    let breaker = |state: &str| of("breaker_state", &format!(",state=\"{state}\""));
    let attempts = |outcome: &str| of("attempts_total", &format!(",outcome=\"{outcome}\""));
    service.metric_is(&of("waiting", ""), |waiting| waiting == 0.0).await;
    service.metric_is(&breaker("closed"), |is| is == 1.0).await;
    place.open_account().await;
    place.name_card("tok_ada").await.expect(200);

    place.behave(json!({"mode": "fail"})).await;
    for n in 0..8 {
        place.book(&format!("b{n}")).await;
    }
    place.relay().await;
    service.metric_is(&of("waiting", ""), |waiting| waiting == 8.0).await;
    service.metric_is(&breaker("open"), |is| is == 1.0).await;
    assert!(service.metric(&attempts("unknown")).await.unwrap() >= 5.0);
    service.metric_is(&of("oldest_waiting_seconds", ""), |age| age > 1.0).await;

    place.behave(json!({"mode": "normal"})).await;
    for n in 0..8 {
        place.booking_is(&format!("b{n}"), "CONFIRMED").await;
    }
    service.metric_is(&of("waiting", ""), |waiting| waiting == 0.0).await;
    service.metric_is(&of("oldest_waiting_seconds", ""), |age| age == 0.0).await;
    service.metric_is(&breaker("closed"), |is| is == 1.0).await;
    service.metric_is(&breaker("open"), |is| is == 0.0).await;
    assert_eq!(service.metric(&attempts("done")).await, Some(8.0));
    // Whose card it is, and which, is nobody's business here.
    let text = String::from_utf8(service.get("/metrics").await.bytes).unwrap();
    assert!(!text.contains("ada"), "{text}");
}

#[tokio::test]
async fn events_that_come_twice_change_nothing() {
    let place = Place::open("twice").await;
    place.open_account().await;
    place.name_card("tok_ada").await.expect(200);
    place.book("b1").await;
    place.booking_is("b1", "CONFIRMED").await;
    place.publish_again();
    place.relay().await;
    // What comes behind the repetitions in each partition has been dealt with: so have they.
    for id in 2..20 {
        place.book(&format!("b{id}")).await;
    }
    for id in 2..20 {
        place.booking_is(&format!("b{id}"), "CONFIRMED").await;
    }
    let ledger = place.ledger().await;
    assert!(ledger.values().all(|done| *done == ["charge succeeded"]), "{ledger:?}");
    assert_eq!(place.document(&format!("{BOOKINGS}/b1")).await["version"], 2);
}

/// Given a payer whose card is gone, when word of the card comes once more, as where the topic is read again from its beginning,
/// then nothing is charged.
#[tokio::test]
async fn a_card_that_is_gone_is_not_charged_though_word_of_it_comes_again() {
    let place = Place::open_with("gone card", |mut settings| {
        settings.contexts.retain(|(context, _)| context.name != "accounts");
        settings
    })
    .await;
    let version = [AggregateVersion::FIRST, AggregateVersion::FIRST.next()];
    let named = json!({"accountId": "ada", "version": 1, "cardToken": "tok_ada"}).to_string();
    let first = record(&of_card(version[0]), Some(named));
    let heard = async |count: i64| {
        let sql =
            "select coalesce(sum(next_offset), 0)::bigint from payments.inbox_offset where handler = 'payments.cards'";
        eventually("word of the card", DEADLINE, async || place.hotel.number(sql).await == count).await;
    };
    place.hotel.publish(CARD, vec![first.clone(), record(&of_card(version[1]), None)]).await;
    heard(2).await;
    place.book("b1").await;
    place.payment_is("b1", "AWAITING_CARD").await;
    place.hotel.publish(CARD, vec![first]).await;
    heard(3).await;
    place.payment_is("b1", "AWAITING_CARD").await;
    assert_eq!(place.hotel.number("select count(*) from payments.operation").await, 0);
}

fn of_card(version: AggregateVersion) -> Envelope {
    Envelope {
        id: Uuid::now_v7(),
        source: contracts::accounts::SOURCE.to_owned(),
        ty: CardEvent::CardDetailsChanged.ty().to_owned(),
        subject: "ada".to_owned(),
        sequence: Some(version),
        time: chrono::Utc::now(),
        dataschema: None,
        correlation_id: None,
        causation_id: None,
        valid_until: None,
        trace: TraceContext::default(),
        position: None,
    }
}

#[tokio::test]
async fn payments_are_taken_while_accounts_is_down() {
    let place = Place::open_with("accounts down", |mut settings| {
        settings.contexts.retain(|(context, _)| context.name != "accounts");
        settings
    })
    .await;
    place.hotel.service.get("/accounts/accounts/ada").await.expect(404);
    let card = json!({"accountId": "ada", "version": 1, "cardToken": "tok_ada"});
    let envelope = of_card(AggregateVersion::FIRST);
    place.hotel.publish(CARD, vec![record(&envelope, Some(card.to_string()))]).await;
    place.book("b1").await;
    place.booking_is("b1", "CONFIRMED").await;
    assert_eq!(place.ledger().await["b1"], ["charge succeeded"]);
}

#[tokio::test]
async fn a_card_number_never_enters() {
    let place = Place::open("card numbers").await;
    place.open_account().await;
    for number in ["4242424242424242", "4242-4242-4242-4242", "378282246310005"] {
        let refused = place.name_card(number).await.expect_problem(422, "invalid-fields");
        assert_eq!(refused.pointers(), ["/cardToken"]);
        assert!(!refused.body.to_string().contains(number));
    }
    for token in ["", "a b", "tok/1", &"x".repeat(65)] {
        place.name_card(token).await.expect_problem(422, "invalid-fields");
    }
    place.name_card("4242424242424241").await.expect(200);
    place.hotel.service.post("/accounts/accounts/ada/close", &json!({})).await.expect(200);
    place.name_card("tok_late").await.expect_problem(409, "account-closed");
}
