//! Room types and their rooms.
//!
//! This is the second version of the contract, and what everything is written for. The first one is published beside it as long
//! as somebody reads it, and is [made of this one](RoomTypeDocument::downcast); who still reads it makes [this one of
//! it](v1::RoomTypeDocument::upcast).

pub(super) mod v1;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::events,
    envelope::AggregateVersion,
    id::RoomTypeId,
    topic::{Cleanup, Topic},
};

/// The last document of each room type. Compacted: reference data.
pub const ROOM_TYPE: Topic =
    Topic { name: "hotel.direct-booking.room-type.v2", partitions: 1, cleanup: Cleanup::Collection };

/// What can happen to a room type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomTypeEvent {
    /// It was defined, with its rooms.
    RoomTypeDefined,
    /// Rooms were added to it.
    RoomsAdded,
    /// Nothing has happened: what it is is told once more, for those who have missed it. It starts no process.
    RoomTypeRestated,
}

events!(
    RoomTypeEvent:
    RoomTypeDefined "hotel.direct-booking.RoomTypeDefined.v2",
    RoomsAdded "hotel.direct-booking.RoomsAdded.v2",
    RoomTypeRestated "hotel.direct-booking.RoomTypeRestated.v2",
);

/// A room type and its rooms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoomTypeDocument {
    /// Its id, such as `A` or `double`.
    pub room_type_id: RoomTypeId,
    /// Its version.
    pub version: AggregateVersion,
    /// What guests are told it is.
    pub name: String,
    /// Its rooms, each once, in the order in which they were added.
    pub rooms: Vec<Room>,
}

/// A room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Room {
    /// Its number.
    pub number: String,
    /// Whether a guest is promised to reach it without steps.
    pub step_free: bool,
}

impl RoomTypeDocument {
    /// What the first version says of it: the numbers of the rooms, and no more.
    pub fn downcast(&self) -> v1::RoomTypeDocument {
        v1::RoomTypeDocument {
            room_type_id: self.room_type_id.clone(),
            version: self.version,
            name: self.name.clone(),
            rooms: self.rooms.iter().map(|room| room.number.clone()).collect(),
        }
    }
}

impl RoomTypeEvent {
    /// What the first version calls it.
    pub const fn downcast(self) -> v1::RoomTypeEvent {
        match self {
            Self::RoomTypeDefined => v1::RoomTypeEvent::RoomTypeDefined,
            Self::RoomsAdded => v1::RoomTypeEvent::RoomsAdded,
            Self::RoomTypeRestated => v1::RoomTypeEvent::RoomTypeRestated,
        }
    }
}
