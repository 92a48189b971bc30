//! What the site was told, in order, and what it goes by now. In memory, and bounded.

use std::collections::{BTreeMap, VecDeque, btree_map::Entry};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// So much of what it was told is remembered.
const MOST_TOLD: usize = 100_000;

/// What the site was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// All of it, in the order in which it came; the oldest is forgotten in the end.
    pub told: VecDeque<Told>,
    /// For each type of room, how many may be sold for each night.
    pub availability: BTreeMap<String, BTreeMap<NaiveDate, NightTold>>,
    /// What became of each booking, by the site's reference.
    pub bookings: BTreeMap<String, BookingTold>,
}

/// One thing that the site was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Told {
    /// What it may sell.
    Night {
        /// Of which type.
        room_type_id: String,
        /// How much.
        #[serde(flatten)]
        told: NightTold,
    },
    /// What became of a booking.
    Booking {
        /// Of which.
        reference: String,
        /// What.
        #[serde(flatten)]
        told: BookingTold,
    },
}

/// How many rooms may be sold for a night.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NightTold {
    /// The night.
    pub night: NaiveDate,
    /// So many.
    pub available: u32,
    /// Rises with each change.
    pub revision: u64,
}

/// What became of a booking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BookingTold {
    /// `ACCEPTED`, `REJECTED` or `CANCELLED`.
    pub status: String,
    /// The hotel's own name for it.
    pub booking_id: String,
    /// Rises with each change.
    pub revision: u64,
}

impl Ledger {
    /// Takes what may be sold.
    pub(crate) fn nights(&mut self, room_type_id: &str, nights: &[NightTold]) {
        let known = self.availability.entry(room_type_id.to_owned()).or_default();
        for told in nights {
            keep(known.entry(told.night), *told, |it| it.revision);
            self.told.push_back(Told::Night { room_type_id: room_type_id.to_owned(), told: *told });
        }
        self.forget();
    }

    /// Takes what became of a booking.
    pub(crate) fn booking(&mut self, reference: String, told: BookingTold) {
        keep(self.bookings.entry(reference.clone()), told.clone(), |it| it.revision);
        self.told.push_back(Told::Booking { reference, told });
        self.forget();
    }

    fn forget(&mut self) {
        let surplus = self.told.len().saturating_sub(MOST_TOLD);
        self.told.drain(..surplus);
    }
}

/// Keeps what is of the highest revision.
fn keep<K: Ord, V>(entry: Entry<'_, K, V>, told: V, revision: impl Fn(&V) -> u64) {
    match entry {
        Entry::Vacant(vacant) => drop(vacant.insert(told)),
        Entry::Occupied(mut known) if revision(known.get()) <= revision(&told) => drop(known.insert(told)),
        Entry::Occupied(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_revision_is_remembered_and_changes_nothing() {
        let mut ledger = Ledger::default();
        let night = NaiveDate::default();
        for (available, revision) in [(3, 1), (1, 3), (2, 2)] {
            ledger.nights("double", &[NightTold { night, available, revision }]);
        }
        assert_eq!(ledger.availability["double"][&night].available, 1);
        for (status, revision) in [("ACCEPTED", 2), ("CANCELLED", 4), ("ACCEPTED", 2)] {
            let told = BookingTold { status: status.to_owned(), booking_id: "1".to_owned(), revision };
            ledger.booking("X1".to_owned(), told);
        }
        assert_eq!(ledger.bookings["X1"].status, "CANCELLED");
        assert_eq!(ledger.told.len(), 6);
    }
}
