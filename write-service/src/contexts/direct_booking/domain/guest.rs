//! A guest who books without an account.

use contracts::{direct_booking::GuestEvent, envelope::AggregateVersion, id::GuestId};

/// Who books. The card is an aggregate of its own from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewGuest {
    pub(crate) id: GuestId,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) card_token: String,
}

/// What is known of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Guest {
    pub(crate) id: GuestId,
    pub(crate) version: AggregateVersion,
    pub(crate) name: String,
    pub(crate) email: String,
}

/// Why a guest cannot be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Nobody would know who it is that comes.
    #[error("the guest is expected, or in the house")]
    Expected,
}

/// Registers a guest.
pub(crate) fn register(guest: &NewGuest) -> (Guest, GuestEvent) {
    let NewGuest { id, name, email, card_token: _ } = guest.clone();
    (Guest { id, version: AggregateVersion::FIRST, name, email }, GuestEvent::GuestRegistered)
}

impl Guest {
    /// Forgets the guest: the version of the tombstone.
    pub(crate) fn erase(&self, is_expected: bool) -> Result<(AggregateVersion, GuestEvent), Refusal> {
        if is_expected { Err(Refusal::Expected) } else { Ok((self.version.next(), GuestEvent::GuestErased)) }
    }
}
