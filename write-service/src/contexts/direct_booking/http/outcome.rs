//! What has come of a booking that was begun.

use contracts::direct_booking::{BookingDocument, BookingStatus};
use schemars::JsonSchema;
use serde::Serialize;

use super::bookings::COLLECTION;
use crate::outcome::Begun;

/// What has come of a booking.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BookingOutcome {
    /// Whether it is known: a booking that is pending is neither confirmed nor refused.
    is_known: bool,
    /// Where in its life it is.
    status: BookingStatus,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection: Option<String>,
    /// Where it is.
    booking: String,
}

impl Begun for BookingDocument {
    const COLLECTION: &'static str = COLLECTION;
    type Outcome = BookingOutcome;

    fn is_known(&self) -> bool {
        self.status != BookingStatus::Pending
    }

    fn outcome(self, place: String) -> BookingOutcome {
        let is_known = self.is_known();
        BookingOutcome { is_known, status: self.status, rejection: self.rejection, booking: place }
    }
}
