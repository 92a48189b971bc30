//! `view.room_type`: the kinds of rooms, and the rooms of each.

use contracts::direct_booking::RoomTypeDocument;

use super::{
    column::{json, text},
    projector::Projection,
};
use crate::live::Kind;

/// Fills `view.room_type`.
pub(super) static ROOM_TYPE: Projection<RoomTypeDocument> = Projection {
    identity: |room_type| (room_type.room_type_id.as_str(), room_type.version),
    columns: &[
        text("name", |room_type| Some(&room_type.name)),
        json("rooms", |room_type| serde_json::to_value(&room_type.rooms).ok()),
    ],
    followed_by: &[(Kind::RoomType, |room_type| room_type.room_type_id.as_str())],
};
