//! The type `Site`.

use super::{
    Enum, Object,
    words::{id, int, joined, list, one_of, text},
};

pub(super) fn object() -> Object {
    Object::row(
        "Site",
        "view.site",
        "An aggregator site that sells rooms of the hotel, as Channel manager last told it.",
        [
            id("siteId", "{}id", "Its id in Channel manager."),
            one_of("SiteStatus", "status", "{}status", "Whether it may sell."),
            text("name", "{}name", "What people call it."),
            list(
                "Allotment",
                "allotments",
                "jsonb_to_recordset({parent}allotments) AS {child} (\"roomTypeId\" text, rooms integer) \
                 ORDER BY {child}.\"roomTypeId\"",
                5,
                "What it may sell of each type of room.",
            ),
        ],
    )
}

pub(super) fn allotment() -> Object {
    Object::new(
        "Allotment",
        "What a site may sell of a type of room, each night.",
        vec![
            id("roomTypeId", "{}\"roomTypeId\"", "The id of the type of room."),
            joined(
                "RoomType",
                "roomType",
                "\"roomTypeId\"",
                "The type of room; null when that has not arrived in this view yet, or is gone.",
            ),
            int("rooms", "{}rooms", "How many rooms a night at most."),
        ],
    )
}

pub(super) fn status() -> Enum {
    Enum {
        name: "SiteStatus",
        description: "Whether a site may sell.",
        values: vec![("CONNECTED", "It may."), ("DISCONNECTED", "It may not any more.")],
    }
}
