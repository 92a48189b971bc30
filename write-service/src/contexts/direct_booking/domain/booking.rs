//! A booking's life: made on an account, confirmed when it is paid or rejected when it is not, and perhaps cancelled.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    direct_booking::{BookingEvent, BookingStatus, Guests},
    envelope::AggregateVersion,
    id::{AccountId, BookingId, RoomTypeId},
    money::Money,
};

use super::stay::Stay;

/// A booking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Booking {
    pub(crate) id: BookingId,
    pub(crate) version: AggregateVersion,
    pub(crate) status: BookingStatus,
    pub(crate) account_id: AccountId,
    pub(crate) room_type_id: RoomTypeId,
    pub(crate) stay: Stay,
    pub(crate) guests: Guests,
    pub(crate) nightly_rate: Money,
    pub(crate) total: Money,
    pub(crate) made_at: DateTime<Utc>,
    pub(crate) rejection: Option<String>,
    pub(crate) cancelled_at: Option<DateTime<Utc>>,
}

/// What a client asks for. Each part is valid by itself.
#[derive(Clone, Debug)]
pub(crate) struct Make {
    pub(crate) id: BookingId,
    pub(crate) account_id: AccountId,
    pub(crate) room_type_id: RoomTypeId,
    pub(crate) stay: Stay,
    pub(crate) guests: Guests,
    pub(crate) nightly_rate: Money,
}

/// What this context knows about what a booking names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    /// Whether the account is open, by the context's own copy; `None` when it has not heard of it.
    pub(crate) account_is_open: Option<bool>,
    /// How many rooms the type has; `None` when there is no such type.
    pub(crate) rooms: Option<u32>,
}

/// How a payment has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PaymentOutcome {
    /// It was taken.
    Taken,
    /// It was not, and why.
    Declined(String),
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// No such account, or not heard of yet.
    #[error("the account is not known here, or not yet")]
    UnknownAccount,
    /// Nothing can be booked on it.
    #[error("the account is closed")]
    AccountClosed,
    /// No such room type.
    #[error("there is no such room type")]
    UnknownRoomType,
    /// Every room is taken on that night.
    #[error("no room is free on the night of {0}")]
    NoRoom(NaiveDate),
    /// Its price cannot be written.
    #[error("the total is too large")]
    TooExpensive,
    /// It is cancelled.
    #[error("the booking is cancelled already")]
    AlreadyCancelled,
    /// It was not paid.
    #[error("the booking was rejected")]
    Rejected,
    /// The stay is over.
    #[error("the stay ended on {0}")]
    Over(NaiveDate),
}

/// Decides whether a booking is made, but for the rooms: those are counted under locks, see [`first_full_night`].
pub(crate) fn make(make: Make, situation: Situation, now: DateTime<Utc>) -> Result<(Booking, BookingEvent), Refusal> {
    match situation.account_is_open {
        None => return Err(Refusal::UnknownAccount),
        Some(false) => return Err(Refusal::AccountClosed),
        Some(true) => {}
    }
    if situation.rooms.is_none() {
        return Err(Refusal::UnknownRoomType);
    }
    let total = make.nightly_rate.times(make.stay.taken().into()).ok_or(Refusal::TooExpensive)?;
    let Make { id, account_id, room_type_id, stay, guests, nightly_rate } = make;
    let version = AggregateVersion::FIRST;
    // What costs nothing is paid.
    let status = if total.amount_minor == 0 { BookingStatus::Confirmed } else { BookingStatus::Pending };
    let booking = Booking {
        id,
        version,
        status,
        account_id,
        room_type_id,
        stay,
        guests,
        nightly_rate,
        total,
        made_at: now,
        rejection: None,
        cancelled_at: None,
    };
    Ok((booking, BookingEvent::BookingMadeOnAccount))
}

/// The first night of a stay for which no room could be held; `held` are those for which one could, in any order.
pub(crate) fn first_full_night(stay: Stay, held: &[NaiveDate]) -> Option<NaiveDate> {
    stay.nights().find(|night| !held.contains(night))
}

impl Booking {
    /// Cancels it, until the day of departure.
    pub(crate) fn cancel(&self, now: DateTime<Utc>) -> Result<(Self, BookingEvent), Refusal> {
        match self.status {
            BookingStatus::Pending | BookingStatus::Confirmed => {}
            BookingStatus::Rejected => return Err(Refusal::Rejected),
            BookingStatus::Cancelled => return Err(Refusal::AlreadyCancelled),
        }
        if now.date_naive() > self.stay.check_out() {
            return Err(Refusal::Over(self.stay.check_out()));
        }
        let next = Self { cancelled_at: Some(now), ..self.next(BookingStatus::Cancelled) };
        Ok((next, BookingEvent::BookingCancelled))
    }

    /// Its payment has ended. `None`: it is not awaited, or not any more.
    pub(crate) fn payment_ended(&self, payment: PaymentOutcome) -> Option<(Self, BookingEvent)> {
        if self.status != BookingStatus::Pending {
            return None;
        }
        Some(match payment {
            PaymentOutcome::Taken => (self.next(BookingStatus::Confirmed), BookingEvent::BookingConfirmed),
            PaymentOutcome::Declined(reason) => {
                let next = Self { rejection: Some(reason), ..self.next(BookingStatus::Rejected) };
                (next, BookingEvent::BookingRejected)
            }
        })
    }

