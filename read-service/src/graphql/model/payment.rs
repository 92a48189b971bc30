//! The type `Payment`, and the list of payments.

use super::{
    Argument, Connection, Enum, Field, Input, InputObject, Leaf, Object, What,
    query::{AFTER, BEFORE, FIRST, LAST},
    words::{Order, id, instant, joined, money, one_of, text},
};

pub(super) fn object() -> Object {
    Object::row(
        "Payment",
        "view.payment",
        "The payment of a booking, as Payments last told it.",
        [
            id("bookingId", "{}id", "The id of the booking that it pays."),
            joined(
                "Booking",
                "booking",
                "id",
                "The booking that it pays; null when that has not arrived in this view yet.",
            ),
            one_of("PaymentStatus", "status", "{}status", "How far it is."),
            id("accountId", "{}account_id", "The id of the account whose card is charged; null when it is a guest's.")
                .or_null(),
            id("guestId", "{}guest_id", "The id of the guest whose card is charged; null when it is an account's.")
                .or_null(),
            money("amount", "amount_", "How much is charged."),
            text("declineReason", "{}decline_reason", "Why the card was declined, if it was.").or_null(),
            instant("statusSince", "{}status_since", "Since when it is so far."),
        ],
    )
}

pub(super) fn status() -> Enum {
    Enum {
        name: "PaymentStatus",
        description: "How far a payment is.",
        values: vec![
            ("AWAITING_CARD", "No card is known yet that could be charged."),
            ("CHARGING", "The card is being charged."),
            ("TAKEN", "The card was charged."),
            ("DECLINED", "It was not paid, and will not be."),
            ("REFUNDING", "What was charged is being given back."),
            ("REFUNDED", "What was charged was given back."),
            ("CANCELLED", "It was called off before anything was charged."),
        ],
    }
}

pub(super) const ARGUMENTS: [Argument; 6] = [
    FIRST,
    AFTER,
    LAST,
    BEFORE,
    Argument::new("filter", Input::Object("PaymentFilter"), "Only those that fit this."),
    Argument::new("orderBy", Input::Enum("PaymentOrder"), "In which order; by booking unless given."),
];

pub(super) fn filter() -> InputObject {
    InputObject {
        name: "PaymentFilter",
        description: "Which payments are meant: those that fit everything that is given.",
        fields: vec![Argument::new("status", Input::Enum("PaymentStatus"), "Those that are so far.")],
    }
}

/// The list of payments.
pub(super) fn payments() -> Field {
    let connection = Connection {
        object: "Payment",
        from: "view.payment {child} WHERE NOT {child}.erased",
        conditions: vec![("status", "{child}.status = {value}")],
        check: None,
        orders: (
            "PaymentOrder",
            vec![Order { name: "BOOKING", description: "By the booking's id", column: "id", leaf: Leaf::Id }],
        ),
    };
    Field::new("payments", What::Connection(connection), "The payments. Null only beside an error.").or_null()
}
