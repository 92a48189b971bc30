//! What contexts do alike when they ask a third party over HTTP: they never take no answer for one, ask again later and later,
//! and leave alone for a while whoever fails again and again.

pub(crate) mod breaker;
pub(crate) mod http;
pub(crate) mod metrics;
pub(crate) mod retry;
