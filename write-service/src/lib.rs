//! The write side: the hotel's contexts, each with its own schema and role, behind one HTTP server.
//!
//! A command comes in over HTTP, the domain decides, and one transaction holds the aggregate's new version and the
//! outbox row that tells the world. [`contexts`] are siblings of one shape; what they share stands beside them. A
//! context knows the others only by the events that they publish.

mod access;
pub mod acls;
mod action;
mod answer;
mod body;
pub mod clock;
mod command;
mod conditional;
pub mod context;
pub mod contexts;
mod copies;
mod database;
mod failure;
mod fields;
mod idempotency;
mod message;
mod migrate;
mod openapi;
mod outbox;
mod outcome;
mod path;
mod period;
mod prefer;
mod problem;
mod read_after;
mod reading;
mod republish;
mod router;
mod routes;
mod service;
pub mod settings;
mod shell;
mod stay;
mod third_party;
mod topics;
mod versions;

pub use context::{CardDetails, Surroundings};
pub use migrate::{MigrateError, migrate};
pub use outbox::partitions::Retention;
pub use period::{InvalidPeriod, Period};
pub use republish::{RepublishError, Selection, republish};
pub use service::serve;
pub use settings::Settings;
