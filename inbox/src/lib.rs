//! Kafka to PostgreSQL intake whose effect happens once.
//!
//! A consumer group whose offsets live in PostgreSQL, moved in the transaction that holds the effects. What the events
//! mean is the [`Handler`]'s affair: a projection of the read side or a reactor of the write side.
//!
//! The way of a message, and who sees to what:
//!
//! ```text
//! consumer   Kafka: the group and its rebalances                         knows no database
//! position   where each partition goes on                                the stored offset, never Kafka's
//! reader     message -> envelope -> the handler's event, into a batch    no I/O but the poll
//! sorting    which of its events are applied, queue, or wait             no I/O
//! writer     batch -> one transaction: offsets, effects, dead letters    knows no Kafka
//! offsets    read, begun and moved; with an effect that is one insert, by that same statement
//! lanes      batches of different partitions, written side by side
//! session    the loop: positions partitions, reads ahead while writing
//! intake     one session after another, from start to stop or halt
//! alone      the same without a group: how a rebuild reads
//! ```
//!
//! Why an effect happens once: the offsets move by `UPDATE … WHERE next_offset = expected` in the effect's own
//! transaction. Whoever holds a stale offset, because another instance was faster or because its own commit landed though
//! the answer was lost, moves nothing, rolls back and reads its offsets again. Kafka's group only shares out the work.

mod alone;
mod any;
mod applied;
mod batch;
mod behind;
mod cluster;
pub mod command;
mod consumer;
mod dead_letter;
mod delivery;
mod fault;
mod generation;
mod halt;
mod handler;
mod insert;
mod intake;
mod lanes;
mod message;
mod metrics;
mod obstacle;
mod offsets;
mod owner;
mod parked;
mod position;
mod reader;
mod retry;
mod schema;
mod session;
mod sorting;
mod span;
mod status;
mod topic_ids;
mod topics;
mod writer;

pub use alone::{Reached, Share, run_alone};
pub use any::AnyHandler;
pub use applied::{Applied, Bell, Seen};
pub use behind::Behind;
pub use delivery::{Delivery, Undecodable};
pub use generation::{Generation, Held};
pub use halt::Halt;
pub use handler::{Handler, Parking, Unapplied};
pub use insert::{Insert, Parameter};
pub use intake::run;
pub use schema::migrate;

use deadpool_postgres::Pool;
use telemetry::{health::Health, kafka::Kafka, metrics::Metrics};

/// The most messages of a batch, unless said otherwise. Twice as many gain at most a tenth and cost 30 MiB, where a backlog is
/// taken into a view and the journal at once.
pub const BATCH: usize = 1_000;

/// What an intake needs beside its handler.
#[derive(Clone)]
pub struct Intake {
    /// How to reach Kafka.
    pub kafka: Kafka,
    /// The program's name, with which operators type its commands, and the consumer group's prefix: the group is
    /// `{topic prefix}{service}.{handler's name}`.
    pub service: String,
    /// The schema that holds the inbox's tables and, usually, the handler's.
    pub schema: String,
    /// Where effects and offsets go: commits on the disk when they are answered, since who sees an effect must not lose it again.
    pub pool: Pool,
    /// Told about readiness, as part `inbox.{handler's name}`.
    pub health: Health,
    /// Told about lag, batches and events set aside.
    pub metrics: Metrics,
    /// The most aggregates of a partition that may be parked, messages without a usable key counting like one each; before one
    /// more is, the partition stops. At least 1.
    pub max_parked: usize,
    /// How many batches of a handler may be written at once, each of other partitions. More than one is for handlers whose
    /// effects in different partitions have nothing to do with each other.
    pub writers: usize,
    /// The most messages of a batch, which is one transaction: [`BATCH`], unless there is memory to spare.
    pub batch: usize,
    /// Whether each message of a sampled trace gets a `process` span. Set it where spans are exported: making one costs
    /// more than applying the event.
    pub trace_messages: bool,
}
