//! The third party that charges cards, for the demo and for tests: a stand-in, but one that keeps its word.
//!
//! - Each key is done once: a charge or a refund has an `Idempotency-Key`, and whoever repeats the request gets the same
//!   answer byte for byte, also after a crash. What is answered is in the [`Ledger`], which was flushed to disk before.
//! - It can be told to misbehave ([`Behaviour`]), as third parties do: to fail, to hang, to be slow, to take the money and
//!   hang up.
//!
//! The way of a request: `server` takes the connection, `api` and `body` read the request, `behaviour` may spoil it,
//! `ledger` puts it to `book`, which decides, and writes what was decided; `answer` tells it. It knows nothing of the hotel.

mod answer;
mod api;
mod behaviour;
mod body;
mod book;
mod entry;
mod fields;
mod ledger;
mod problem;
mod server;
mod service;
pub mod settings;

pub use behaviour::{Behaviour, DelayMs, Mode};
pub use entry::{DeclineCode, Entry, Kind, Status};
pub use fields::{AmountMinor, CardToken, Currency, Invalid, Key, Reference};
pub use ledger::{Ledger, LedgerError};
pub use service::serve;
pub use settings::Settings;
