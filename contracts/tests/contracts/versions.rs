//! Two versions of a contract, published beside each other, say the same: shown on the golden samples of both.

use contracts::direct_booking::{ROOM_TYPE, Room, RoomTypeDocument, RoomTypeEvent, v1};
use proptest::prelude::*;
use serde::de::DeserializeOwned;

use crate::files::{json, names, path};

/// The sample of this name.
fn sample<D: DeserializeOwned>(topic: &str, name: &str) -> D {
    serde_json::from_value(json(&path(&format!("samples/{topic}/{name}")))).unwrap()
}

#[test]
fn the_new_samples_are_cast_down_to_the_old_ones() {
    for name in names(&format!("samples/{}", ROOM_TYPE.name)) {
        let (new, old): (RoomTypeDocument, v1::RoomTypeDocument) =
            (sample(ROOM_TYPE.name, &name), sample(v1::ROOM_TYPE.name, &name));
        assert_eq!(new.downcast(), old, "{name}");
    }
}

#[test]
fn the_old_samples_are_cast_up_to_the_new_ones_without_their_promises() {
    for name in names(&format!("samples/{}", v1::ROOM_TYPE.name)) {
        let (mut expected, old): (RoomTypeDocument, v1::RoomTypeDocument) =
            (sample(ROOM_TYPE.name, &name), sample(v1::ROOM_TYPE.name, &name));
        expected.rooms.iter_mut().for_each(|room| room.step_free = false);
        assert_eq!(old.upcast(), expected, "{name}");
    }
}

#[test]
fn each_event_has_its_counterpart() {
    use RoomTypeEvent::{RoomTypeDefined, RoomTypeRestated, RoomsAdded};
    let old = [RoomTypeDefined, RoomsAdded, RoomTypeRestated].map(|event| {
        assert_eq!(event.ty().strip_suffix(".v2"), event.downcast().ty().strip_suffix(".v1"));
        event.downcast().ty()
    });
    assert_eq!(old, v1::RoomTypeEvent::TYPES);
}

proptest! {
    #[test]
    fn the_old_version_loses_the_promises_and_nothing_else(rooms in prop::collection::vec((".{1,16}", any::<bool>()), 0..9)) {
        let rooms = rooms.into_iter().map(|(number, step_free)| Room { number, step_free }).collect();
        let (id, version) = ("double".parse().unwrap(), contracts::envelope::AggregateVersion::FIRST);
        let document = RoomTypeDocument { room_type_id: id, version, name: "Double".to_owned(), rooms };
        let mut promised_nothing = document.clone();
        promised_nothing.rooms.iter_mut().for_each(|room| room.step_free = false);
        prop_assert_eq!(document.downcast().upcast(), promised_nothing);
    }
}
