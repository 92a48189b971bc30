//! The type `Account`.

use super::{
    Enum, Object,
    booking::{BOOKING_ARGUMENTS, bookings},
    words::{id, one_of, part, text},
};

pub(super) fn object() -> Object {
    Object::row(
        "Account",
        "view.account",
        "Somebody who may book on account, as Accounts last told it.",
        [
            id("accountId", "{}id", "Its id in Accounts."),
            one_of("AccountStatus", "status", "{}status", "Whether it can be booked on."),
            text("name", "{}name", "Its holder's name.").personal(),
            part("Address", "address", "", "Where its holder lives.").personal(),
            text("email", "{}email", "Where its holder gets mail.").personal(),
            bookings(
                "view.booking {child} WHERE {child}.account_id = {parent}id AND NOT {child}.erased",
                "The bookings that were made on it.",
            )
            .takes(BOOKING_ARGUMENTS),
        ],
    )
}

pub(super) fn address() -> Object {
    Object::new(
        "Address",
        "A postal address.",
        vec![
            text("street", "{}street", "Street and house number."),
            text("postalCode", "{}postal_code", "Postal code; empty where there are none."),
            text("city", "{}city", "Town."),
            text("country", "{}country", "Country, as the two capital letters of ISO 3166-1."),
        ],
    )
}

pub(super) fn status() -> Enum {
    Enum {
        name: "AccountStatus",
        description: "Whether an account can be booked on.",
        values: vec![("OPEN", "It can."), ("CLOSED", "It cannot, and never will again.")],
    }
}
