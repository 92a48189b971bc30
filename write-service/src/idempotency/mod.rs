//! A command that is sent twice has one effect: its answer is kept under its `Idempotency-Key`, and given again.
//!
//! By draft-ietf-httpapi-idempotency-key-header-07. An answer is kept in the transaction that has the effect; a refusal
//! is kept too, when it is definite, but not what may turn out otherwise at the next try (the database is away, a copy
//! lags). A command is in flight for as long as its transaction has an advisory lock, which is tried and never waited for:
//! so whoever repeats it meanwhile is told at once, and a crash leaves nothing in flight.

mod answers;
mod cleaner;
mod key;
mod scope;

pub(crate) use answers::{Answers, Entry, Kept};
pub(crate) use cleaner::clean;
pub(crate) use scope::{Fingerprint, Scope};
