//! Values that several types have: money, guests.

use super::words::{Object, int, long, text};

pub(super) fn objects() -> Vec<Object> {
    vec![
        Object::new(
            "Money",
            "An amount of money.",
            vec![
                long("amountMinor", "{}minor", "The amount in the currency's smallest unit: 7500 is 75 euros."),
                text("currency", "{}currency", "The currency, as ISO 4217 writes it: `EUR`."),
            ],
        ),
        Object::new(
            "Guests",
            "How many guests come.",
            vec![
                int("adults", "{}adults", "Adults."),
                int("children", "{}children", "Children."),
                int("babies", "{}babies", "Babies."),
            ],
        ),
    ]
}
