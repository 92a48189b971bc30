//! What a site may still sell, night by night.

use super::{
    Argument, Call, Field, Input, Object, Source, What, availability,
    words::{date, id, int},
};
use crate::graphql::{
    error::Error,
    parameters::{Parameters, Value},
};

pub(super) fn night() -> Object {
    Object::new(
        "AllotmentNight",
        "What a site may sell of a type of room in one night.",
        vec![
            id("roomTypeId", "{}room_type_id", "The id of the type of room."),
            date("night", "{}night", "The day on which the night begins."),
            int("allotted", "{}allotted", "How many it may sell in all."),
            int("sold", "{}sold", "How many it has sold."),
            int(
                "left",
                "greatest({}allotted - {}sold, 0)",
                "How many of its allotment are left; the hotel may have fewer.",
            ),
        ],
    )
}

pub(super) const ARGUMENTS: [Argument; 3] = [
    Argument::new("siteId", Input::Id("Site"), "The site.").required(),
    Argument::new("from", Input::Date, "The first night.").required(),
    Argument::new("to", Input::Date, "The day after the last night, at most 366 nights later.").required(),
];

pub(super) fn allotment() -> Field {
    Field::new(
        "channelAllotment",
        What::Rows("AllotmentNight", Source::Made(nights)),
        "What a site may sell, by night and type of room; null beside an error, empty when there is no such site.",
    )
    .or_null()
    .weighs_by(|arguments| availability::COUNTING + availability::nights_of(arguments) * USUAL_TYPES)
}

/// A site sells so many types of room, usually.
const USUAL_TYPES: usize = 2;

fn nights(call: &Call<'_>, parameters: &mut Parameters) -> Result<String, Error> {
    let (from, to) = availability::span(call.arguments)?;
    let site = parameters.add(Value::Text(call.arguments.text("siteId").unwrap_or_default().to_owned()));
    let (from, to) = (parameters.add(Value::Date(from)), parameters.add(Value::Date(to)));
    let which = format!("b.site_id = {site} AND b.status IN ('RECEIVED', 'ACCEPTED', 'CANCELLING')");
    let sold = availability::taken("view.site_booking", &which, &from, &to);
    let child = call.child;
    Ok(format!(
        "(SELECT {from} + n.n AS night, a.\"roomTypeId\" AS room_type_id, a.rooms AS allotted, coalesce(t.taken, 0) AS sold \
         FROM view.site s CROSS JOIN LATERAL jsonb_to_recordset(s.allotments) AS a (\"roomTypeId\" text, rooms integer) \
         CROSS JOIN generate_series(0, {to} - {from} - 1) n \
         LEFT JOIN {sold} t ON t.n = n.n AND t.room_type_id = a.\"roomTypeId\" \
         WHERE s.id = {site} AND NOT s.erased) {child} ORDER BY {child}.night, {child}.room_type_id"
    ))
}
