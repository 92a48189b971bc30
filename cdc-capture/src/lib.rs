//! Outbox relay: each row that is inserted into an outbox table and committed becomes an event on Kafka, in commit order,
//! and is confirmed to PostgreSQL only when Kafka has acknowledged it.
//!
//! The way of a row, which is also the order of the modules: [`replication`] (the stream and its confirmations),
//! [`pgoutput`] (bytes to messages), [`outbox`] (row to event), [`publisher`] (event to Kafka), [`progress`]
//! (acknowledgements to the LSN that may be confirmed); [`capture`] wires them and [`mod@setup`] prepares a database.
//! Nothing here knows what the events mean.

pub mod capture;
mod metrics;
pub mod names;
pub mod outbox;
pub mod pgoutput;
pub mod progress;
pub mod publisher;
pub mod replication;
mod serve;
pub mod settings;
pub mod setup;

pub use capture::run;
pub use serve::{Error, serve};
pub use settings::{Settings, SetupSettings};
pub use setup::setup;
