//! What this context tells of its aggregates: Inside Data to Outside Data.

use contracts::{
    Topic,
    envelope::AggregateVersion,
    housekeeping::{SOURCE, TASK, TaskDocument},
};

use super::domain::Task;
use crate::outbox::Document;

impl Document for TaskDocument {
    const SOURCE: &'static str = SOURCE;
    const TOPIC: Topic = TASK;
    const REVISION: u32 = 1;

    fn subject(&self) -> &str {
        self.task_id.as_str()
    }

    fn version(&self) -> AggregateVersion {
        self.version
    }
}

impl From<&Task> for TaskDocument {
    fn from(task: &Task) -> Self {
        Self {
            task_id: task.id.clone(),
            version: task.version,
            kind: task.kind,
            status: task.status,
            booking_id: task.booking_id.clone(),
            room_type_id: task.room_type_id.clone(),
            room: task.room.clone(),
            day: task.day,
            completed_at: task.completed_at,
        }
    }
}
