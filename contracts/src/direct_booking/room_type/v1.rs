//! The first version of the room types' contract, in which a room is its number and nothing else.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Room;
use crate::{
    contract::events,
    envelope::AggregateVersion,
    id::RoomTypeId,
    topic::{Cleanup, Topic},
};

/// The last document of each room type. Compacted: reference data.
pub const ROOM_TYPE: Topic =
    Topic { name: "hotel.direct-booking.room-type.v1", partitions: 1, cleanup: Cleanup::Collection };

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
    RoomTypeDefined "hotel.direct-booking.RoomTypeDefined.v1",
    RoomsAdded "hotel.direct-booking.RoomsAdded.v1",
    RoomTypeRestated "hotel.direct-booking.RoomTypeRestated.v1",
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
    /// The numbers of its rooms, each once, in the order in which they were added.
    pub rooms: Vec<String>,
}

impl RoomTypeDocument {
    /// The document of the second version that says the same. No room is step-free in it: that is a promise to a guest who needs
    /// it, and what nobody has promised is not promised.
    pub fn upcast(self) -> super::RoomTypeDocument {
        super::RoomTypeDocument {
            room_type_id: self.room_type_id,
            version: self.version,
            name: self.name,
            rooms: self.rooms.into_iter().map(|number| Room { number, step_free: false }).collect(),
        }
    }
}
