//! From when to when: the nights for which a room is taken.

use chrono::{Days, Months, NaiveDate};

/// The longest stay, in nights.
pub(crate) const MOST_NIGHTS: u32 = 366;

/// How far ahead rooms can be booked.
const AHEAD: Months = Months::new(36);

/// A stay, from the day of arrival to the day of departure. On the same day it is day use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stay {
    check_in: NaiveDate,
    nights: u32,
}

/// Why two dates are not a stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    /// The departure comes first.
    #[error("is before checkIn")]
    UpsideDown,
    /// It is too long.
    #[error("is more than {MOST_NIGHTS} nights after checkIn")]
    TooLong,
}

/// Why a stay cannot be booked today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Untimely {
    /// It has begun.
    #[error("is in the past: today is {0}")]
    Past(NaiveDate),
    /// It is too far away.
    #[error("is too far ahead: the last day that can be booked is {0}")]
    TooFarAhead(NaiveDate),
}

impl Stay {
    /// The stay between these days.
    pub(crate) fn new(check_in: NaiveDate, check_out: NaiveDate) -> Result<Self, Invalid> {
        let nights = u32::try_from((check_out - check_in).num_days()).map_err(|_| Invalid::UpsideDown)?;
        if nights <= MOST_NIGHTS { Ok(Self { check_in, nights }) } else { Err(Invalid::TooLong) }
    }

    /// The day of arrival.
    pub(crate) fn check_in(self) -> NaiveDate {
        self.check_in
    }

    /// The day of departure.
    pub(crate) fn check_out(self) -> NaiveDate {
        self.check_in + Days::new(self.nights.into())
    }

    /// For how many nights a room is taken, and paid: those of the stay, or for day use the one of that day.
    pub(crate) fn taken(self) -> u32 {
        self.nights.max(1)
    }

    /// The nights for which a room is taken, in order.
    pub(crate) fn nights(self) -> impl Iterator<Item = NaiveDate> {
        self.check_in.iter_days().take(self.taken() as usize)
    }

    /// Whether it can be booked on that day.
    pub(crate) fn is_timely(self, today: NaiveDate) -> Result<(), Untimely> {
        let last = today.checked_add_months(AHEAD).unwrap_or(NaiveDate::MAX);
        if self.check_in < today {
            Err(Untimely::Past(today))
        } else if self.check_in > last {
            Err(Untimely::TooFarAhead(last))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    proptest! {
        #[test]
        fn a_stay_takes_the_nights_between_its_days(start in 0u64..40_000, nights in 0i64..=366) {
            let check_in = day("2000-01-01") + Days::new(start);
            let check_out = check_in + chrono::TimeDelta::days(nights);
            let stay = Stay::new(check_in, check_out).unwrap();
            prop_assert_eq!((stay.check_in(), stay.check_out()), (check_in, check_out));
            let taken: Vec<_> = stay.nights().collect();
            prop_assert_eq!(taken.len() as u32, stay.taken());
            prop_assert_eq!(taken[0], check_in);
            prop_assert!(taken.is_sorted());
            prop_assert!(nights == 0 || taken.iter().all(|night| *night < check_out));
        }
    }

    #[test]
    fn the_departure_does_not_come_first_nor_after_more_than_a_year() {
        assert_eq!(Stay::new(day("2026-03-02"), day("2026-03-01")), Err(Invalid::UpsideDown));
        assert!(Stay::new(day("2026-03-01"), day("2026-03-01")).is_ok());
        assert!(Stay::new(day("2027-03-01"), day("2028-03-01")).is_ok());
        assert_eq!(Stay::new(day("2027-03-01"), day("2028-03-02")), Err(Invalid::TooLong));
        assert_eq!(Stay::new(day("0001-01-01"), day("9999-12-31")), Err(Invalid::TooLong));
    }

    #[test]
    fn it_can_be_booked_from_today_for_three_years() {
        let on = |check_in| Stay::new(day(check_in), day(check_in)).unwrap().is_timely(day("2026-03-01"));
        assert_eq!(on("2026-02-28"), Err(Untimely::Past(day("2026-03-01"))));
        assert_eq!(on("2026-03-01"), Ok(()));
        assert_eq!(on("2029-03-01"), Ok(()));
        assert_eq!(on("2029-03-02"), Err(Untimely::TooFarAhead(day("2029-03-01"))));
    }
}
