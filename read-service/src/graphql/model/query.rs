//! The root: what can be asked for first.

use super::{
    Argument, Field, Input, Object, What, allotment, availability,
    booking::{BOOKING_ARGUMENTS, bookings},
    event, folio, payment, summary, task, view,
};

pub(super) const FIRST: Argument = Argument::new("first", Input::Int, "The first so many: 1 to 100, 20 unless given.");
pub(super) const AFTER: Argument = Argument::new("after", Input::Text, "Only those after this cursor.");
pub(super) const LAST: Argument = Argument::new("last", Input::Int, "The last so many: 1 to 100.");
pub(super) const BEFORE: Argument = Argument::new("before", Input::Text, "Only those before this cursor.");
const READ_AFTER: Argument = Argument::new("readAfter", Input::Texts, "Answer only once these tokens are visible.");

pub(super) fn object() -> Object {
    let fields = vec![
        Field::new("node", What::Node, "Anything that has a global id, by that; null when there is no such thing.")
            .or_null()
            .takes([Argument::new("id", Input::Id(""), "Its global id: `Booking:7`.").required()]),
        by_id(
            "Account",
            "account",
            "The account with this id; null when there is none, or it has not arrived in this view yet.",
        ),
        by_id(
            "Guest",
            "guest",
            "The guest with this id; null when there is none, or it has not arrived in this view yet.",
        ),
        by_id(
            "RoomType",
            "roomType",
            "The room type with this id; null when there is none, or it has not arrived in this view yet.",
        ),
        by_id(
            "RatePlan",
            "ratePlan",
            "The rate plan with this id; null when there is none, or it has not arrived in this view yet.",
        ),
        by_id(
            "Booking",
            "booking",
            "The booking with this id; null when there is none, or it has not arrived in this view yet.",
        ),
        by_id(
            "Payment",
            "payment",
            "The payment of the booking with this id; null when there is none, or it has not arrived in this view yet.",
        ),
        by_id(
            "Task",
            "task",
            "The task with this id; null when there is none, or it has not arrived in this view yet.",
        ),
        by_id(
            "Site",
            "site",
            "The aggregator site with this id; null when there is none, or it has not arrived in this view yet.",
        ),
        by_id(
            "SiteBooking",
            "siteBooking",
            "What a site has sold, by the booking's id; null when there is none, or it has not arrived in this view yet.",
        ),
        bookings("view.booking {child} WHERE NOT {child}.erased", "The bookings. Null only beside an error.")
            .takes(BOOKING_ARGUMENTS),
        payment::payments().takes(payment::ARGUMENTS),
        summary::summary().takes(summary::ARGUMENTS),
        availability::availability().takes(availability::ARGUMENTS),
        task::schedule().takes(task::ARGUMENTS),
        folio::folio().takes(folio::ARGUMENTS),
        allotment::allotment().takes(allotment::ARGUMENTS),
        event::journal().takes(event::ARGUMENTS),
        view::views(),
    ];
    let waiting = |mut field: Field| {
        field.arguments.push(READ_AFTER);
        field
    };
    Object::new(
        super::ROOT,
        "What can be asked.\n\nEvery field takes `readAfter`: tokens that commands have answered in their `Read-After` \
         header. The field is then\nanswered once this view has what they name, or with the error `NOT_YET_VISIBLE` when \
         that takes too long. The same\ntokens may come in the query's own `Read-After` header, for all of its fields; 16 different ones in all.\n\nHow \
         fresh a row is, it says itself: `version`, `appliedAt`, `lagMillis`. How fresh the views are as a whole, `views` says.",
        fields.into_iter().map(waiting).collect(),
    )
}

pub(super) fn by_id(object: &'static str, name: &'static str, description: &'static str) -> Field {
    let id = Argument::new("id", Input::Id(object), "Its id, or its global one.").required();
    Field::new(name, What::ById(object), description).or_null().takes([id])
}
