//! A booking that a site has sold: received, and then what Direct booking says of it; or cancelled by the site, at any time
//! before the guest comes.
//!
//! Whatever the order in which word comes: what the site cancels before it is known whether there is a room ends cancelled or
//! rejected, and what has ended stays so.

use chrono::{DateTime, Utc};
use contracts::{
    channel_manager::{SiteBookingEvent, SiteBookingStatus},
    direct_booking::{BookingStatus, Guests},
    envelope::AggregateVersion,
    id::{BookingId, RoomTypeId, SiteId},
    money::Money,
};

use super::site;
use crate::stay::Stay;

/// A booking that a site has sold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SiteBooking {
    pub(crate) id: BookingId,
    pub(crate) version: AggregateVersion,
    pub(crate) status: SiteBookingStatus,
    pub(crate) site_id: SiteId,
    /// What the site calls it.
    pub(crate) reference: String,
    pub(crate) room_type_id: RoomTypeId,
    pub(crate) stay: Stay,
    pub(crate) guests: Guests,
    pub(crate) nightly_rate: Money,
    pub(crate) received_at: DateTime<Utc>,
    pub(crate) rejection: Option<String>,
}

/// What a site tells that it has sold. Each part is valid by itself.
#[derive(Clone, Debug)]
pub(crate) struct Receive {
    pub(crate) id: BookingId,
    pub(crate) reference: String,
    pub(crate) room_type_id: RoomTypeId,
    pub(crate) stay: Stay,
    pub(crate) guests: Guests,
    pub(crate) nightly_rate: Money,
}

/// What Direct booking says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// A room is kept.
    Kept,
    /// There is none, and why.
    Rejected(Option<String>),
    /// The guest has come: it cannot be cancelled any more.
    Arrived,
    /// It is cancelled, by whomever.
    Cancelled,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The site may not.
    #[error(transparent)]
    Site(#[from] site::Refusal),
    /// The site has told of it before, as the booking of this id.
    #[error("the reference is that of booking {0}")]
    ReferenceTaken(String),
    /// Its status does not allow it.
    #[error("the booking is {}", .0.as_str())]
    NotNow(SiteBookingStatus),
    /// The guest has come.
    #[error("the guest has come")]
    Arrived,
}

/// Takes what a site has sold, whether or not there is a room.
pub(crate) fn receive(receive: Receive, site_id: SiteId, now: DateTime<Utc>) -> (SiteBooking, SiteBookingEvent) {
    let Receive { id, reference, room_type_id, stay, guests, nightly_rate } = receive;
    let booking = SiteBooking {
        id,
        version: AggregateVersion::FIRST,
        status: SiteBookingStatus::Received,
        site_id,
        reference,
        room_type_id,
        stay,
        guests,
        nightly_rate,
        received_at: now,
        rejection: None,
    };
    (booking, SiteBookingEvent::SiteBookingReceived)
}

impl Word {
    /// What the state of a booking says.
    pub(crate) fn of(status: BookingStatus, rejection: Option<String>) -> Self {
        match status {
            BookingStatus::Pending | BookingStatus::Confirmed => Self::Kept,
            BookingStatus::Rejected => Self::Rejected(rejection),
            BookingStatus::CheckedIn | BookingStatus::CheckedOut => Self::Arrived,
            BookingStatus::Cancelled | BookingStatus::Expired => Self::Cancelled,
        }
    }
}

impl SiteBooking {
    /// The site cancels it; `is_arrived`: the guest has come, as far as is known here.
    pub(crate) fn cancel(&self, is_arrived: bool) -> Result<(Self, SiteBookingEvent), Refusal> {
        match self.status {
            SiteBookingStatus::Accepted if is_arrived => Err(Refusal::Arrived),
            SiteBookingStatus::Received | SiteBookingStatus::Accepted => {
                Ok((self.next(SiteBookingStatus::Cancelling), SiteBookingEvent::SiteBookingCancellationReceived))
            }
            other => Err(Refusal::NotNow(other)),
        }
    }

