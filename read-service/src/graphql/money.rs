//! Amounts of money.

use async_graphql::SimpleObject;

use super::scalars::Long;
use crate::view::{self, Columns};

/// An amount of money.
#[derive(Clone, Debug, SimpleObject)]
pub(crate) struct Money {
    /// The amount in the currency's smallest unit: 7500 is 75 euros.
    pub amount_minor: Long,
    /// The currency, as ISO 4217 writes it: `EUR`.
    pub currency: String,
}

impl Money {
    /// Reads two columns: amount and currency.
    pub(super) fn read(columns: &mut Columns<'_>) -> Result<Self, view::Error> {
        Ok(Self { amount_minor: Long(columns.take()?), currency: columns.take()? })
    }
}
