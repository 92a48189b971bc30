//! Outbox relay: each row that is inserted into an outbox table and committed becomes an event on Kafka, in commit order,
//! and is confirmed to PostgreSQL only when Kafka has acknowledged it.
//!
//! The way of a row, which is also the order of the modules: [`replication`] (the stream and its confirmations),
//! [`pgoutput`] (bytes to messages), [`outbox`] (row to event), [`publisher`] (event to Kafka), [`progress`]
//! (acknowledgements to the LSN that may be confirmed); [`capture`] wires them. Beside it [`mod@setup`] prepares a database,
//! [`mod@check`] says what is wrong with one or with the cluster, [`mod@slot`] shows or drops the slot, [`mod@resync`]
//! replaces one that was lost.
//! Nothing here knows what the events mean.

pub mod capture;
pub mod check;
pub mod database;
pub mod delivery;
mod metrics;
pub mod names;
pub mod outbox;
pub mod pgoutput;
pub mod progress;
pub mod publisher;
pub mod replication;
pub mod resync;
mod serve;
pub mod settings;
pub mod setup;
pub mod slot;
mod slot_watch;
mod topic_partitions;

pub use capture::run;
pub use check::check;
pub use resync::resync;
pub use serve::{Error, serve};
pub use settings::{Settings, SetupSettings};
pub use setup::setup;
pub use topic_partitions::{TopicPartitions, WrongNumber};
