//! The type `View`: how fresh each view itself is.

use super::{
    Call, Field, Object, Source, What,
    words::{instant, long, text},
};
use crate::{
    graphql::{error::Error, parameters::Parameters},
    projection::JOURNAL,
    view::{KNOWN, View},
};

pub(super) fn object() -> Object {
    Object::new(
        "View",
        "A view as a whole: how fresh it is.",
        vec![
            text("name", "{}name", "Its name, as the service's settings and metrics have it: `booking`."),
            text("table", "{}relation", "The table that holds it: `view.booking`."),
            instant(
                "lastAppliedAt",
                "{}applied_at",
                "When it last took in what had come on its topics; null when nothing has come yet.",
            )
            .or_null(),
            long(
                "lagMessages",
                "{}messages",
                "How many messages on its topics it has not taken in yet: 0 when it has all of them. Null when nobody who fills \
                 it has looked for half a minute: then it stands still.",
            )
            .or_null(),
            instant("lookedAt", "{}looked_at", "When it was looked how many there are; null when that is not known.")
                .or_null(),
        ],
    )
}

/// All of them, by what the database knows: the offsets that the projections have stored, and how many messages each process that
/// projects says that it lacks.
pub(super) fn views() -> Field {
    Field::new(
        "views",
        What::Rows("View", Source::Made(all)),
        "The views, each with how fresh it is as a whole. Null only beside an error.",
    )
    .or_null()
    .weighs(View::ALL.len() + 1)
}

fn all(call: &Call<'_>, _: &mut Parameters) -> Result<String, Error> {
    let views = View::ALL.iter().map(|view| (view.table(), view.table())).chain([(JOURNAL, "event")]);
    let views: Vec<_> = views.map(|(name, table)| format!("('{name}', 'view.{table}')")).collect();
    Ok(format!(
        "(SELECT v.name, v.relation, o.applied_at, l.messages, l.looked_at FROM (VALUES {}) AS v (name, relation) \
         LEFT JOIN (SELECT handler, max(updated_at) AS applied_at FROM view.inbox_offset \
            WHERE generation = 1 AND next_offset > 0 GROUP BY 1) o ON o.handler = v.name \
         LEFT JOIN (SELECT view, sum(messages)::bigint AS messages, min(looked_at) AS looked_at FROM view.lag \
            WHERE looked_at > now() - interval '{KNOWN} seconds' GROUP BY 1) l ON l.view = v.name) {child} \
         ORDER BY {child}.name",
        views.join(", "),
        child = call.child
    ))
}
