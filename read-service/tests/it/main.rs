//! The read service on real servers: `cargo run -p servers -- run -- cargo test -p read-service`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod availability;
mod database_crash;
mod hostile;
mod instances;
mod journal;
mod kafka;
mod nodes;
mod over_http;
mod pages;
mod persisted;
mod program;
mod projections;
mod queries;
mod read_after;
mod rebuild;
mod reports;
mod schema;
mod subscribers;
mod subscriptions;
mod support;
mod witness;