    fn next(&self, status: BookingStatus) -> Self {
        Self { version: self.version.next(), status, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Days, TimeDelta};
    use contracts::money::Currency;
    use proptest::prelude::*;

    const OPEN: Situation = Situation { account_is_open: Some(true), rooms: Some(5) };

    fn now() -> DateTime<Utc> {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn wish(nights: u64, rate: i64) -> Make {
        let check_in = now().date_naive() + Days::new(10);
        Make {
            id: "1".parse().unwrap(),
            account_id: "7".parse().unwrap(),
            room_type_id: "A".parse().unwrap(),
            stay: Stay::new(check_in, check_in + Days::new(nights)).unwrap(),
            guests: Guests { adults: 2, children: 0, babies: 0 },
            nightly_rate: Money { amount_minor: rate, currency: Currency::EUR },
        }
    }

    proptest! {
        #[test]
        fn each_night_is_paid_and_day_use_once(nights in 0u64..=366, rate in 0i64..=10_000_000_000) {
            let (booking, event) = make(wish(nights, rate), OPEN, now()).unwrap();
            prop_assert_eq!(event, BookingEvent::BookingMadeOnAccount);
            prop_assert_eq!(booking.total.amount_minor, rate * i64::try_from(nights.max(1)).unwrap());
            prop_assert_eq!((booking.version.get(), booking.made_at), (1, now()));
            prop_assert_eq!(booking.status == BookingStatus::Confirmed, rate == 0);
        }

        #[test]
        fn the_first_full_night_is_the_first_that_is_not_held(nights in 1u64..30, full in prop::collection::btree_set(0u64..30, 0..5)) {
            let stay = wish(nights, 1).stay;
            let full: Vec<_> = full.into_iter().map(|night| stay.check_in() + Days::new(night)).collect();
            let held: Vec<_> = stay.nights().filter(|night| !full.contains(night)).collect();
            let expected = full.into_iter().find(|night| stay.nights().any(|other| other == *night));
            prop_assert_eq!(first_full_night(stay, &held), expected);
        }

        #[test]
        fn a_booking_is_cancelled_once_and_not_after_the_departure(nights in 0u64..30, hours in 0i64..2_000) {
            let (booking, _) = make(wish(nights, 1), OPEN, now()).unwrap();
            let later = now() + TimeDelta::hours(hours);
            match booking.cancel(later) {
                Err(refusal) => {
                    prop_assert_eq!(refusal, Refusal::Over(booking.stay.check_out()));
                    prop_assert!(later.date_naive() > booking.stay.check_out());
                }
                Ok((cancelled, event)) => {
                    prop_assert_eq!(event, BookingEvent::BookingCancelled);
                    prop_assert!(later.date_naive() <= booking.stay.check_out());
                    prop_assert_eq!(cancelled.version, booking.version.next());
                    prop_assert_eq!(cancelled.cancel(later), Err(Refusal::AlreadyCancelled));
                    prop_assert_eq!(cancelled.status, BookingStatus::Cancelled);
                    let undone = Booking { version: booking.version, status: booking.status, cancelled_at: None, ..cancelled };
                    prop_assert_eq!(undone, booking);
                }
            }
        }
    }

    #[test]
    fn a_payment_ends_once_and_not_after_a_cancellation() {
        let (booking, _) = make(wish(2, 100), OPEN, now()).unwrap();
        let declined = PaymentOutcome::Declined("no-card".to_owned());
        let (confirmed, event) = booking.payment_ended(PaymentOutcome::Taken).unwrap();
        assert_eq!((confirmed.status, event), (BookingStatus::Confirmed, BookingEvent::BookingConfirmed));
        let (rejected, event) = booking.payment_ended(declined.clone()).unwrap();
        assert_eq!((rejected.status, event), (BookingStatus::Rejected, BookingEvent::BookingRejected));
        assert_eq!(rejected.rejection.as_deref(), Some("no-card"));
        assert_eq!(rejected.cancel(now()), Err(Refusal::Rejected));
        let (cancelled, _) = booking.cancel(now()).unwrap();
        for ended in [confirmed, rejected, cancelled] {
            assert_eq!(ended.payment_ended(PaymentOutcome::Taken), None);
            assert_eq!(ended.payment_ended(declined.clone()), None);
        }
    }

    #[test]
    fn what_a_booking_names_has_to_be_there() {
        let refusal = |situation| make(wish(1, 1), situation, now()).unwrap_err();
        assert_eq!(refusal(Situation { account_is_open: None, ..OPEN }), Refusal::UnknownAccount);
        assert_eq!(refusal(Situation { account_is_open: Some(false), ..OPEN }), Refusal::AccountClosed);
        assert_eq!(refusal(Situation { rooms: None, ..OPEN }), Refusal::UnknownRoomType);
    }

    #[test]
    fn a_total_that_does_not_fit_is_refused() {
        assert_eq!(make(wish(2, i64::MAX), OPEN, now()).unwrap_err(), Refusal::TooExpensive);
    }
}
