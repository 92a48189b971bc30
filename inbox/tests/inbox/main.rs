//! The inbox on real PostgreSQL and real Apache Kafka.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod alone;
mod faults;
mod fixture;
mod gathering;
mod halts;
mod migrations;
mod once;
mod one_statement;
mod parking;
mod poison;
mod readiness;
mod sharing;
mod told;
