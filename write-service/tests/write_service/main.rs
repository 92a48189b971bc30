//! The write service over real HTTP, on real PostgreSQL and real Apache Kafka.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod acls;
mod bad_input;
mod bookings;
mod card_details;
mod channels;
mod concurrency;
mod documents;
mod fixture;
mod guests;
mod housekeeping;
mod idempotency;
mod isolation;
mod messages;
mod migrations;
mod openapi;
mod outbox;
mod partitions;
mod payments;
mod place;
mod prefer;
mod rate_plans;
mod read_after;
mod readers;
mod repetition;
mod republish;
mod room_types;
mod startup;
mod stays;
