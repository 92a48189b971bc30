//! A booking's life: made, confirmed when it is paid or rejected when it is not, and then the guest comes and leaves; or it is
//! cancelled, or nobody pays in time.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    direct_booking::{BookedBy, BookingEvent, BookingStatus, Guests},
    envelope::AggregateVersion,
    id::{AccountId, BookingId, RatePlanId, RoomTypeId},
    money::Money,
};

use super::{guest::NewGuest, rate_plan::RatePlan};
use crate::stay::Stay;

/// A booking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Booking {
    pub(crate) id: BookingId,
    pub(crate) version: AggregateVersion,
    pub(crate) status: BookingStatus,
    pub(crate) booked_by: BookedBy,
    pub(crate) room_type_id: RoomTypeId,
    /// The room that the guest was given.
    pub(crate) room: Option<String>,
    pub(crate) stay: Stay,
    pub(crate) guests: Guests,
    pub(crate) rate_plan_id: Option<RatePlanId>,
    pub(crate) nightly_rate: Money,
    pub(crate) total: Money,
    pub(crate) made_at: DateTime<Utc>,
    pub(crate) rejection: Option<String>,
    pub(crate) confirmation_requested_at: Option<DateTime<Utc>>,
    pub(crate) cancelled_at: Option<DateTime<Utc>>,
    pub(crate) checked_in_at: Option<DateTime<Utc>>,
    pub(crate) checked_out_at: Option<DateTime<Utc>>,
}

/// What a client asks for. Each part is valid by itself.
#[derive(Clone, Debug)]
pub(crate) struct Make {
    pub(crate) id: BookingId,
    pub(crate) booker: Booker,
    pub(crate) room_type_id: RoomTypeId,
    pub(crate) stay: Stay,
    pub(crate) guests: Guests,
    pub(crate) price: Price,
}

/// Who wants to book.
#[derive(Clone, Debug)]
pub(crate) enum Booker {
    /// An account's holder.
    Account(AccountId),
    /// Somebody without an account.
    Guest(NewGuest),
}

/// What a night is to cost.
#[derive(Clone, Debug)]
pub(crate) enum Price {
    /// What was agreed.
    Agreed(Money),
    /// What a rate plan says; and what the client was shown, if it minds.
    Plan(RatePlanId, Option<Money>),
}

/// What this context knows about what a booking names.
#[derive(Clone, Debug)]
pub(crate) struct Situation {
    /// Whether the account is open, by the context's own copy; `None` when it has not heard of it.
    pub(crate) account_is_open: Option<bool>,
    /// How many rooms the type has; `None` when there is no such type.
    pub(crate) rooms: Option<u32>,
    /// The rate plan that is named, if there is one of this id.
    pub(crate) plan: Option<RatePlan>,
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
    /// No such rate plan, or it is for another type of room.
    #[error("there is no such rate plan for rooms of this type")]
    UnknownRatePlan,
    /// What the price was nobody may say any more.
    #[error("the price was valid until {0}")]
    StalePrice(DateTime<Utc>),
    /// The client was shown another one.
    #[error("the price is another one now")]
    OtherPrice(Money),
    /// Every room is taken on that night.
    #[error("no room is free on the night of {0}")]
    NoRoom(NaiveDate),
    /// Its price cannot be written.
    #[error("the total is too large")]
    TooExpensive,
    /// Its status does not allow it.
    #[error("the booking is {}", .0.as_str())]
    NotNow(BookingStatus),
    /// The stay is over.
    #[error("the stay ended on {0}")]
    Over(NaiveDate),
    /// The guest is too early.
    #[error("the stay begins on {0}")]
    TooEarly(NaiveDate),
    /// The room is none of this type.
    #[error("there is no room {0} of this type")]
    UnknownRoom(String),
    /// Somebody is in it.
    #[error("room {0} is occupied")]
    RoomOccupied(String),
    /// Somebody is in every room of the type.
    #[error("every room of this type is occupied")]
    AllOccupied,
}

