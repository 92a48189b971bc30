//! An effect that is one `INSERT`: the statement that has it can move the offset, too.

use tokio_postgres::types::{ToSql, Type};

/// `INSERT INTO … SELECT …`, which has all of a batch's effect.
#[derive(Debug)]
pub struct Insert {
    /// The statement, up to where a `WHERE` may stand.
    pub select: String,
    /// What comes behind that: `ON CONFLICT …`.
    pub on_conflict: String,
    /// The types of its parameters, from `$1` on.
    pub types: Vec<Type>,
}

/// A parameter of it.
pub type Parameter = Box<dyn ToSql + Send + Sync>;

impl Insert {
    /// The statement as it is.
    pub fn sql(&self) -> String {
        format!("{} {}", self.select, self.on_conflict)
    }
}
