//! What a night costs.

use contracts::money::Money;

use super::{Field, Fields};

/// The highest nightly rate, in the currency's smallest unit.
const HIGHEST: i64 = 10_000_000_000;

/// An amount in a currency's smallest unit.
pub(crate) fn rate(field: &Field<'_>) -> Option<Money> {
    field.object(|fields: &mut Fields<'_>| {
        let amount_minor = fields.required("amountMinor", |amount| amount.integer(0..=HIGHEST));
        let currency = fields.required("currency", |field| field.parsed());
        Some(Money { amount_minor: amount_minor?, currency: currency? })
    })
}
