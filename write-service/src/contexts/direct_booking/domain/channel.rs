//! Bookings that an aggregator site has sold: the site collects the money, so that all that matters here is whether there is
//! a room.

use chrono::{DateTime, Utc};
use contracts::{
    direct_booking::{BookedBy, BookingEvent, BookingStatus, Guests},
    envelope::AggregateVersion,
    id::{BookingId, RoomTypeId, SiteId},
    money::Money,
};

use super::booking::Booking;
use crate::stay::Stay;

/// Why what was sold is not to be had.
const NO_ROOM: &str = "no-room";
const UNKNOWN_ROOM_TYPE: &str = "unknown-room-type";

/// What a site has sold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sold {
    pub(crate) id: BookingId,
    pub(crate) site_id: SiteId,
    pub(crate) reference: String,
    pub(crate) room_type_id: RoomTypeId,
    pub(crate) stay: Stay,
    pub(crate) guests: Guests,
    pub(crate) nightly_rate: Money,
}

/// A room is kept for it.
pub(crate) fn keep(sold: &Sold, now: DateTime<Utc>) -> (Booking, BookingEvent) {
    (booking(sold, BookingStatus::Confirmed, None, now), BookingEvent::BookingMadeThroughChannel)
}

/// There is none: none at all, or none that is free.
pub(crate) fn reject(sold: &Sold, is_known: bool, now: DateTime<Utc>) -> (Booking, BookingEvent) {
    let reason = if is_known { NO_ROOM } else { UNKNOWN_ROOM_TYPE };
    (booking(sold, BookingStatus::Rejected, Some(reason.to_owned()), now), BookingEvent::BookingRejected)
}

/// The site says that it is cancelled, whatever the day. `None`: it is no more, or the guest is here.
pub(crate) fn cancelled_by_site(booking: &Booking, now: DateTime<Utc>) -> Option<(Booking, BookingEvent)> {
    (booking.status == BookingStatus::Confirmed).then(|| {
        let next = Booking {
            version: booking.version.next(),
            status: BookingStatus::Cancelled,
            cancelled_at: Some(now),
            ..booking.clone()
        };
        (next, BookingEvent::BookingCancelled)
    })
}

fn booking(sold: &Sold, status: BookingStatus, rejection: Option<String>, now: DateTime<Utc>) -> Booking {
    let Sold { id, site_id, reference, room_type_id, stay, guests, nightly_rate } = sold.clone();
    // What cannot be written is not asked for here: the site has set the price.
    let total = nightly_rate.times(stay.taken().into()).unwrap_or(nightly_rate);
    Booking {
        id,
        version: AggregateVersion::FIRST,
        status,
        booked_by: BookedBy::Channel { site_id, reference },
        room_type_id,
        room: None,
        stay,
        guests,
        rate_plan_id: None,
        nightly_rate,
        total,
        made_at: now,
        rejection,
        confirmation_requested_at: None,
        cancelled_at: None,
        checked_in_at: None,
        checked_out_at: None,
    }
}
