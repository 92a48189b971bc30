//! How many rooms a site may sell for a night: counted from what is there, never up and down.

use chrono::{Days, NaiveDate};
use contracts::direct_booking::{BookingDocument, BookingStatus};

use crate::stay::{Invalid, Stay};

/// What there is of a type of room for one night.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Night {
    /// How many rooms the site was allotted.
    pub(crate) allotted: i64,
    /// For how many bookings that the site has sold a room is held.
    pub(crate) sold: i64,
    /// How many rooms there are.
    pub(crate) rooms: i64,
    /// For how many bookings one is held, whoever has sold them.
    pub(crate) held: i64,
}

impl Night {
    /// What the site may still sell: no more than it was allotted, and no more than there is.
    pub(crate) fn available(self) -> u32 {
        let left = (self.allotted - self.sold).min(self.rooms - self.held);
        u32::try_from(left.max(0)).unwrap_or(u32::MAX)
    }
}

/// The night from which on no room is held for a booking; its day of arrival, where none is.
///
/// # Errors
/// When its days are not a stay.
pub(crate) fn held_until(booking: &BookingDocument) -> Result<NaiveDate, Invalid> {
    let stay = Stay::new(booking.check_in, booking.check_out)?;
    let end = stay.check_in() + Days::new(stay.taken().into());
    Ok(match booking.status {
        BookingStatus::Pending | BookingStatus::Confirmed | BookingStatus::CheckedIn => end,
        BookingStatus::Rejected | BookingStatus::Cancelled | BookingStatus::Expired => stay.check_in(),
        // Who leaves early leaves a room to others, from that night on.
        BookingStatus::CheckedOut => match booking.checked_out_at {
            Some(left) => left.date_naive().clamp(stay.check_in(), end),
            None => end,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::{
        direct_booking::{BookedBy, Guests},
        envelope::AggregateVersion,
        money::{Currency, Money},
    };
    use proptest::{prelude::*, sample::select};

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn booking(status: BookingStatus, nights: u64, left_after: Option<i64>) -> BookingDocument {
        let check_in = day("2026-03-01");
        let rate = Money { amount_minor: 1, currency: Currency::EUR };
        let at = |days| check_in.and_hms_opt(11, 0, 0).unwrap().and_utc() + chrono::TimeDelta::days(days);
        BookingDocument {
            booking_id: "1".parse().unwrap(),
            version: AggregateVersion::FIRST,
            status,
            booked_by: BookedBy::Channel { site_id: "expo".parse().unwrap(), reference: "1".to_owned() },
            room_type_id: "double".parse().unwrap(),
            room: None,
            check_in,
            check_out: check_in + Days::new(nights),
            guests: Guests { adults: 1, children: 0, babies: 0 },
            rate_plan_id: None,
            nightly_rate: rate,
            total: rate,
            made_at: at(-9),
            rejection: None,
            confirmation_requested_at: None,
            cancelled_at: None,
            checked_in_at: None,
            checked_out_at: left_after.map(at),
        }
    }

    proptest! {
        #[test]
        fn a_site_sells_no_more_than_its_allotment_and_no_more_than_there_is(
            allotted in 0i64..10, sold in 0i64..10, rooms in 0i64..10, others in 0i64..10
        ) {
            let night = Night { allotted, sold, rooms, held: sold + others };
            let available = i64::from(night.available());
            prop_assert!(available == 0 || (sold + available <= allotted && sold + others + available <= rooms));
            // And no less: one room more would be one too many.
            prop_assert!(sold + available + 1 > allotted || sold + others + available + 1 > rooms);
        }

        #[test]
        fn a_room_is_held_for_the_nights_of_a_stay_until_it_is_given_back(
            nights in 0u64..30, status in select(BookingStatus::ALL), left_after in prop::option::of(-3i64..40)
        ) {
            let booking = booking(status, nights, left_after);
            let held = (held_until(&booking).unwrap() - booking.check_in).num_days();
            let taken = i64::try_from(nights.max(1)).unwrap();
            let expected = match status {
                BookingStatus::Rejected | BookingStatus::Cancelled | BookingStatus::Expired => 0,
                BookingStatus::CheckedOut => left_after.map_or(taken, |days| days.clamp(0, taken)),
                _ => taken,
            };
            prop_assert_eq!(held, expected);
        }
    }

    #[test]
    fn what_is_no_stay_holds_nothing() {
        let upside_down =
            BookingDocument { check_out: day("2026-02-01"), ..booking(BookingStatus::Confirmed, 1, None) };
        assert!(held_until(&upside_down).is_err());
    }
}
