//! How many rooms of each type the file needs: it has bookings but no inventory.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::row::Row;

/// Rooms by room type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Inventory(BTreeMap<String, usize>);

impl Inventory {
    /// For each room type the most rooms that these rows take in one night. Day use takes the room for its day. Cancelled
    /// bookings count, since the file does not say what else was booked while they held a room.
    pub(crate) fn peak<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Self {
        let mut nights: BTreeMap<(&str, NaiveDate), usize> = BTreeMap::new();
        for row in rows {
            for night in row.nights() {
                *nights.entry((&row.room_type, night)).or_default() += 1;
            }
        }
        let mut peaks = BTreeMap::new();
        for ((room_type, _), taken) in nights {
            let peak = peaks.entry(room_type.to_owned()).or_default();
            *peak = taken.max(*peak);
        }
        Self(peaks)
    }

    pub(crate) fn types(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn rooms(&self) -> usize {
        self.0.values().sum()
    }

    /// Each room type with how many rooms it has.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().map(|(room_type, rooms)| (room_type.as_str(), *rooms))
    }

    /// How many rooms of a type there are.
    pub(crate) fn rooms_of(&self, room_type: &str) -> usize {
        self.0.get(room_type).copied().unwrap_or_default()
    }
}

impl Row {
    /// The nights for which a room is taken; for day use, the day.
    pub(crate) fn nights(&self) -> impl Iterator<Item = NaiveDate> {
        let nights = (self.check_out - self.check_in).num_days().max(1);
        self.check_in.iter_days().take(nights as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::row::Channel, *};
    use chrono::{DateTime, Days, Utc};

    fn row(room_type: &str, check_in: u64, nights: u64) -> Row {
        let check_in = NaiveDate::default() + Days::new(check_in);
        Row {
            line: 2,
            room_type: room_type.to_owned(),
            channel: Channel::House,
            agent: None,
            company: None,
            check_in,
            check_out: check_in + Days::new(nights),
            guests: [1, 0, 0],
            rate_cents: 0,
            made_at: DateTime::<Utc>::default(),
            cancelled_at: None,
        }
    }

    #[test]
    fn the_peak_is_that_of_the_fullest_night_and_day_use_counts() {
        let rows = [row("A", 0, 2), row("A", 1, 2), row("A", 2, 1), row("A", 1, 0), row("B", 0, 0)];
        let peak = Inventory::peak(&rows);
        assert_eq!(peak, Inventory([("A".to_owned(), 3), ("B".to_owned(), 1)].into()));
        assert_eq!((peak.types(), peak.rooms()), (2, 4));
    }
}
