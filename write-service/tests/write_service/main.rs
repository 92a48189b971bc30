//! The write service over real HTTP, on real PostgreSQL and real Apache Kafka.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod acls;
mod bad_input;
mod bookings;
mod concurrency;
mod documents;
mod fixture;
mod idempotency;
mod isolation;
mod migrations;
mod openapi;
mod outbox;
mod payments;
mod read_after;
mod readers;
mod startup;
