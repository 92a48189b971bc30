//! Inside Data: what the channel manager keeps.

pub(crate) mod allotments;
pub(crate) mod copies;
pub(crate) mod site_bookings;
pub(crate) mod sites;
