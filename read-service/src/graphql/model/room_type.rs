//! The type `RoomType`.

use super::{
    Object,
    words::{boolean, id, list, text},
};

pub(super) fn object() -> Object {
    Object::row(
        "RoomType",
        "view.room_type",
        "A kind of room, as Direct booking last told it.",
        [
            id("roomTypeId", "{}id", "Its id in Direct booking, such as `double`."),
            text("name", "{}name", "What guests are told it is."),
            list(
                "Room",
                "rooms",
                "jsonb_to_recordset({parent}rooms) AS {child} (number text, \"stepFree\" boolean)",
                10,
                "Its rooms, in the order in which they were added.",
            ),
            list(
                "RatePlan",
                "ratePlans",
                "view.rate_plan {child} WHERE {child}.room_type_id = {parent}id AND NOT {child}.erased \
                 ORDER BY {child}.id LIMIT 100",
                5,
                "The prices for which it is sold: the first 100 by their ids.",
            ),
        ],
    )
}

pub(super) fn room() -> Object {
    Object::new(
        "Room",
        "A room.",
        vec![
            text("number", "{}number", "Its number."),
            boolean("stepFree", "{}\"stepFree\"", "Whether a guest is promised to reach it without steps."),
        ],
    )
}
