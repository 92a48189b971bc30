//! The type `Guest`.

use super::{
    Object,
    words::{id, text},
};

pub(super) fn object() -> Object {
    Object::row(
        "Guest",
        "view.guest",
        "Somebody who has booked without an account, as Direct booking last told it.",
        [
            id("guestId", "{}id", "The guest's id in Direct booking."),
            text("name", "{}name", "The guest's name.").personal(),
            text("email", "{}email", "Where the guest gets mail.").personal(),
        ],
    )
}
