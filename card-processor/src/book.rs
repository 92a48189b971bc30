//! The book: which key was decided and how, without I/O. It is asked by one thread, one wish at a time, so what it keeps is
//! simple: at most one entry a key, at most one refund a charge, never more given back than was taken.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    entry::{Charge, DeclineCode, Entry, Kind, Refund, Status, Wish},
    fields::Key,
};

/// All entries in order, and what is found by key.
#[derive(Default)]
pub(crate) struct Book {
    entries: Vec<Arc<Entry>>,
    by_key: HashMap<Key, Kept>,
    refunded: HashSet<Key>,
}

struct Kept {
    entry: Arc<Entry>,
    first: Weak<()>,
}

/// Who holds it is the first to ask under a key and has not been answered. Until it is dropped, others wait.
pub(crate) type Ticket = Arc<()>;

/// Where an entry's name and time come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) id: Uuid,
    pub(crate) at: DateTime<Utc>,
}

/// What the book says to a wish.
#[derive(Debug)]
pub(crate) enum Decision {
    /// A new entry, to be written before anybody hears of it.
    New(Arc<Entry>, Ticket),
    /// It was decided before.
    Again(Arc<Entry>),
    /// It is decided, but who asked first has not been answered.
    UnderWay,
    /// The key came with another wish before.
    OtherWish,
    /// It cannot be. Nothing is kept: the key is as free as it was.
    Refused(Refusal),
}

/// Why a refund cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoSuchCharge,
    AlreadyRefunded,
    OtherCurrency,
    MoreThanCharged,
}

/// An entry that contradicts those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Contradiction {
    #[error("an earlier entry has the same key")]
    SameKey,
    #[error("it has a charge's fields and a refund's, or lacks some")]
    Fields,
    #[error("no earlier charge can be refunded so")]
    Refund,
}

impl Book {
    /// Decides a wish. `decline` is said to every charge that is new.
    pub(crate) fn decide(&mut self, key: &Key, wish: &Wish, decline: bool, stamp: Stamp) -> Decision {
        if let Some(kept) = self.by_key.get(key) {
            return match kept.entry.grants(wish) {
                false => Decision::OtherWish,
                true if kept.first.strong_count() > 0 => Decision::UnderWay,
                true => Decision::Again(Arc::clone(&kept.entry)),
            };
        }
        let entry = match wish {
            Wish::Charge(charge) => charged(key, charge, decline, stamp),
            Wish::Refund(refund) => match self.refundable(refund) {
                Ok(charge) => refunded(key, charge, refund, stamp),
                Err(refusal) => return Decision::Refused(refusal),
            },
        };
        let (entry, ticket) = (Arc::new(entry), Ticket::default());
        self.keep(Arc::clone(&entry), Arc::downgrade(&ticket));
        Decision::New(entry, ticket)
    }

    /// Takes in an entry that was written before.
    pub(crate) fn restore(&mut self, entry: Entry) -> Result<(), Contradiction> {
        if self.by_key.contains_key(&entry.key) {
            return Err(Contradiction::SameKey);
        }
        match (entry.kind, entry.status, entry.decline_code, &entry.charge_key) {
            (Kind::Charge, Status::Succeeded, None, None) | (Kind::Charge, Status::Declined, Some(_), None) => {}
            (Kind::Refund, Status::Succeeded, None, Some(charge_key)) => {
                let refund = Refund {
                    charge_key: charge_key.clone(),
                    amount_minor: entry.amount_minor,
                    currency: entry.currency.clone(),
                };
                self.refundable(&refund).map_err(|_| Contradiction::Refund)?;
            }
            _ => return Err(Contradiction::Fields),
        }
        self.keep(Arc::new(entry), Weak::new());
        Ok(())
    }

    /// All entries, in the order in which they were decided.
    pub(crate) fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    fn keep(&mut self, entry: Arc<Entry>, first: Weak<()>) {
        self.refunded.extend(entry.charge_key.clone());
        self.entries.push(Arc::clone(&entry));
        self.by_key.insert(entry.key.clone(), Kept { entry, first });
    }

    /// The charge, if it can be given back so.
    fn refundable(&self, refund: &Refund) -> Result<&Entry, Refusal> {
        let charge = self.by_key.get(&refund.charge_key).map(|kept| &*kept.entry);
        let charge = charge
            .filter(|entry| entry.kind == Kind::Charge && entry.status == Status::Succeeded)
            .ok_or(Refusal::NoSuchCharge)?;
        if self.refunded.contains(&charge.key) {
            return Err(Refusal::AlreadyRefunded);
        }
        if charge.currency != refund.currency {
            return Err(Refusal::OtherCurrency);
        }
        if charge.amount_minor < refund.amount_minor {
            return Err(Refusal::MoreThanCharged);
        }
        Ok(charge)
    }
}

fn charged(key: &Key, charge: &Charge, decline: bool, stamp: Stamp) -> Entry {
    let decline_code = match charge.card_token.as_str() {
        token if token.starts_with("tok_declined") => Some(DeclineCode::CardDeclined),
        token if token.starts_with("tok_insufficient") => Some(DeclineCode::InsufficientFunds),
        _ => decline.then_some(DeclineCode::CardDeclined),
    };
    Entry {
        id: format!("ch_{}", stamp.id.simple()),
        key: key.clone(),
        kind: Kind::Charge,
        status: if decline_code.is_some() { Status::Declined } else { Status::Succeeded },
        decline_code,
        charge_key: None,
        card_token: charge.card_token.clone(),
        amount_minor: charge.amount_minor,
        currency: charge.currency.clone(),
        reference: charge.reference.clone(),
        at: stamp.at,
    }
}

fn refunded(key: &Key, charge: &Entry, refund: &Refund, stamp: Stamp) -> Entry {
    Entry {
        id: format!("re_{}", stamp.id.simple()),
        key: key.clone(),
        kind: Kind::Refund,
        charge_key: Some(charge.key.clone()),
        amount_minor: refund.amount_minor,
        at: stamp.at,
        ..charge.clone()
    }
}

#[cfg(test)]
mod tests;
