//! The type `RatePlan`.

use super::{
    Object,
    words::{id, instant, joined, money, text},
};

pub(super) fn object() -> Object {
    Object::row(
        "RatePlan",
        "view.rate_plan",
        "A price for a kind of room, as Direct booking last told it.",
        [
            id("ratePlanId", "{}id", "Its id in Direct booking."),
            text("name", "{}name", "What guests are told it is."),
            id("roomTypeId", "{}room_type_id", "The id of the type of room that it is for."),
            joined(
                "RoomType",
                "roomType",
                "room_type_id",
                "The type of room that it is for; null when that has not arrived in this view yet, or is gone.",
            ),
            money("nightlyRate", "nightly_rate_", "What a night costs."),
            instant("validUntil", "{}valid_until", "Until when it may be booked at this price."),
        ],
    )
}
