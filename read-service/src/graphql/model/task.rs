//! The type `Task`, and the schedule of a day.

use super::{
    Argument, Connection, Enum, Field, Input, InputObject, Leaf, Object, What,
    query::{AFTER, BEFORE, FIRST, LAST},
    words::{Order, date, id, instant, joined, one_of, text},
};

pub(super) fn object() -> Object {
    Object::row(
        "Task",
        "view.task",
        "Something to be done for a room, as Housekeeping last told it.",
        [
            id("taskId", "{}id", "Its id in Housekeeping."),
            one_of("TaskKind", "kind", "{}kind", "What is to be done."),
            one_of("TaskStatus", "status", "{}status", "Whether it is done."),
            date("day", "{}day", "The day for which it is due."),
            id("bookingId", "{}booking_id", "The id of the booking that it is for."),
            joined(
                "Booking",
                "booking",
                "booking_id",
                "The booking that it is for; null when that has not arrived in this view yet.",
            ),
            id("roomTypeId", "{}room_type_id", "The id of the type of room."),
            text("room", "{}room", "The number of the room; null while it is not known which it will be.").or_null(),
            instant("completedAt", "{}completed_at", "When it was done, if it was.").or_null(),
        ],
    )
}

pub(super) fn kind() -> Enum {
    Enum {
        name: "TaskKind",
        description: "What is to be done for a room.",
        values: vec![
            ("PREPARATION", "It is made ready for an arrival."),
            ("DAILY_CLEANING", "It is cleaned while the guest stays."),
            ("DEPARTURE_CLEANING", "It is cleaned once the guest has left."),
        ],
    }
}

pub(super) fn status() -> Enum {
    Enum {
        name: "TaskStatus",
        description: "Whether something is done.",
        values: vec![
            ("SCHEDULED", "It is to be done."),
            ("COMPLETED", "It was done."),
            ("CANCELLED", "It need not be done any more."),
        ],
    }
}

pub(super) const ARGUMENTS: [Argument; 6] = [
    Argument::new("date", Input::Date, "The day for which tasks are due.").required(),
    FIRST,
    AFTER,
    LAST,
    BEFORE,
    Argument::new("filter", Input::Object("TaskFilter"), "Only those that fit this."),
];

pub(super) fn filter() -> InputObject {
    InputObject {
        name: "TaskFilter",
        description: "Which tasks are meant: those that fit everything that is given.",
        fields: vec![
            Argument::new("status", Input::Enum("TaskStatus"), "Those that are so far."),
            Argument::new("kind", Input::Enum("TaskKind"), "Those of this kind."),
        ],
    }
}

/// What is to be done on a day.
pub(super) fn schedule() -> Field {
    let connection = Connection {
        object: "Task",
        from: "view.task {child} WHERE NOT {child}.erased",
        conditions: vec![
            ("date", "{child}.day = {value}"),
            ("status", "{child}.status = {value}"),
            ("kind", "{child}.kind = {value}"),
        ],
        check: None,
        orders: (
            "TaskOrder",
            vec![Order { name: "DAY", description: "By day, then id", column: "day", leaf: Leaf::Date }],
        ),
    };
    Field::new(
        "housekeepingSchedule",
        What::Connection(connection),
        "What is to be done on a day. Null only beside an error.",
    )
    .or_null()
}
