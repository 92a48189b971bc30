//! `view.site_booking`: what the aggregator sites have sold, and whether there was a room for it.

use contracts::channel_manager::SiteBookingDocument;

use super::{
    column::{day, instant, int, long, text},
    projector::Projection,
};

/// Fills `view.site_booking`.
pub(super) static SITE_BOOKING: Projection<SiteBookingDocument> = Projection {
    identity: |sold| (sold.booking_id.as_str(), sold.version),
    columns: &[
        text("status", |sold| Some(sold.status.as_str())),
        text("site_id", |sold| Some(sold.site_id.as_str())),
        text("reference", |sold| Some(&sold.reference)),
        text("room_type_id", |sold| Some(sold.room_type_id.as_str())),
        day("check_in", |sold| Some(sold.check_in)),
        day("check_out", |sold| Some(sold.check_out)),
        int("adults", |sold| Some(sold.guests.adults.into())),
        int("children", |sold| Some(sold.guests.children.into())),
        int("babies", |sold| Some(sold.guests.babies.into())),
        long("nightly_rate_minor", |sold| Some(sold.nightly_rate.amount_minor)),
        text("nightly_rate_currency", |sold| Some(sold.nightly_rate.currency.as_str())),
        instant("received_at", |sold| Some(sold.received_at)),
        text("rejection", |sold| sold.rejection.as_deref()),
    ],
    followed_by: &[],
};
