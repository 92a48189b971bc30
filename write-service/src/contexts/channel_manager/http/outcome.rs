//! What has come of a booking that a site has sold.

use contracts::channel_manager::{SiteBookingDocument, SiteBookingStatus};
use schemars::JsonSchema;
use serde::Serialize;

use super::{super::domain::site_booking::SiteBooking, site_bookings::COLLECTION};
use crate::outcome::Begun;

/// What has come of a booking that a site has sold.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SiteBookingOutcome {
    /// Whether it is known: nobody is still to say something of it.
    is_known: bool,
    /// What became of it.
    status: SiteBookingStatus,
    /// Why there is no room.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection: Option<String>,
    /// Where it is.
    booking: String,
}

impl Begun for SiteBookingDocument {
    const COLLECTION: &'static str = COLLECTION;
    type Outcome = SiteBookingOutcome;

    fn is_known(&self) -> bool {
        SiteBooking::is_told(self.status)
    }

    fn outcome(self, place: String) -> SiteBookingOutcome {
        let is_known = self.is_known();
        SiteBookingOutcome { is_known, status: self.status, rejection: self.rejection, booking: place }
    }
}
