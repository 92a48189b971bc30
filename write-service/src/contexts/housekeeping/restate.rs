//! What is told again.

use contracts::housekeeping::{TaskDocument, TaskEvent};
use tokio_postgres::Row;

use super::store;
use crate::{
    database,
    outbox::restate::{Aggregate, Restated},
};

pub(super) const ALL: &[Aggregate] = &[Aggregate::of::<Tasks>()];

struct Tasks;

impl Restated for Tasks {
    type Document = TaskDocument;
    const TABLE: &'static str = "housekeeping.task";
    const ID: &'static str = "task_id";
    const EVENT: &'static str = TaskEvent::TaskRestated.ty();

    fn read(row: &Row) -> Result<Option<TaskDocument>, database::Error> {
        Ok(Some(TaskDocument::from(&store::task(row)?)))
    }
}
