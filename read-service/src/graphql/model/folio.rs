//! A booking's folio: what is owed for it night by night, what was paid, and what is left.

use super::{
    Argument, Call, Field, Input, Object, Source, What,
    words::{date, id, joined, list, money},
};
use crate::graphql::{
    error::Error,
    parameters::{Parameters, Value},
};

pub(super) fn object() -> Object {
    Object::new(
        "Folio",
        "What is owed for a booking, what was paid, and what is left.",
        vec![
            id("bookingId", "{}id", "The booking's id."),
            joined("Booking", "booking", "id", "The booking."),
            joined(
                "Payment",
                "payment",
                "id",
                "Its payment; null when there is none, or it has not arrived in this view yet.",
            ),
            list(
                "FolioLine",
                "lines",
                "(SELECT {parent}check_in + n AS night, {parent}nightly_rate_minor AS amount_minor, \
                 {parent}nightly_rate_currency AS amount_currency FROM generate_series(0, {parent}nights - 1) n \
                 WHERE {parent}is_owed) {child} ORDER BY {child}.night",
                7,
                "What each night costs; none where nothing is owed.",
            ),
            money(
                "charged",
                "charged_",
                "What is owed: nothing for a booking that was rejected, cancelled or has expired.",
            ),
            money("paid", "paid_", "What was paid and not given back."),
            money("balance", "balance_", "What is left to pay; below nothing, what is left to give back."),
        ],
    )
}

pub(super) fn line() -> Object {
    Object::new(
        "FolioLine",
        "What a night costs.",
        vec![
            date("night", "{}night", "The day on which the night begins; for day use, the day."),
            money("amount", "amount_", "What it costs."),
        ],
    )
}

pub(super) const ARGUMENTS: [Argument; 1] =
    [Argument::new("bookingId", Input::Id("Booking"), "The booking.").required()];

pub(super) fn folio() -> Field {
    let description = "A booking's folio; null when there is no such booking, or it has not arrived in this view yet.";
    Field::new("folio", What::Row("Folio", Source::Made(of_booking)), description).or_null()
}

fn of_booking(call: &Call<'_>, parameters: &mut Parameters) -> Result<String, Error> {
    let booking = parameters.add(Value::Text(call.arguments.text("bookingId").unwrap_or_default().to_owned()));
    Ok(format!(
        "(SELECT f.*, f.charged_currency AS balance_currency, f.charged_minor - f.paid_minor AS balance_minor FROM \
            (SELECT b.id, b.check_in, b.nightly_rate_minor, b.nightly_rate_currency, o.is_owed, \
                greatest(b.check_out - b.check_in, 1) AS nights, \
                CASE WHEN o.is_owed THEN b.total_minor ELSE 0 END AS charged_minor, b.total_currency AS charged_currency, \
                CASE WHEN p.status IN ('TAKEN', 'REFUNDING') THEN p.amount_minor ELSE 0 END AS paid_minor, \
                b.total_currency AS paid_currency \
             FROM view.booking b CROSS JOIN LATERAL \
                (SELECT b.status NOT IN ('REJECTED', 'CANCELLED', 'EXPIRED') AS is_owed) o \
             LEFT JOIN view.payment p ON p.id = b.id AND NOT p.erased \
             WHERE b.id = {booking} AND NOT b.erased) f) {}",
        call.child
    ))
}
