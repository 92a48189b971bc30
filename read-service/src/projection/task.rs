//! `view.task`: what has to be done to the rooms, on which day, for which booking.

use contracts::housekeeping::TaskDocument;

use super::{
    column::{day, instant, text},
    projector::Projection,
};
use crate::live::Kind;

/// Fills `view.task`.
pub(super) static TASK: Projection<TaskDocument> = Projection {
    identity: |task| (task.task_id.as_str(), task.version),
    columns: &[
        text("kind", |task| Some(task.kind.as_str())),
        text("status", |task| Some(task.status.as_str())),
        text("booking_id", |task| Some(task.booking_id.as_str())),
        text("room_type_id", |task| Some(task.room_type_id.as_str())),
        text("room", |task| task.room.as_deref()),
        day("day", |task| Some(task.day)),
        instant("completed_at", |task| task.completed_at),
    ],
    followed_by: &[(Kind::Booking, |task| task.booking_id.as_str())],
};
