//! Bookings as Direct booking tells them: documents of varied content in the envelopes that the relay would give them.
//!
//! A booking is known by its number: the same number is the same booking, and a later number was made later.

use anyhow::{Context, Result};
use chrono::{DateTime, Days, TimeDelta, Utc};
use contracts::{
    direct_booking::{BOOKING, BookedBy, BookingDocument, BookingEvent, BookingStatus, Guests, SOURCE},
    envelope::{AggregateVersion, Envelope, Lsn, Position, TraceContext},
    id::BookingId,
    money::{Currency, Money},
};
use uuid::Uuid;

/// So many of each there are, as many as in a hotel of some size.
const ROOM_TYPES: u64 = 50;
const ACCOUNTS: u64 = 5_000;

/// Bookings, of which one was made each millisecond from a moment on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bookings {
    since: DateTime<Utc>,
    /// How much later than they were made their events are recorded.
    delay: TimeDelta,
}

/// What is told of a booking.
pub(super) struct Told {
    pub(super) document: BookingDocument,
    pub(super) envelope: Envelope,
}

impl Bookings {
    pub(super) fn made_since(since: DateTime<Utc>) -> Self {
        Self { since, delay: TimeDelta::zero() }
    }

    /// The same bookings, of which something is told so much later.
    pub(super) fn told_after(self, delay: TimeDelta) -> Self {
        Self { delay, ..self }
    }

    /// The id of a booking.
    pub(super) fn id(self, number: u64) -> Result<BookingId> {
        Ok(self.uuid(number, 0)?.to_string().parse()?)
    }

    /// A version of a booking: the first is that it was made.
    pub(super) fn told(self, number: u64, version: i64) -> Result<Told> {
        let document = self.document(number, version)?;
        let event = match (document.status, &document.booked_by) {
            (_, BookedBy::Account { .. }) if version == 1 => BookingEvent::BookingMadeOnAccount,
            (_, BookedBy::Guest { .. }) if version == 1 => BookingEvent::BookingMadeByGuest,
            (_, BookedBy::Channel { .. }) if version == 1 => BookingEvent::BookingMadeThroughChannel,
            (BookingStatus::CheckedIn, _) => BookingEvent::GuestCheckedIn,
            (BookingStatus::Cancelled, _) => BookingEvent::BookingCancelled,
            _ => BookingEvent::BookingConfirmed,
        };
        let step = version.unsigned_abs();
        let (trace, span) = (self.uuid(number, step * 8 + 1)?.simple(), mixed(number, step * 8 + 2));
        let envelope = Envelope {
            id: self.uuid(number, step * 8 + 3)?,
            source: SOURCE.to_owned(),
            ty: event.ty().to_owned(),
            subject: document.booking_id.to_string(),
            sequence: Some(document.version),
            time: document.made_at + self.delay,
            dataschema: Some(BOOKING.schema_uri()),
            correlation_id: Some(self.uuid(number, 4)?.to_string()),
            causation_id: Some(self.uuid(number, step * 8 + 5)?.to_string()),
            valid_until: None,
            trace: TraceContext { traceparent: Some(format!("00-{trace}-{span:016x}-00")), tracestate: None },
            position: Some(Position {
                system: 7_392_847_298_374_928,
                timeline: 1,
                commit: Lsn(number * 1_024),
                ordinal: 1,
            }),
        };
        Ok(Told { document, envelope })
    }

    fn document(self, number: u64, version: i64) -> Result<BookingDocument> {
        let any = |what: u64, of: u64| mixed(number, 16 + what) % of;
        let made_at = self.made_at(number)?;
        let nights = any(0, 7) + 1;
        let check_in = made_at.date_naive() + Days::new(any(1, 360));
        let guest = self.uuid(number, 6)?;
        let booked_by = match any(2, 10) {
            0..7 => BookedBy::Account { account_id: format!("account-{}", any(3, ACCOUNTS)).parse()? },
            7..9 => BookedBy::Guest { guest_id: guest.to_string().parse()? },
            _ => BookedBy::Channel { site_id: "example".parse()?, reference: format!("EX-{number}") },
        };
        let status = match any(4, 10) {
            _ if version == 1 && matches!(booked_by, BookedBy::Channel { .. }) => BookingStatus::Confirmed,
            _ if version == 1 => BookingStatus::Pending,
            0..2 => BookingStatus::Cancelled,
            2..5 => BookingStatus::CheckedIn,
            _ => BookingStatus::Confirmed,
        };
        let later = Some(made_at + TimeDelta::seconds(version));
        let nightly_rate = Money { amount_minor: 5_000 + i64::try_from(any(5, 200))? * 100, currency: Currency::EUR };
        Ok(BookingDocument {
            booking_id: self.id(number)?,
            version: AggregateVersion::try_from(version)?,
            status,
            booked_by,
            room_type_id: format!("type-{}", any(6, ROOM_TYPES)).parse()?,
            room: (status == BookingStatus::CheckedIn).then(|| format!("{}", 100 + any(7, 900))),
            check_in,
            check_out: check_in + Days::new(nights),
            guests: Guests { adults: 2, children: u16::try_from(any(8, 3))?, babies: u16::try_from(any(9, 2))? },
            rate_plan_id: (any(10, 2) == 0).then(|| "flexible".parse()).transpose()?,
            nightly_rate,
            total: nightly_rate.times(i64::try_from(nights)?).context("a stay of too many nights")?,
            made_at,
            rejection: None,
            confirmation_requested_at: later.filter(|_| status == BookingStatus::Confirmed && any(11, 4) == 0),
            cancelled_at: later.filter(|_| status == BookingStatus::Cancelled),
            checked_in_at: later.filter(|_| status == BookingStatus::CheckedIn),
            checked_out_at: None,
        })
    }

    fn made_at(self, number: u64) -> Result<DateTime<Utc>> {
        Ok(self.since + TimeDelta::milliseconds(i64::try_from(number)?))
    }

    /// As they are made: the time first (version 7). `purpose` tells those of one booking apart.
    fn uuid(self, number: u64, purpose: u64) -> Result<Uuid> {
        let millis = u64::try_from(self.made_at(number)?.timestamp_millis())?;
        let mut random = [0; 10];
        random[..8].copy_from_slice(&mixed(number, purpose).to_le_bytes());
        random[8..].copy_from_slice(&mixed(purpose, number).to_le_bytes()[..2]);
        Ok(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }
}

/// A number as good as a random one, always the same for the same two (Steele, Lea and Flood's splitmix64).
pub(super) fn mixed(number: u64, purpose: u64) -> u64 {
    let z = number.wrapping_add(purpose << 40).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_booking_is_always_the_same_and_no_two_share_an_id() {
        let bookings = Bookings::made_since(Utc::now());
        let (one, again) = (bookings.told(1, 1).unwrap(), bookings.told(1, 1).unwrap());
        assert_eq!((&one.document, &one.envelope), (&again.document, &again.envelope));
        let ids: std::collections::BTreeSet<_> = (0..10_000).map(|number| bookings.id(number).unwrap()).collect();
        assert_eq!(ids.len(), 10_000);
        let later = bookings.told(1, 2).unwrap();
        assert_eq!(later.document.booking_id, one.document.booking_id);
        assert_ne!(later.envelope.id, one.envelope.id);
    }
}
