//! How many rooms of a type are free, night by night: counted when it is asked, from the bookings themselves.

use chrono::{Days, NaiveDate};

use super::{
    Argument, Call, Field, Input, Object, Source, What,
    words::{date, int},
};
use crate::graphql::{
    arguments::Arguments,
    error::Error,
    parameters::{Parameters, Value},
};

/// The most nights that are asked for at once.
pub(super) const MOST_NIGHTS: u64 = 366;

pub(super) fn night() -> Object {
    Object::new(
        "RoomNight",
        "The rooms of a type in one night.",
        vec![
            date("night", "{}night", "The day on which the night begins."),
            int("rooms", "{}rooms", "How many rooms there are."),
            int("taken", "{}taken", "How many are booked, or held for a booking that is not paid yet."),
            int("free", "greatest({}rooms - {}taken, 0)", "How many can still be booked."),
        ],
    )
}

pub(super) const ARGUMENTS: [Argument; 3] = [
    Argument::new("roomTypeId", Input::Id("RoomType"), "The type of room.").required(),
    Argument::new("from", Input::Date, "The first night.").required(),
    Argument::new("to", Input::Date, "The day after the last night, at most 366 nights later.").required(),
];

pub(super) fn availability() -> Field {
    Field::new(
        "roomAvailability",
        What::Rows("RoomNight", Source::Made(nights)),
        "How many rooms of a type are free, night by night; null beside an error, empty when there is no such type.",
    )
    .or_null()
    .weighs_by(|arguments| COUNTING + nights_of(arguments))
}

/// What counting the stays weighs, however few the nights: a year of them is looked through.
pub(super) const COUNTING: usize = 50;

/// How many nights are asked for.
pub(super) fn nights_of(arguments: &Arguments) -> usize {
    let nights = span(arguments).map(|(from, to)| (to - from).num_days());
    nights.ok().and_then(|nights| usize::try_from(nights).ok()).unwrap_or(1)
}

/// The first night and the day after the last.
pub(super) fn span(arguments: &Arguments) -> Result<(NaiveDate, NaiveDate), Error> {
    let (from, to) = (arguments.day("from"), arguments.day("to"));
    match (from, to) {
        (Some(from), Some(to)) if to <= from => Err(Error::input("to: does not lie after from")),
        (Some(from), Some(to)) if from.checked_add_days(Days::new(MOST_NIGHTS)).is_none_or(|last| to > last) => {
            Err(Error::input(format!("to: lies more than {MOST_NIGHTS} nights after from")))
        }
        (Some(from), Some(to)) => Ok((from, to)),
        _ => Err(Error::input("from, to: both have to be given")),
    }
}

/// Counts, for each night, the bookings of a type that take a room then: `check_in <= night < check_out`, or the day itself for
/// day use. A stay is 366 nights at most, so that older bookings need not be looked at.
fn nights(call: &Call<'_>, parameters: &mut Parameters) -> Result<String, Error> {
    let (from, to) = span(call.arguments)?;
    let room_type = parameters.add(Value::Text(call.arguments.text("roomTypeId").unwrap_or_default().to_owned()));
    let (from, to) = (parameters.add(Value::Date(from)), parameters.add(Value::Date(to)));
    let taken = taken("view.booking", &format!("b.room_type_id = {room_type} AND {TAKING}"), &from, &to);
    let child = call.child;
    Ok(format!(
        "(SELECT {from} + n.n AS night, jsonb_array_length(r.rooms) AS rooms, coalesce(t.taken, 0) AS taken \
         FROM view.room_type r CROSS JOIN generate_series(0, {to} - {from} - 1) n LEFT JOIN {taken} t ON t.n = n.n \
         WHERE r.id = {room_type} AND NOT r.erased) {child} ORDER BY {child}.night"
    ))
}

/// The states in which a booking takes a room.
const TAKING: &str = "b.status IN ('PENDING', 'CONFIRMED', 'CHECKED_IN', 'CHECKED_OUT')";

/// How many stays called `b` there are in each night `n`, counted from the first, and of each type of room.
pub(super) fn taken(table: &str, which: &str, from: &str, to: &str) -> String {
    let end = "greatest(b.check_out, b.check_in + 1)";
    format!(
        "(SELECT b.room_type_id, n.n, count(*)::integer AS taken FROM {table} b CROSS JOIN LATERAL \
            generate_series(greatest(b.check_in, {from}) - {from}, least({end}, {to}) - {from} - 1) n \
          WHERE {which} AND NOT b.erased AND b.check_in >= {from} - 366 AND b.check_in < {to} AND {end} > {from} GROUP BY 1, 2)"
    )
}
