//! What the ledger holds: one entry for each charge and each refund that was decided, never changed after.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::fields::{AmountMinor, CardToken, Currency, Key, Reference};

/// One charge or refund. The same in the ledger's file, a line each, and in `GET /v1/ledger`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// The processor's name for it: `ch_…` or `re_…`.
    pub id: String,
    /// The key under which it was asked for. No two entries have the same.
    pub key: Key,
    /// Whether money was taken or given back.
    pub kind: Kind,
    /// How it turned out.
    pub status: Status,
    /// Why it was declined; only of a declined charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline_code: Option<DeclineCode>,
    /// The key of the charge that is refunded; only of a refund.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge_key: Option<Key>,
    /// The card; a refund has that of its charge.
    pub card_token: CardToken,
    /// How much.
    pub amount_minor: AmountMinor,
    /// Of what.
    pub currency: Currency,
    /// What the caller calls the thing that is paid; a refund has that of its charge.
    pub reference: Reference,
    /// When it was decided.
    pub at: DateTime<Utc>,
}

/// Whether money was taken or given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Taken.
    Charge,
    /// Given back.
    Refund,
}

/// How it turned out. Both are definite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The money moved.
    Succeeded,
    /// It did not.
    Declined,
}

/// Why a charge was declined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeclineCode {
    /// The bank said no, and not why.
    CardDeclined,
    /// There is not so much money.
    InsufficientFunds,
}

/// A request for a charge.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Charge {
    pub(crate) card_token: CardToken,
    pub(crate) amount_minor: AmountMinor,
    pub(crate) currency: Currency,
    pub(crate) reference: Reference,
}

/// A request for a refund.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Refund {
    pub(crate) charge_key: Key,
    pub(crate) amount_minor: AmountMinor,
    pub(crate) currency: Currency,
}

/// What is asked for under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Charge(Charge),
    Refund(Refund),
}

impl From<Charge> for Wish {
    fn from(charge: Charge) -> Self {
        Self::Charge(charge)
    }
}

impl From<Refund> for Wish {
    fn from(refund: Refund) -> Self {
        Self::Refund(refund)
    }
}

impl Entry {
    /// Whether this is what was wished for.
    pub(crate) fn grants(&self, wish: &Wish) -> bool {
        match wish {
            Wish::Charge(charge) => {
                self.kind == Kind::Charge
                    && self.card_token == charge.card_token
                    && self.amount_minor == charge.amount_minor
                    && self.currency == charge.currency
                    && self.reference == charge.reference
            }
            Wish::Refund(refund) => {
                self.kind == Kind::Refund
                    && self.charge_key.as_ref() == Some(&refund.charge_key)
                    && self.amount_minor == refund.amount_minor
                    && self.currency == refund.currency
            }
        }
    }
}
