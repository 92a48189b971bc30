//! Outside Data: what the contexts tell the world.
//!
//! [`envelope`] is the part that any outbox could use: CloudEvents headers, trace context and the position in the
//! write-ahead log. It knows no domain, and nothing else of this crate is used by the outbox relay. A module for each
//! context follows, with its documents, event types and topics. There is no I/O here, and no database.

pub mod accounts;
pub mod acl;
pub mod asyncapi;
pub mod channel_manager;
pub mod compatibility;
pub mod contract;
pub mod direct_booking;
pub mod envelope;
pub mod housekeeping;
pub mod id;
pub mod money;
pub mod payments;
pub mod read_after;
pub mod readers;
pub mod topic;
pub mod word;

pub use contract::Contract;
pub use read_after::ReadAfter;
pub use topic::{Cleanup, Topic};

/// Every contract of every context, by which all is generated and checked. A new context is a line here.
pub fn contracts() -> impl Iterator<Item = Contract> {
    [
        accounts::CONTRACTS,
        direct_booking::CONTRACTS,
        payments::CONTRACTS,
        housekeeping::CONTRACTS,
        channel_manager::CONTRACTS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// The topics on which commands may be sent, each with the context that does them. Who may is for the operator to say.
pub const COMMAND_TOPICS: &[(&str, Topic)] = &[("direct-booking", direct_booking::COMMANDS)];

/// Every topic of every context.
pub fn topics() -> impl Iterator<Item = Topic> {
    contracts().map(|contract| contract.topic)
}
