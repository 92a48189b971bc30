//! One booking travels from HTTP to GraphQL.

use anyhow::Context;
use end_to_end::{Pipeline, account, booking};
use serde_json::{Value, json};

#[tokio::test]
async fn a_booking_travels_from_http_over_kafka_to_graphql() -> anyhow::Result<()> {
    let pipeline = Pipeline::start("booking", &[]).await?;
    let (account_document, opened) = pipeline.must("/accounts/accounts", &account("Meir 1"), None).await?;
    let double = json!({"name": "Double room", "rooms": [{"number": "101", "stepFree": true}, {"number": "102"}]});
    let (room_type, defined) = pipeline.must("/direct-booking/room-types", &double, None).await?;
    let id = |document: &Value, name: &str| document[name].as_str().map(str::to_owned).context("no id");
    let (account_id, room_type_id) = (id(&account_document, "accountId")?, id(&room_type, "roomTypeId")?);
    let wish = booking(&account_id, &room_type_id);
    let (booked, made) = pipeline.must("/direct-booking/bookings", &wish, Some(&opened)).await?;
    let booking_id = id(&booked, "bookingId")?;

    // The event carries the very document that the command answered.
    let records = pipeline.records_of("hotel.direct-booking.booking.v1").await;
    let [record] = &records[..] else { panic!("expected one record, found {records:?}") };
    assert_eq!(record.key.as_deref(), Some(booking_id.as_bytes()));
    let document: Value = serde_json::from_slice(record.value.as_deref().context("a tombstone")?)?;
    assert_eq!(document, booked);
    let headers = [
        ("ce_specversion", "1.0"),
        ("content-type", "application/json"),
        ("ce_source", "/hotel/direct-booking"),
        ("ce_type", "hotel.direct-booking.BookingMadeOnAccount.v1"),
        ("ce_subject", &booking_id),
        ("ce_sequence", "00000000000000000001"),
    ];
    for (name, value) in headers {
        assert_eq!(record.header(name), Some(value), "{name}");
    }
    for name in ["ce_id", "ce_time", "ce_correlationid", "ce_causationid", "traceparent", "position"] {
        assert!(record.header(name).is_some_and(|value| !value.is_empty()), "{name} is missing: {:?}", record.headers);
    }

    // The view answers it with the account and the room type joined in.
    let query = "query($id: ID!) { booking(id: $id) {
        bookingId version status checkIn checkOut total { amountMinor currency }
        account { accountId name address { street } } roomType { roomTypeId name rooms { number stepFree } } } }";
    let seen = pipeline.query(query, &json!({"id": booking_id}), &[&made, &opened, &defined]).await?;
    let expected = json!({
        "bookingId": booking_id, "version": 1, "status": "PENDING",
        "checkIn": wish["checkIn"], "checkOut": wish["checkOut"],
        "total": {"amountMinor": 12_500, "currency": "EUR"},
        "account": {"accountId": account_id, "name": "Ada Peeters", "address": {"street": "Meir 1"}},
        "roomType": {
            "roomTypeId": room_type_id, "name": "Double room",
            "rooms": [{"number": "101", "stepFree": true}, {"number": "102", "stepFree": false}],
        },
    });
    assert_eq!(seen["booking"], expected);

    // A change of the account is seen in the booking.
    let path = format!("/accounts/accounts/{account_id}/change-details");
    let (_, changed) = pipeline.must(&path, &account("Groenplaats 9"), None).await?;
    let seen = pipeline.query(query, &json!({"id": booking_id}), &[&changed]).await?;
    assert_eq!(seen["booking"]["account"]["address"]["street"], "Groenplaats 9");

    // And a closed account takes no more bookings, as soon as Direct booking can know.
    let (_, closed) = pipeline.must(&format!("/accounts/accounts/{account_id}/close"), &json!({}), None).await?;
    let refused = pipeline.post("/direct-booking/bookings", &wish, &[("read-after", &closed)]).await?;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(refused.body["type"].as_str().is_some_and(|ty| ty.ends_with("account-closed")), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn an_account_that_nobody_opened_is_refused_but_may_be_tried_again() -> anyhow::Result<()> {
    let pipeline = Pipeline::start("unknown", &[]).await?;
    let refused = pipeline.post("/direct-booking/bookings", &booking("nobody", "none"), &[]).await?;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(refused.headers.contains_key("retry-after"), "{refused:?}");
    assert!(refused.body["type"].as_str().is_some_and(|ty| ty.ends_with("unknown-account")), "{refused:?}");
    Ok(())
}
