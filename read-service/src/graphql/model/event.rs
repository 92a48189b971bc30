//! The type `Event`, and the journal.

use super::{
    Argument, Connection, Field, Input, Leaf, Object, What,
    query::{AFTER, BEFORE, FIRST, LAST},
    words::{Order, id, instant, int, long, text},
};
use crate::graphql::{arguments::Arguments, error::Error};

pub(super) fn object() -> Object {
    Object::new(
        "Event",
        "Something that a context has told, without what it told: who may see that asks for the document.",
        vec![
            id("eventId", "{}id", "Its id, unique for its source."),
            text("type", "{}type", "What happened: `hotel.direct-booking.BookingConfirmed.v1`."),
            text("source", "{}source", "The context that told it."),
            text("topic", "{}topic", "The topic, as the contract calls it."),
            text("subject", "{}subject", "The id of the aggregate that it is about."),
            long("version", "{}version", "The aggregate's version that it made."),
            text("correlationId", "{}correlation_id", "What it shares with all that followed from the same command.")
                .or_null(),
            text("causationId", "{}causation_id", "The id of the command or the event that it followed from.")
                .or_null(),
            text("traceId", "{}trace_id", "The trace in which it was recorded.").or_null(),
            int("partition", "{}partition", "The partition of its topic."),
            long("offset", "{}message_offset", "Its offset in the partition."),
            instant("recordedAt", "{}recorded_at", "When it was recorded by its context."),
            instant("publishedAt", "{}published_at", "When it was published to Kafka; null when Kafka does not say.")
                .or_null(),
            instant("appliedAt", "{}applied_at", "When it arrived in this view."),
        ],
    )
}

pub(super) const ARGUMENTS: [Argument; 6] = [
    Argument::new("correlationId", Input::Text, "What followed from the command of this correlation id."),
    Argument::new("subject", Input::Text, "What happened to the aggregate of this id."),
    FIRST,
    AFTER,
    LAST,
    BEFORE,
];

/// What happened.
pub(super) fn journal() -> Field {
    let connection = Connection {
        object: "Event",
        from: "view.event {child} WHERE true",
        conditions: vec![
            ("correlationId", "{child}.correlation_id = {value}"),
            ("subject", "{child}.subject = {value}"),
        ],
        check: Some(check),
        orders: (
            "EventOrder",
            vec![Order {
                name: "RECORDED_AT",
                description: "By when they were recorded, then id",
                column: "recorded_at",
                leaf: Leaf::Instant,
            }],
        ),
    };
    Field::new(
        "journal",
        What::Connection(connection),
        "What happened, by when it was recorded: to an aggregate, or in the wake of a command. Null only beside an error.\n\n\
         With `readAfter` it waits until the journal itself has the token's event, or a later one of the same aggregate. What is older \
         than the journal\nkeeps is not there any more: such a token is answered with `NOT_YET_VISIBLE`.",
    )
    .of_journal()
    .or_null()
}

pub(super) fn check(arguments: &Arguments) -> Result<(), Error> {
    match (arguments.text("correlationId"), arguments.text("subject")) {
        (None, None) => Err(Error::input("journal: give correlationId or subject")),
        _ => Ok(()),
    }
}
