//! The root of subscriptions: what can be followed.

use super::{Argument, Call, Field, Input, Object, What, availability, event, query::by_id};
use crate::{
    graphql::{
        arguments::Arguments,
        error::Error,
        parameters::{Parameters, Value},
    },
    live::{Kind, Watched},
};

/// How many events are looked at: the last ones.
pub(in crate::graphql) const EVENTS: usize = 500;

pub(super) fn object() -> Object {
    let fields = vec![
        by_id(
            "Booking",
            "booking",
            "The booking with this id: as it is now, and again when what is selected of it has changed with it, its payment or its \
             tasks. Null until it has arrived, and when it is gone. Of several changes at once the last is told.",
        )
        .follows(|arguments| watched(arguments, &[("id", Kind::Booking)])),
        availability::availability()
            .takes(availability::ARGUMENTS)
            .follows(|arguments| watched(arguments, &[("roomTypeId", Kind::RoomType)])),
        Field::new(
            "journal",
            What::Each("Event", latest),
            "What happens to an aggregate, or in the wake of a command: each event once. Those that are there already come \
             first, by when they were recorded, but no more than the last 500.",
        )
        .takes([
            Argument::new("correlationId", Input::Text, "What follows from the command of this correlation id."),
            Argument::new("subject", Input::Text, "What happens to the aggregate of this id."),
        ])
        .weighs(20)
        .follows(|arguments| watched(arguments, &[("correlationId", Kind::Correlation), ("subject", Kind::Subject)])),
    ];
    Object::new(
        super::SUBSCRIPTION,
        "What can be followed, by a websocket (`graphql-transport-ws`) or a stream of events (`Accept: text/event-stream`): what is \
         there now, then what has changed, from the\nmoment of its commit.",
        fields,
    )
}

/// The first of these that is given.
fn watched(arguments: &Arguments, by: &[(&str, Kind)]) -> Vec<Watched> {
    by.iter().find_map(|(name, kind)| Some((*kind, arguments.text(name)?.to_owned()))).into_iter().collect()
}

fn latest(call: &Call<'_>, parameters: &mut Parameters) -> Result<String, Error> {
    event::check(call.arguments)?;
    let mut conditions = Vec::new();
    for (name, column) in [("correlationId", "correlation_id"), ("subject", "subject")] {
        if let Some(text) = call.arguments.text(name) {
            conditions.push(format!("e.{column} = {}", parameters.add(Value::Text(text.to_owned()))));
        }
    }
    let (child, conditions) = (call.child, conditions.join(" AND "));
    Ok(format!(
        "(SELECT * FROM view.event e WHERE {conditions} ORDER BY e.recorded_at DESC, e.id DESC LIMIT {EVENTS}) {child} \
         ORDER BY {child}.recorded_at, {child}.id"
    ))
}
