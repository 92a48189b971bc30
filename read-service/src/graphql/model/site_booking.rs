//! The type `SiteBooking`.

use super::{
    Enum, Object,
    words::{date, id, instant, joined, money, one_of, part, text},
};

pub(super) fn object() -> Object {
    Object::row(
        "SiteBooking",
        "view.site_booking",
        "A booking that an aggregator site has sold, as Channel manager last told it.",
        [
            id("bookingId", "{}id", "The booking's id."),
            joined(
                "Booking",
                "booking",
                "id",
                "The booking, as Direct booking knows it; null when that has not arrived in this view yet.",
            ),
            one_of("SiteBookingStatus", "status", "{}status", "What became of it."),
            id("siteId", "{}site_id", "The id of the site that sold it."),
            joined(
                "Site",
                "site",
                "site_id",
                "The site that sold it; null when that has not arrived in this view yet.",
            ),
            text("reference", "{}reference", "What the site calls it."),
            id("roomTypeId", "{}room_type_id", "The id of the type of room."),
            date("checkIn", "{}check_in", "The day of arrival."),
            date("checkOut", "{}check_out", "The day of departure; the day of arrival itself means day use."),
            part("Guests", "guests", "", "Who comes."),
            money("nightlyRate", "nightly_rate_", "What a night costs; for day use, the day."),
            instant("receivedAt", "{}received_at", "When the site told of it."),
            text("rejection", "{}rejection", "Why it was rejected, if it was.").or_null(),
        ],
    )
}

pub(super) fn status() -> Enum {
    Enum {
        name: "SiteBookingStatus",
        description: "What became of a booking that a site has sold.",
        values: vec![
            ("RECEIVED", "Direct booking has not said yet whether there is a room."),
            ("ACCEPTED", "There is a room."),
            ("REJECTED", "There was none."),
            ("CANCELLING", "The site has called it off, and Direct booking has not said yet that it is."),
            ("CANCELLED", "It was called off."),
        ],
    }
}
