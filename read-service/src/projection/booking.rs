//! `view.booking`: who comes when, into which kind of room, at whose expense, for how much, and what became of it.

use contracts::direct_booking::{BookedBy, BookingDocument};

use super::{
    column::{day, instant, int, long, text},
    projector::Projection,
};
use crate::live::Kind;

/// Fills `view.booking`.
pub(super) static BOOKING: Projection<BookingDocument> = Projection {
    identity: |booking| (booking.booking_id.as_str(), booking.version),
    columns: &[
        text("status", |booking| Some(booking.status.as_str())),
        text("account_id", |booking| match &booking.booked_by {
            BookedBy::Account { account_id } => Some(account_id.as_str()),
            BookedBy::Guest { .. } | BookedBy::Channel { .. } => None,
        }),
        text("guest_id", |booking| match &booking.booked_by {
            BookedBy::Guest { guest_id } => Some(guest_id.as_str()),
            BookedBy::Account { .. } | BookedBy::Channel { .. } => None,
        }),
        text("site_id", |booking| match &booking.booked_by {
            BookedBy::Channel { site_id, .. } => Some(site_id.as_str()),
            BookedBy::Account { .. } | BookedBy::Guest { .. } => None,
        }),
        text("site_reference", |booking| match &booking.booked_by {
            BookedBy::Channel { reference, .. } => Some(reference),
            BookedBy::Account { .. } | BookedBy::Guest { .. } => None,
        }),
        text("room_type_id", |booking| Some(booking.room_type_id.as_str())),
        text("room", |booking| booking.room.as_deref()),
        day("check_in", |booking| Some(booking.check_in)),
        day("check_out", |booking| Some(booking.check_out)),
        int("adults", |booking| Some(booking.guests.adults.into())),
        int("children", |booking| Some(booking.guests.children.into())),
        int("babies", |booking| Some(booking.guests.babies.into())),
        text("rate_plan_id", |booking| booking.rate_plan_id.as_ref().map(|plan| plan.as_str())),
        long("nightly_rate_minor", |booking| Some(booking.nightly_rate.amount_minor)),
        text("nightly_rate_currency", |booking| Some(booking.nightly_rate.currency.as_str())),
        long("total_minor", |booking| Some(booking.total.amount_minor)),
        text("total_currency", |booking| Some(booking.total.currency.as_str())),
        instant("made_at", |booking| Some(booking.made_at)),
        text("rejection", |booking| booking.rejection.as_deref()),
        instant("confirmation_requested_at", |booking| booking.confirmation_requested_at),
        instant("cancelled_at", |booking| booking.cancelled_at),
        instant("checked_in_at", |booking| booking.checked_in_at),
        instant("checked_out_at", |booking| booking.checked_out_at),
    ],
    followed_by: &[
        (Kind::Booking, |booking| booking.booking_id.as_str()),
        (Kind::RoomType, |booking| booking.room_type_id.as_str()),
    ],
};
