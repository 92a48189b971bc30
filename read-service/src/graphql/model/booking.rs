//! The type `Booking`, and the lists of bookings.

use super::{
    Argument, Connection, Enum, Field, Input, InputObject, Leaf, Object, What,
    query::{AFTER, BEFORE, FIRST, LAST},
    words::{Order, date, id, instant, joined, list, money, one_of, part, text},
};
use crate::graphql::{arguments::Arguments, error::Error};

pub(super) fn object() -> Object {
    Object::row(
        "Booking",
        "view.booking",
        "A booking, as Direct booking last told it.",
        [
            id("bookingId", "{}id", "Its id in Direct booking."),
            one_of("BookingStatus", "status", "{}status", "Where in its life it is."),
            id(
                "accountId",
                "{}account_id",
                "The id of the account that it was made on; null when it was not made on one.",
            )
            .or_null(),
            joined(
                "Account",
                "account",
                "account_id",
                "The account that it was made on; null when it was not made on one, or when that has not arrived in \
                 this view yet, or is gone.",
            ),
            id("guestId", "{}guest_id", "The id of the guest who made it; null when no guest did.").or_null(),
            joined(
                "Guest",
                "guest",
                "guest_id",
                "The guest who made it; null when no guest did, or when that has not arrived in this view yet, or was \
                 erased.",
            ),
            id("siteId", "{}site_id", "The id of the aggregator site that sold it; null when none did.").or_null(),
            joined(
                "Site",
                "site",
                "site_id",
                "The aggregator site that sold it; null when none did, or when that has not arrived in this view yet.",
            ),
            text("siteReference", "{}site_reference", "What the site that sold it calls it; null when none did.")
                .or_null(),
            id("roomTypeId", "{}room_type_id", "The id of the type of room that was booked."),
            joined(
                "RoomType",
                "roomType",
                "room_type_id",
                "The type of room that was booked; null when that has not arrived in this view yet, or is gone.",
            ),
            text("room", "{}room", "The number of the room; null until the guest has checked in.").or_null(),
            date("checkIn", "{}check_in", "The day of arrival."),
            date("checkOut", "{}check_out", "The day of departure; the day of arrival itself means day use."),
            part("Guests", "guests", "", "Who comes."),
            id(
                "ratePlanId",
                "{}rate_plan_id",
                "The id of the rate plan that it was sold by; null when the price was agreed.",
            )
            .or_null(),
            money("nightlyRate", "nightly_rate_", "What a night costs; for day use, the day."),
            money("total", "total_", "What the stay costs."),
            joined(
                "Payment",
                "payment",
                "id",
                "Its payment; null when there is none, or it has not arrived in this view yet.",
            ),
            list(
                "Task",
                "tasks",
                "view.task {child} WHERE {child}.booking_id = {parent}id AND NOT {child}.erased \
                 ORDER BY {child}.day, {child}.id LIMIT 400",
                10,
                "What is to be done for its room, by day.",
            ),
            text("rejection", "{}rejection", "Why it was rejected, if it was.").or_null(),
            instant("madeAt", "{}made_at", "When it was made."),
            instant(
                "confirmationRequestedAt",
                "{}confirmation_requested_at",
                "When a confirmation was last asked for.",
            )
            .or_null(),
            instant("checkedInAt", "{}checked_in_at", "When the guest came, if so.").or_null(),
            instant("checkedOutAt", "{}checked_out_at", "When the guest left, if so.").or_null(),
            instant("cancelledAt", "{}cancelled_at", "When it was cancelled, if it was.").or_null(),
        ],
    )
}

pub(super) fn status() -> Enum {
    Enum {
        name: "BookingStatus",
        description: "Where in its life a booking is.",
        values: vec![
            ("PENDING", "A room is held for it, and its payment is awaited."),
            ("CONFIRMED", "It is paid, or costs nothing here."),
            ("REJECTED", "It was not paid, or there was no room for what a site had sold."),
            ("CANCELLED", "It was called off."),
            ("EXPIRED", "Its payment did not come in time."),
            ("CHECKED_IN", "The guest is in the house."),
            ("CHECKED_OUT", "The guest has left."),
        ],
    }
}

/// What a list of bookings takes.
pub(super) const BOOKING_ARGUMENTS: [Argument; 6] = [
    FIRST,
    AFTER,
    LAST,
    BEFORE,
    Argument::new("filter", Input::Object("BookingFilter"), "Only those that fit this."),
    Argument::new("orderBy", Input::Enum("BookingOrder"), "In which order; by day of arrival unless given."),
];

pub(super) fn filter() -> InputObject {
    InputObject {
        name: "BookingFilter",
        description: "Which bookings are meant: those that fit everything that is given.",
        fields: vec![
            Argument::new("accountId", Input::Id("Account"), "Those made on this account."),
            Argument::new("guestId", Input::Id("Guest"), "Those made by this guest."),
            Argument::new("siteId", Input::Id("Site"), "Those sold by this site."),
            Argument::new("roomTypeId", Input::Id("RoomType"), "Those of this type of room."),
            Argument::new("status", Input::Enum("BookingStatus"), "Those in this state."),
            Argument::new("checkInFrom", Input::Date, "Those that arrive on this day or later."),
            Argument::new("checkInTo", Input::Date, "Those that arrive on this day or earlier."),
        ],
    }
}

/// What a filter means.
pub(super) const CONDITIONS: [(&str, &str); 7] = [
    ("accountId", "{child}.account_id = {value}"),
    ("guestId", "{child}.guest_id = {value}"),
    ("siteId", "{child}.site_id = {value}"),
    ("roomTypeId", "{child}.room_type_id = {value}"),
    ("status", "{child}.status = {value}"),
    ("checkInFrom", "{child}.check_in >= {value}"),
    ("checkInTo", "{child}.check_in <= {value}"),
];

pub(super) fn check(arguments: &Arguments) -> Result<(), Error> {
    let filter = arguments.object("filter");
    let day = |name| filter.and_then(|filter| filter.day(name));
    match (day("checkInFrom"), day("checkInTo")) {
        (Some(from), Some(to)) if to < from => Err(Error::input("filter.checkInTo: lies before checkInFrom")),
        _ => Ok(()),
    }
}

/// A list of bookings.
pub(super) fn bookings(from: &'static str, description: &'static str) -> Field {
    let by = |name, description, column, leaf| Order { name, description, column, leaf };
    let connection = Connection {
        object: "Booking",
        from,
        conditions: CONDITIONS.to_vec(),
        check: Some(check),
        orders: (
            "BookingOrder",
            vec![
                by("CHECK_IN", "By day of arrival, then id", "check_in", Leaf::Date),
                by("MADE_AT", "By when they were made, then id", "made_at", Leaf::Instant),
            ],
        ),
    };
    Field::new("bookings", What::Connection(connection), description).or_null()
}