    /// Direct booking has said something of it. `None`: it was said before, or is overtaken.
    pub(crate) fn heard(&self, word: &Word) -> Option<(Self, SiteBookingEvent)> {
        use SiteBookingStatus::{Accepted, Cancelled, Cancelling, Received, Rejected};
        match (self.status, word) {
            (Rejected | Cancelled, _) => None,
            (Received, Word::Kept | Word::Arrived) | (Cancelling, Word::Arrived) => {
                Some((self.next(Accepted), SiteBookingEvent::SiteBookingAccepted))
            }
            // That it is cancelled is on its way to Direct booking, or its answer here.
            (Cancelling, Word::Kept) | (Accepted, Word::Kept | Word::Arrived) => None,
            (Received | Cancelling, Word::Rejected(reason)) => {
                let next = Self { rejection: reason.clone(), ..self.next(Rejected) };
                Some((next, SiteBookingEvent::SiteBookingRejected))
            }
            (Accepted, Word::Rejected(_)) => None,
            (Received | Accepted | Cancelling, Word::Cancelled) => {
                Some((self.next(Cancelled), SiteBookingEvent::SiteBookingCancelled))
            }
        }
    }

    /// Whether the site is told: it is not, while somebody is still to say something.
    pub(crate) fn is_told(status: SiteBookingStatus) -> bool {
        !matches!(status, SiteBookingStatus::Received | SiteBookingStatus::Cancelling)
    }

    fn next(&self, status: SiteBookingStatus) -> Self {
        Self { version: self.version.next(), status, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::money::Currency;
    use proptest::{prelude::*, sample::select};

    fn received() -> SiteBooking {
        let check_in = "2026-03-01".parse().unwrap();
        let sold = Receive {
            id: "1".parse().unwrap(),
            reference: "XY-1".to_owned(),
            room_type_id: "double".parse().unwrap(),
            stay: Stay::new(check_in, check_in.succ_opt().unwrap()).unwrap(),
            guests: Guests { adults: 2, children: 0, babies: 0 },
            nightly_rate: Money { amount_minor: 100, currency: Currency::EUR },
        };
        receive(sold, "expo".parse().unwrap(), "2026-02-01T12:00:00Z".parse().unwrap()).0
    }

    fn words() -> impl Strategy<Value = Option<Word>> {
        let rejected = Word::Rejected(Some("no-room".to_owned()));
        // None: the site cancels it.
        select(vec![None, Some(Word::Kept), Some(rejected), Some(Word::Arrived), Some(Word::Cancelled)])
    }

    proptest! {
        #[test]
        fn whatever_is_said_in_whatever_order_what_has_ended_stays_so(said in prop::collection::vec(words(), 0..12)) {
            let mut booking = received();
            for word in said {
                let next = match &word {
                    Some(word) => booking.heard(word),
                    None => booking.cancel(false).ok(),
                };
                let Some((next, _)) = next else { continue };
                prop_assert!(!matches!(booking.status, SiteBookingStatus::Rejected | SiteBookingStatus::Cancelled));
                prop_assert_eq!(next.version, booking.version.next());
                prop_assert_eq!(next.rejection.is_some(), next.status == SiteBookingStatus::Rejected);
                // What is said twice is said once.
                if let Some(word) = &word {
                    prop_assert_eq!(next.heard(word), None);
                }
                booking = next;
            }
        }

        #[test]
        fn what_was_cancelled_before_it_was_known_ends_cancelled_or_rejected(
            answers in select(vec![
                vec![Word::Kept, Word::Cancelled], vec![Word::Cancelled, Word::Kept], vec![Word::Cancelled],
                vec![Word::Rejected(None)], vec![Word::Kept, Word::Kept, Word::Cancelled, Word::Kept],
            ]),
            cancelled_after in 0usize..5
        ) {
            let mut booking = received();
            for (at, word) in answers.iter().enumerate() {
                if at == cancelled_after {
                    booking = booking.cancel(false).map_or(booking, |(next, _)| next);
                }
                booking = booking.heard(word).map_or(booking, |(next, _)| next);
            }
            let ends = [SiteBookingStatus::Cancelled, SiteBookingStatus::Rejected];
            prop_assert!(ends.contains(&booking.status), "{:?}", booking.status);
        }
    }

    #[test]
    fn a_guest_who_has_come_is_not_sent_away() {
        let (accepted, _) = received().heard(&Word::Kept).unwrap();
        assert_eq!(accepted.cancel(true), Err(Refusal::Arrived));
        // Word of the arrival was still on its way.
        let (cancelling, _) = accepted.cancel(false).unwrap();
        let (accepted, event) = cancelling.heard(&Word::Arrived).unwrap();
        assert_eq!((accepted.status, event), (SiteBookingStatus::Accepted, SiteBookingEvent::SiteBookingAccepted));
        assert_eq!(cancelling.cancel(false), Err(Refusal::NotNow(SiteBookingStatus::Cancelling)));
    }
}
