//! Housekeeping: what has to be done to the rooms, and when.

use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::{Contract, events, topics},
    envelope::AggregateVersion,
    id::{BookingId, RoomTypeId, TaskId},
    topic::{Cleanup, Topic},
    word::words,
};

/// The `ce_source` of this context's events.
pub const SOURCE: &str = "/hotel/housekeeping";

/// Every event of every task, for ever.
pub const TASK: Topic = Topic { name: "hotel.housekeeping.task.v1", partitions: 8, cleanup: Cleanup::Journal };

/// Every topic of this context.
pub const TOPICS: &[Topic] = &topics::<{ CONTRACTS.len() }>(CONTRACTS);

/// What this context publishes.
pub const CONTRACTS: &[Contract] = &[Contract::of::<TaskDocument>(SOURCE, TASK, TaskEvent::TYPES)];

/// What can happen to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskEvent {
    /// It is to be done.
    TaskScheduled,
    /// It is another room's, or another day's, than was said before.
    TaskChanged,
    /// It is done.
    TaskCompleted,
    /// It need not be done any more.
    TaskCancelled,
    /// Nothing has happened: what it is is told once more, for those who have missed it. It starts no process.
    TaskRestated,
}

events!(
    TaskEvent:
    TaskScheduled "hotel.housekeeping.TaskScheduled.v1",
    TaskChanged "hotel.housekeeping.TaskChanged.v1",
    TaskCompleted "hotel.housekeeping.TaskCompleted.v1",
    TaskCancelled "hotel.housekeeping.TaskCancelled.v1",
    TaskRestated "hotel.housekeeping.TaskRestated.v1",
);

/// Something that has to be done for a booking's room on a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskDocument {
    /// Its id.
    pub task_id: TaskId,
    /// Its version.
    pub version: AggregateVersion,
    /// What has to be done.
    pub kind: TaskKind,
    /// Whether it has been.
    pub status: TaskStatus,
    /// The booking that it is done for.
    pub booking_id: BookingId,
    /// The type of its room.
    pub room_type_id: RoomTypeId,
    /// The room, once the guest has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// The day on which it has to be done.
    pub day: NaiveDate,
    /// When it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<DateTime<Utc>>,
}

/// What has to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskKind {
    /// To make a room ready before the guest comes.
    Preparation,
    /// To clean it on a day between arrival and departure.
    DailyCleaning,
    /// To clean it after the guest has left.
    DepartureCleaning,
}

words!(
    TaskKind:
    Preparation "PREPARATION",
    DailyCleaning "DAILY_CLEANING",
    DepartureCleaning "DEPARTURE_CLEANING",
);

/// Whether a task has been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskStatus {
    /// Not yet.
    Scheduled,
    /// It has.
    Completed,
    /// It need not be.
    Cancelled,
}

words!(TaskStatus: Scheduled "SCHEDULED", Completed "COMPLETED", Cancelled "CANCELLED");
