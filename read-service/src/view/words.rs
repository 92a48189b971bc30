//! How a status is spelt in the tables: as in the documents.

use contracts::{accounts::AccountStatus, direct_booking::BookingStatus};

/// The words for an account's status.
pub(crate) const ACCOUNT_STATUS: &[(AccountStatus, &str)] =
    &[(AccountStatus::Open, "OPEN"), (AccountStatus::Closed, "CLOSED")];

/// The words for a booking's status.
pub(crate) const BOOKING_STATUS: &[(BookingStatus, &str)] =
    &[(BookingStatus::Confirmed, "CONFIRMED"), (BookingStatus::Cancelled, "CANCELLED")];

/// The word for a value; empty for one that the list lacks, which a test rules out.
pub(crate) fn word_of<T: Copy + PartialEq>(words: &'static [(T, &'static str)], value: T) -> &'static str {
    words.iter().find(|(known, _)| *known == value).map_or("", |(_, word)| word)
}

/// The value that a word stands for.
pub(crate) fn value_of<T: Copy>(words: &'static [(T, &'static str)], word: &str) -> Option<T> {
    words.iter().find(|(_, known)| *known == word).map(|(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_spelt_as_in_the_document() {
        for (status, word) in ACCOUNT_STATUS {
            assert_eq!(serde_json::to_value(status).unwrap(), *word);
        }
        for (status, word) in BOOKING_STATUS {
            assert_eq!(serde_json::to_value(status).unwrap(), *word);
        }
    }

    #[test]
    fn every_status_has_a_word() {
        // A new variant breaks these matches, and with them this test's build: add its word above.
        let account = |status| match status {
            AccountStatus::Open | AccountStatus::Closed => word_of(ACCOUNT_STATUS, status),
        };
        let booking = |status| match status {
            BookingStatus::Confirmed | BookingStatus::Cancelled => word_of(BOOKING_STATUS, status),
        };
        assert_eq!((account(AccountStatus::Closed), booking(BookingStatus::Cancelled)), ("CLOSED", "CANCELLED"));
    }
}
