//! The relay on a real PostgreSQL and a real Kafka. Each test has its own database, slot and topics.

#![allow(clippy::unwrap_used, reason = "clippy knows tests, but not what they call")]

mod acls;
mod check;
mod dead_letter;
mod delivery;
mod failover;
mod faults;
mod formats;
mod outbox;
mod partitions;
mod postgres_18;
mod process;
mod program;
mod restart;
mod resync;
mod security;
mod set_up;
mod slot;
mod soak;
mod standby;
mod transaction_faults;
mod transactional;