/// Decides whether a booking is made, but for the rooms: those are counted under locks, see [`first_full_night`].
pub(crate) fn make(make: Make, situation: &Situation, now: DateTime<Utc>) -> Result<(Booking, BookingEvent), Refusal> {
    let Make { id, booker, room_type_id, stay, guests, price } = make;
    let (booked_by, event) = match booker {
        Booker::Account(account_id) => match situation.account_is_open {
            None => return Err(Refusal::UnknownAccount),
            Some(false) => return Err(Refusal::AccountClosed),
            Some(true) => (BookedBy::Account { account_id }, BookingEvent::BookingMadeOnAccount),
        },
        Booker::Guest(guest) => (BookedBy::Guest { guest_id: guest.id }, BookingEvent::BookingMadeByGuest),
    };
    if situation.rooms.is_none() {
        return Err(Refusal::UnknownRoomType);
    }
    let (rate_plan_id, nightly_rate) = match price {
        Price::Agreed(rate) => (None, rate),
        Price::Plan(id, shown) => {
            let plan = situation.plan.as_ref().filter(|plan| plan.room_type_id == room_type_id);
            let rate = plan.ok_or(Refusal::UnknownRatePlan)?.rate(shown, now)?;
            (Some(id), rate)
        }
    };
    let total = nightly_rate.times(stay.taken().into()).ok_or(Refusal::TooExpensive)?;
    // What costs nothing is paid.
    let status = if total.amount_minor == 0 { BookingStatus::Confirmed } else { BookingStatus::Pending };
    let booking = Booking {
        id,
        version: AggregateVersion::FIRST,
        status,
        booked_by,
        room_type_id,
        room: None,
        stay,
        guests,
        rate_plan_id,
        nightly_rate,
        total,
        made_at: now,
        rejection: None,
        confirmation_requested_at: None,
        cancelled_at: None,
        checked_in_at: None,
        checked_out_at: None,
    };
    Ok((booking, event))
}

/// The first night of a stay for which no room could be held; `held` are those for which one could, in any order.
pub(crate) fn first_full_night(stay: Stay, held: &[NaiveDate]) -> Option<NaiveDate> {
    stay.nights().find(|night| !held.contains(night))
}

/// Chooses the room for a guest who comes: the one that is wanted, else the first that is free.
pub(crate) fn choose_room(wanted: Option<&str>, rooms: &[String], occupied: &[String]) -> Result<String, Refusal> {
    match wanted {
        Some(wanted) if !rooms.iter().any(|room| room == wanted) => Err(Refusal::UnknownRoom(wanted.to_owned())),
        Some(wanted) if occupied.iter().any(|room| room == wanted) => Err(Refusal::RoomOccupied(wanted.to_owned())),
        Some(wanted) => Ok(wanted.to_owned()),
        None => rooms.iter().find(|room| !occupied.contains(room)).cloned().ok_or(Refusal::AllOccupied),
    }
}

