//! Guests without an account: they book with a card of their own, and are forgotten when they ask for it.

use contracts::direct_booking::{GUEST, GUEST_CARD};
use serde_json::json;

use crate::{
    fixture::{Hotel, booking, by_guest},
    place::{BOOKINGS, Place},
};

#[tokio::test]
async fn a_guest_is_charged_on_a_card_of_the_guests_own() {
    let place = Place::open("guest").await;
    let made = place.hotel.service.post(BOOKINGS, &by_guest("b1", "zoe")).await.expect(202);
    assert_eq!(made.body["bookedBy"], json!({"kind": "GUEST", "guestId": "zoe"}));
    let payment = place.payment_is("b1", "TAKEN").await;
    assert_eq!(payment["payer"], json!({"kind": "GUEST", "guestId": "zoe"}));
    place.booking_is("b1", "CONFIRMED").await;
    assert_eq!(place.ledger().await["b1"], ["charge succeeded"]);

    // The card is on its own topic, and nothing personal on any other but the guest's.
    for row in place.hotel.outbox("direct_booking").await {
        let text = row.text.unwrap();
        assert_eq!(text.contains("tok_zoe"), row.aggregatetype == GUEST_CARD.name, "{text}");
        assert_eq!(text.contains("zoe@example.org"), row.aggregatetype == GUEST.name, "{text}");
    }
}

#[tokio::test]
async fn an_account_and_a_guest_of_the_same_id_have_cards_of_their_own() {
    let place = Place::open("same id").await;
    place.open_account().await;
    place.name_card("tok_insufficient").await.expect(200);
    place.hotel.service.post(BOOKINGS, &by_guest("b1", "ada")).await.expect(202);
    place.book("b2").await;
    place.booking_is("b1", "CONFIRMED").await;
    place.payment_is("b2", "AWAITING_CARD").await;
}

#[tokio::test]
async fn a_booking_is_made_by_an_account_or_a_guest() {
    let hotel = Hotel::open_for_bookings("one of them", 5).await;
    let written = hotel.written().await;
    let mut both = by_guest("b1", "zoe");
    both["accountId"] = json!("ada");
    let mut none = booking("b1", 1, 1);
    none.as_object_mut().unwrap().remove("accountId");
    let mut number = by_guest("b1", "zoe");
    number["guest"]["cardToken"] = json!("4111-1111-1111-1111");
    for (body, pointer) in [(both, "/guest"), (none, "/accountId"), (number, "/guest/cardToken")] {
        let refused = hotel.service.post(BOOKINGS, &body).await.expect_problem(422, "invalid-fields");
        assert_eq!(refused.pointers(), [pointer]);
    }
    assert_eq!(hotel.written().await, written);
    // A guest whose booking is refused is not kept.
    let mut unknown = by_guest("b1", "zoe");
    unknown["roomTypeId"] = json!("suite");
    hotel.service.post(BOOKINGS, &unknown).await.expect_problem(409, "unknown-room-type");
    assert_eq!(hotel.number("select count(*) from direct_booking.guest").await, 0);
}

#[tokio::test]
async fn a_guest_is_forgotten_everywhere_but_not_while_expected() {
    let place = Place::open("erase").await;
    let service = &place.hotel.service;
    service.post(BOOKINGS, &by_guest("b1", "zoe")).await.expect(202);
    place.booking_is("b1", "CONFIRMED").await;
    let guest = service.get("/direct-booking/guests/zoe").await.expect(200);
    assert_eq!(guest.body["email"], "zoe@example.org");
    let erase = "/direct-booking/guests/zoe/erase";
    service.post(erase, &json!({})).await.expect_problem(409, "guest-expected");
    place.cancel("b1").await;
    place.payment_is("b1", "REFUNDED").await;

    let erased = service.post(erase, &json!({})).await.expect(204);
    assert!(erased.bytes.is_empty() && erased.headers.contains_key("read-after"), "{erased:?}");
    service.get("/direct-booking/guests/zoe").await.expect_problem(404, "not-found");
    service.post(erase, &json!({})).await.expect_problem(404, "not-found");
    let rows = place.hotel.outbox("direct_booking").await;
    for topic in [GUEST, GUEST_CARD] {
        let last = rows.iter().rfind(|row| row.aggregatetype == topic.name).unwrap();
        assert_eq!((&last.text, last.version), (&None, 2), "{}", topic.name);
    }
    let left = "select count(*) from direct_booking.guest left join direct_booking.guest_card using (guest_id)
        where num_nonnulls(name, email, card_token) > 0";
    assert_eq!(place.hotel.number(left).await, 0);

    // Payments forgets the card; and nobody becomes that guest again.
    let kept = "select count(*) from payments.card where card_token is not null";
    servers::eventually("the card is forgotten", crate::fixture::DEADLINE, async || {
        place.relay().await;
        place.hotel.number(kept).await == 0
    })
    .await;
    service.post(BOOKINGS, &by_guest("b2", "zoe")).await.expect_problem(409, "already-exists");
}
