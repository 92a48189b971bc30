//! Room types, whose contract has two versions: a change is told in both or in neither, and they say the same.

use std::collections::BTreeSet;

use contracts::direct_booking::{ROOM_TYPE, RoomTypeDocument, RoomTypeEvent, v1};
use serde_json::json;

use crate::fixture::Hotel;

const ROOM_TYPES: &str = "/direct-booking/room-types";
const ADD_ROOMS: &str = "/direct-booking/room-types/double/add-rooms";

#[tokio::test]
async fn a_change_is_told_in_both_versions_by_one_transaction() {
    let hotel = Hotel::open("two versions").await;
    let define = json!({"roomTypeId": "double", "name": "Double", "rooms": [{"number": "1", "stepFree": true}, "2"]});
    let add = json!({"rooms": [{"number": "3"}, {"number": "4", "stepFree": true}]});
    hotel.service.post(ROOM_TYPES, &define).await.expect(201);
    let added = hotel.service.post(ADD_ROOMS, &add).await.expect(200);

    let told = hotel.outbox("direct_booking").await;
    assert_eq!(told.len(), 4);
    for (both, event) in told.chunks(2).zip([RoomTypeEvent::RoomTypeDefined, RoomTypeEvent::RoomsAdded]) {
        let [new, old] = both else { panic!("not two") };
        assert_eq!([&new.aggregatetype, &old.aggregatetype], [ROOM_TYPE.name, v1::ROOM_TYPE.name]);
        assert_eq!([&new.ty, &old.ty], [event.ty(), event.downcast().ty()]);
        assert_eq!((&new.aggregateid, new.version), (&old.aggregateid, old.version));
        assert_ne!(new.id, old.id);
        for header in ["ce_correlationid", "ce_causationid"] {
            assert_eq!(new.headers[header], old.headers[header]);
        }
        assert!(new.headers["ce_dataschema"].ends_with("/hotel.direct-booking.room-type.v2.json"));
        assert!(old.headers["ce_dataschema"].ends_with("/hotel.direct-booking.room-type.v1.json"));
        let document: RoomTypeDocument = serde_json::from_str(new.text.as_ref().unwrap()).unwrap();
        let older: v1::RoomTypeDocument = serde_json::from_str(old.text.as_ref().unwrap()).unwrap();
        assert_eq!(document.downcast(), older);
    }
    let transactions = "select count(distinct xmin::text) from direct_booking.outbox";
    assert_eq!(hotel.number(transactions).await, 2);

    let promised = |number, step_free| json!({"number": number, "stepFree": step_free});
    let rooms = [promised("1", true), promised("2", false), promised("3", false), promised("4", true)];
    assert_eq!(added.body["rooms"], json!(rooms));
    assert_eq!(told[2].text.as_ref().unwrap().as_bytes(), added.bytes);
}

#[tokio::test]
async fn what_cannot_be_told_in_the_old_version_does_not_happen() {
    let hotel = Hotel::open_for_bookings("neither version", 2).await;
    let written = hotel.written().await;
    let no_more = "alter table direct_booking.outbox
        add constraint no_more check (aggregatetype <> 'hotel.direct-booking.room-type.v1') not valid";
    hotel.admin.batch_execute(no_more).await.unwrap();
    let answer = hotel.service.post(ADD_ROOMS, &json!({"rooms": ["3"]})).await;
    assert!(answer.status >= 500, "{answer:?}");
    assert_eq!(hotel.written().await, written);
    assert_eq!(hotel.service.get("/direct-booking/room-types/double").await.body["version"], 1);
}

#[tokio::test]
async fn of_a_room_type_of_before_nothing_is_promised_and_its_old_tag_is_not_current() {
    let hotel = Hotel::open("of before").await;
    let before = "insert into direct_booking.room_type (room_type_id, version, name, rooms) values ('double', 1, 'Double', '{1,2}')";
    hotel.admin.batch_execute(before).await.unwrap();
    let path = "/direct-booking/room-types/double";
    let get = |tag: &'static str| hotel.service.send(hotel.service.request("GET", path).header("if-none-match", tag));
    let answer = get("\"1-1\"").await.expect(200);
    let rooms = ["1", "2"].map(|number| json!({"number": number, "stepFree": false}));
    assert_eq!((&answer.body["rooms"], answer.header("etag")), (&json!(rooms), "\"2-1\""));
    get("\"2-1\"").await.expect(304);

    hotel.service.post_with(ADD_ROOMS, &json!({"rooms": ["3"]}), &[("if-match", "\"1-1\"")]).await.expect(412);
    let more = json!({"rooms": [{"number": "3", "stepFree": true}]});
    hotel.service.post_with(ADD_ROOMS, &more, &[("if-match", "\"2-1\"")]).await.expect(200);
    let told: BTreeSet<_> = hotel.outbox("direct_booking").await.into_iter().map(|row| row.aggregatetype).collect();
    assert_eq!(told, [ROOM_TYPE.name, v1::ROOM_TYPE.name].map(str::to_owned).into());
}
