//! Reading a row's columns one after the other, so that a joined part can be read by whoever knows its columns.

use tokio_postgres::{Row, types::FromSql};

use super::Error;

/// What is left of a row.
pub(crate) struct Columns<'a> {
    row: &'a Row,
    next: usize,
}

impl<'a> Columns<'a> {
    /// All of the row.
    pub(crate) fn of(row: &'a Row) -> Self {
        Self { row, next: 0 }
    }

    /// The next column.
    pub(crate) fn take<T: FromSql<'a>>(&mut self) -> Result<T, Error> {
        let value = self.row.try_get(self.next).map_err(|error| Error::Failed(error.to_string()))?;
        self.next += 1;
        Ok(value)
    }

    /// Reads a part that a LEFT JOIN may have left out: `count` columns, of which the first is never null if it is there.
    pub(crate) fn take_joined<T>(
        &mut self,
        count: usize,
        read: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let after = self.next + count;
        let first: Option<&str> = self.row.try_get(self.next).map_err(|error| Error::Failed(error.to_string()))?;
        let part = match first {
            Some(_) => Some(read(self)?),
            None => None,
        };
        self.next = after;
        Ok(part)
    }
}
