//! An aggregator site, for the demo and for tests: a stand-in that remembers what it is told of the rooms it may sell and of the
//! bookings it has sold.
//!
//! - What is told is kept by its revision: a lower one than it has changes nothing, however late it comes ([`Ledger`]).
//! - It can be told to misbehave ([`Behaviour`]), as third parties do.
//!
//! The way of a request: `server` takes the connection, and spoils the request where it was told to; `api` reads it; `ledger` keeps
//! it, in memory. It knows nothing of the hotel.

mod api;
mod behaviour;
mod ledger;
mod server;
pub mod settings;

pub use behaviour::{Behaviour, Mode};
pub use ledger::{BookingTold, Ledger, NightTold, Told};
pub use server::serve;
