//! Counts and sums of bookings, by which a replay can be compared with what was posted.

use super::{
    Argument, Call, Field, Input, Object, Source, What, booking,
    words::{list, long, one_of},
};
use crate::graphql::{compile::narrowed, error::Error, parameters::Parameters};

/// What a summary counts for in a query's complexity: it reads every booking that its filter lets through.
const WEIGHT: usize = 500;

pub(super) fn objects() -> Vec<Object> {
    vec![
        Object::new(
            "BookingsSummary",
            "How many bookings there are, and what they come to.",
            vec![
                long("count", "{}count", "How many."),
                list(
                    "Money",
                    "totals",
                    "jsonb_to_recordset({parent}totals) AS {child} (minor bigint, currency text) ORDER BY {child}.currency",
                    1,
                    "What their stays cost together, by currency.",
                ),
                list(
                    "BookingStatusSummary",
                    "byStatus",
                    "jsonb_to_recordset({parent}by_status) AS {child} (status text, count bigint, totals jsonb) \
                     ORDER BY {child}.status",
                    5,
                    "The same for each status that occurs.",
                ),
            ],
        ),
        Object::new(
            "BookingStatusSummary",
            "How many bookings of one status there are, and what they come to.",
            vec![
                one_of("BookingStatus", "status", "{}status", "The status."),
                long("count", "{}count", "How many."),
                list(
                    "Money",
                    "totals",
                    "jsonb_to_recordset({parent}totals) AS {child} (minor bigint, currency text) ORDER BY {child}.currency",
                    1,
                    "What their stays cost together, by currency.",
                ),
            ],
        ),
    ]
}

pub(super) const ARGUMENTS: [Argument; 1] =
    [Argument::new("filter", Input::Object("BookingFilter"), "Only those that fit this.")];

pub(super) fn summary() -> Field {
    Field::new(
        "bookingsSummary",
        What::Row("BookingsSummary", Source::Made(of_bookings)),
        "Counts and sums of the bookings that fit the filter. Null only beside an error.",
    )
    .or_null()
    .weighs(WEIGHT)
}

/// The bookings are read once, and summed up for each status and currency; the rest is made of these few rows.
fn of_bookings(call: &Call<'_>, parameters: &mut Parameters) -> Result<String, Error> {
    booking::check(call.arguments)?;
    let from = "view.booking {child} WHERE NOT {child}.erased";
    let narrowed = narrowed(from, &booking::CONDITIONS, "b", call.parent, call.arguments, parameters);
    Ok(format!(
        "(WITH held AS MATERIALIZED (SELECT b.status, b.total_currency AS currency, count(*) AS count, \
            sum(b.total_minor)::bigint AS minor FROM {narrowed} GROUP BY 1, 2) \
          SELECT (SELECT coalesce(sum(count), 0)::bigint FROM held) AS count, \
            (SELECT coalesce(jsonb_agg(jsonb_build_object('currency', currency, 'minor', minor)), '[]') FROM \
                (SELECT currency, sum(minor)::bigint AS minor FROM held GROUP BY 1) sums) AS totals, \
            (SELECT coalesce(jsonb_agg(jsonb_build_object('status', status, 'count', count, 'totals', totals)), '[]') FROM \
                (SELECT status, sum(count)::bigint AS count, \
                    jsonb_agg(jsonb_build_object('currency', currency, 'minor', minor)) AS totals \
                 FROM held GROUP BY 1) sums) AS by_status) {}",
        call.child
    ))
}
