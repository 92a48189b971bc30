//! `view.guest`: who books without an account. A tombstone erases all that is known of a guest.

use contracts::direct_booking::GuestDocument;

use super::{column::text, projector::Projection};

/// Fills `view.guest`.
pub(super) static GUEST: Projection<GuestDocument> = Projection {
    identity: |guest| (guest.guest_id.as_str(), guest.version),
    columns: &[text("name", |guest| Some(&guest.name)), text("email", |guest| Some(&guest.email))],
    followed_by: &[],
};
