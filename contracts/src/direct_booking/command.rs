//! Commands that arrive as messages: CloudEvents as events are, but in the imperative, and anybody's who may write there.
//!
//! `ce_id` is what an `Idempotency-Key` is over HTTP, within one `ce_source`; `ce_subject`, and the key, is the booking's id;
//! the value is the body that the command of this name has over HTTP, or nothing where it has none.

use crate::{
    contract::events,
    topic::{Cleanup, Topic},
};

/// Where the commands lie.
pub const COMMANDS: Topic = Topic { name: "hotel.direct-booking.commands.v1", partitions: 4, cleanup: Cleanup::Queue };

/// What can be commanded by a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookingCommand {
    /// The guest is to be sent a confirmation.
    SendConfirmation,
}

events!(BookingCommand: SendConfirmation "hotel.direct-booking.SendConfirmation.v1");