impl Booking {
    /// Cancels it, until the guest comes or the day of departure is over.
    pub(crate) fn cancel(&self, now: DateTime<Utc>) -> Result<(Self, BookingEvent), Refusal> {
        if !matches!(self.status, BookingStatus::Pending | BookingStatus::Confirmed) {
            return Err(Refusal::NotNow(self.status));
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

    /// The guest is to be sent a confirmation; as often as it is asked for, until the guest has left.
    pub(crate) fn send_confirmation(&self, now: DateTime<Utc>) -> Result<(Self, BookingEvent), Refusal> {
        if !matches!(self.status, BookingStatus::Confirmed | BookingStatus::CheckedIn) {
            return Err(Refusal::NotNow(self.status));
        }
        let next = Self { confirmation_requested_at: Some(now), ..self.next(self.status) };
        Ok((next, BookingEvent::ConfirmationRequested))
    }

    /// Nobody paid in time. `None`: it is not awaited any more.
    pub(crate) fn expire(&self) -> Option<(Self, BookingEvent)> {
        (self.status == BookingStatus::Pending)
            .then(|| (self.next(BookingStatus::Expired), BookingEvent::BookingExpired))
    }

    /// Whether the guest may come in at this moment.
    pub(crate) fn may_check_in(&self, now: DateTime<Utc>) -> Result<(), Refusal> {
        let today = now.date_naive();
        match self.status {
            BookingStatus::Confirmed if today < self.stay.check_in() => Err(Refusal::TooEarly(self.stay.check_in())),
            BookingStatus::Confirmed if today > self.stay.check_out() => Err(Refusal::Over(self.stay.check_out())),
            BookingStatus::Confirmed => Ok(()),
            other => Err(Refusal::NotNow(other)),
        }
    }

    /// The guest has come, and is given a room.
    pub(crate) fn check_in(&self, room: String, now: DateTime<Utc>) -> Result<(Self, BookingEvent), Refusal> {
        self.may_check_in(now)?;
        let next = Self { room: Some(room), checked_in_at: Some(now), ..self.next(BookingStatus::CheckedIn) };
        Ok((next, BookingEvent::GuestCheckedIn))
    }

    /// The guest has left.
    pub(crate) fn check_out(&self, now: DateTime<Utc>) -> Result<(Self, BookingEvent), Refusal> {
        if self.status != BookingStatus::CheckedIn {
            return Err(Refusal::NotNow(self.status));
        }
        let next = Self { checked_out_at: Some(now), ..self.next(BookingStatus::CheckedOut) };
        Ok((next, BookingEvent::GuestCheckedOut))
    }

    /// Whether a room is held for it from the beginning on.
    pub(crate) fn needs_room(&self) -> bool {
        self.status != BookingStatus::Rejected
    }

    /// The nights that nobody needs any more now that it is in this state.
    pub(crate) fn free_nights(&self) -> impl Iterator<Item = NaiveDate> {
        let needed = match (self.status, self.checked_out_at) {
            (BookingStatus::Cancelled | BookingStatus::Expired | BookingStatus::Rejected, _) => 0,
            // Who leaves early leaves a room to others, from this night on.
            (BookingStatus::CheckedOut, Some(left)) => {
                let slept = (left.date_naive() - self.stay.check_in()).num_days();
                usize::try_from(slept).unwrap_or_default()
            }
            _ => usize::MAX,
        };
        self.stay.nights().skip(needed)
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

    const OPEN: Situation = Situation { account_is_open: Some(true), rooms: Some(5), plan: None };

    fn now() -> DateTime<Utc> {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn euros(amount_minor: i64) -> Money {
        Money { amount_minor, currency: Currency::EUR }
    }

    fn wish(nights: u64, rate: i64) -> Make {
        let check_in = now().date_naive() + Days::new(10);
        Make {
            id: "1".parse().unwrap(),
            booker: Booker::Account("7".parse().unwrap()),
            room_type_id: "A".parse().unwrap(),
            stay: Stay::new(check_in, check_in + Days::new(nights)).unwrap(),
            guests: Guests { adults: 2, children: 0, babies: 0 },
            price: Price::Agreed(euros(rate)),
        }
    }

    proptest! {
        #[test]
        fn each_night_is_paid_and_day_use_once(nights in 0u64..=366, rate in 0i64..=10_000_000_000) {
            let (booking, event) = make(wish(nights, rate), &OPEN, now()).unwrap();
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
            let (booking, _) = make(wish(nights, 1), &OPEN, now()).unwrap();
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
                    prop_assert_eq!(cancelled.cancel(later), Err(Refusal::NotNow(BookingStatus::Cancelled)));
                    prop_assert_eq!(cancelled.status, BookingStatus::Cancelled);
                    let undone = Booking { version: booking.version, status: booking.status, cancelled_at: None, ..cancelled };
                    prop_assert_eq!(undone, booking);
                }
            }
        }
    }

    #[test]
    fn a_payment_ends_once_and_not_after_a_cancellation() {
        let (booking, _) = make(wish(2, 100), &OPEN, now()).unwrap();
        let declined = PaymentOutcome::Declined("no-card".to_owned());
        let (confirmed, event) = booking.payment_ended(PaymentOutcome::Taken).unwrap();
        assert_eq!((confirmed.status, event), (BookingStatus::Confirmed, BookingEvent::BookingConfirmed));
        let (rejected, event) = booking.payment_ended(declined.clone()).unwrap();
        assert_eq!((rejected.status, event), (BookingStatus::Rejected, BookingEvent::BookingRejected));
        assert_eq!(rejected.rejection.as_deref(), Some("no-card"));
        assert_eq!(rejected.cancel(now()), Err(Refusal::NotNow(BookingStatus::Rejected)));
        let (cancelled, _) = booking.cancel(now()).unwrap();
        for ended in [confirmed, rejected, cancelled] {
            assert_eq!(ended.payment_ended(PaymentOutcome::Taken), None);
            assert_eq!(ended.payment_ended(declined.clone()), None);
        }
    }

    #[test]
    fn what_a_booking_names_has_to_be_there() {
        let refusal = |situation| make(wish(1, 1), &situation, now()).unwrap_err();
        assert_eq!(refusal(Situation { account_is_open: None, ..OPEN }), Refusal::UnknownAccount);
        assert_eq!(refusal(Situation { account_is_open: Some(false), ..OPEN }), Refusal::AccountClosed);
        assert_eq!(refusal(Situation { rooms: None, ..OPEN }), Refusal::UnknownRoomType);
    }

    #[test]
    fn a_total_that_does_not_fit_is_refused() {
        assert_eq!(make(wish(2, i64::MAX), &OPEN, now()).unwrap_err(), Refusal::TooExpensive);
    }

    #[test]
    fn a_guest_pays_as_a_guest() {
        let guest =
            NewGuest { id: "g".parse().unwrap(), name: "Ada".into(), email: "a@b".into(), card_token: "t".into() };
        let wish = Make { booker: Booker::Guest(guest), ..wish(1, 5) };
        let (booking, event) = make(wish, &Situation { account_is_open: None, ..OPEN }, now()).unwrap();
        assert_eq!(event, BookingEvent::BookingMadeByGuest);
        assert_eq!(booking.booked_by, BookedBy::Guest { guest_id: "g".parse().unwrap() });
    }

    #[test]
    fn a_price_is_the_rate_plans_while_that_is_valid_and_what_was_shown() {
        let until = now() + TimeDelta::hours(1);
        let plan = RatePlan {
            id: "flex".parse().unwrap(),
            version: AggregateVersion::FIRST,
            room_type_id: "A".parse().unwrap(),
            name: "Flexible".into(),
            nightly_rate: euros(70),
            valid_until: until,
        };
        let priced = |plan: Option<RatePlan>, shown: Option<i64>, now| {
            let wish = Make { price: Price::Plan("flex".parse().unwrap(), shown.map(euros)), ..wish(2, 0) };
            make(wish, &Situation { plan, ..OPEN }, now).map(|(booking, _)| booking)
        };
        for shown in [None, Some(70)] {
            let booking = priced(Some(plan.clone()), shown, now()).unwrap();
            assert_eq!((booking.total, booking.rate_plan_id), (euros(140), Some(plan.id.clone())));
        }
        assert_eq!(priced(Some(plan.clone()), Some(69), now()).unwrap_err(), Refusal::OtherPrice(euros(70)));
        assert_eq!(priced(Some(plan.clone()), None, until).unwrap_err(), Refusal::StalePrice(until));
        let another = RatePlan { room_type_id: "B".parse().unwrap(), ..plan };
        assert_eq!(priced(Some(another), None, now()).unwrap_err(), Refusal::UnknownRatePlan);
        assert_eq!(priced(None, None, now()).unwrap_err(), Refusal::UnknownRatePlan);
    }

    #[test]
    fn an_unpaid_booking_expires_and_no_other() {
        let (pending, _) = make(wish(1, 1), &OPEN, now()).unwrap();
        let (expired, event) = pending.expire().unwrap();
        assert_eq!((expired.status, event), (BookingStatus::Expired, BookingEvent::BookingExpired));
        assert_eq!(expired.payment_ended(PaymentOutcome::Taken), None);
        assert_eq!(expired.expire(), None);
        assert_eq!(pending.payment_ended(PaymentOutcome::Taken).unwrap().0.expire(), None);
    }

    #[test]
    fn a_confirmation_is_sent_of_what_is_confirmed() {
        let (pending, _) = make(wish(1, 1), &OPEN, now()).unwrap();
        assert_eq!(pending.send_confirmation(now()), Err(Refusal::NotNow(BookingStatus::Pending)));
        let (confirmed, _) = pending.payment_ended(PaymentOutcome::Taken).unwrap();
        let (told, event) = confirmed.send_confirmation(now()).unwrap();
        assert_eq!((event, told.version), (BookingEvent::ConfirmationRequested, confirmed.version.next()));
        assert_eq!((told.status, told.confirmation_requested_at), (BookingStatus::Confirmed, Some(now())));
        assert_eq!(told.free_nights().count(), 0);
    }

    #[test]
    fn a_guest_comes_when_it_is_time_and_leaves_once() {
        let (booking, _) = make(wish(3, 0), &OPEN, now()).unwrap();
        let arrival = now() + TimeDelta::days(10);
        let (from, to) = (booking.stay.check_in(), booking.stay.check_out());
        let come = |at| booking.check_in("1".into(), at).map(|(booking, _)| booking);
        assert_eq!(come(arrival - TimeDelta::days(1)), Err(Refusal::TooEarly(from)));
        assert_eq!(come(arrival + TimeDelta::days(4)), Err(Refusal::Over(to)));
        let inside = come(arrival).unwrap();
        assert_eq!((inside.room.as_deref(), inside.status), (Some("1"), BookingStatus::CheckedIn));
        assert_eq!(inside.cancel(arrival), Err(Refusal::NotNow(BookingStatus::CheckedIn)));
        let (left, event) = inside.check_out(arrival + TimeDelta::days(1)).unwrap();
        assert_eq!(event, BookingEvent::GuestCheckedOut);
        assert_eq!(left.check_out(arrival), Err(Refusal::NotNow(BookingStatus::CheckedOut)));
        let (pending, _) = make(wish(3, 1), &OPEN, now()).unwrap();
        assert_eq!(pending.may_check_in(arrival), Err(Refusal::NotNow(BookingStatus::Pending)));
    }

    proptest! {
        #[test]
        fn who_leaves_has_had_some_nights_and_the_others_are_free(nights in 0u64..30, stayed in 0i64..60) {
            let (booking, _) = make(wish(nights, 0), &OPEN, now()).unwrap();
            prop_assert_eq!(booking.free_nights().count(), 0);
            prop_assert!(booking.cancel(now()).unwrap().0.free_nights().eq(booking.stay.nights()));
            let arrival = now() + TimeDelta::days(10);
            let (inside, _) = booking.check_in("1".into(), arrival).unwrap();
            prop_assert_eq!(inside.free_nights().count(), 0);
            let (left, _) = inside.check_out(arrival + TimeDelta::days(stayed)).unwrap();
            let left_on = left.checked_out_at.unwrap().date_naive();
            prop_assert!(left.free_nights().eq(booking.stay.nights().filter(|night| *night >= left_on)));
        }
    }

    #[test]
    fn a_room_is_the_one_that_is_wanted_or_the_first_that_is_free() {
        let rooms = ["1", "2", "3"].map(str::to_owned);
        let choose = |wanted, occupied: &[&str]| {
            choose_room(wanted, &rooms, &occupied.iter().map(|room| (*room).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(choose(None, &["1"]).as_deref(), Ok("2"));
        assert_eq!(choose(Some("3"), &["1"]).as_deref(), Ok("3"));
        assert_eq!(choose(Some("1"), &["1"]), Err(Refusal::RoomOccupied("1".into())));
        assert_eq!(choose(Some("4"), &[]), Err(Refusal::UnknownRoom("4".into())));
        assert_eq!(choose(None, &["3", "2", "1"]), Err(Refusal::AllOccupied));
    }
}
