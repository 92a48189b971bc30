//! The one statement by which a batch of rows goes into a table, whatever the table.

use deadpool_postgres::Transaction;
use inbox::{Insert, Parameter, Unapplied};
use tokio_postgres::types::Type;

use super::cells::{Array, Row};

/// A statement that takes an array for each column.
pub(super) struct Statement {
    /// In the pieces that the inbox needs to move the offset by the same statement.
    pub(super) insert: Insert,
    sql: String,
}

/// A column's name, and the type of an array of its values.
pub(super) type Given = (&'static str, Type);

impl Statement {
    /// Takes each row over one that has a lower version. No id may be there twice.
    pub(super) fn upsert(table: &str, columns: &[Given]) -> Self {
        let taken = columns.iter().map(|(name, _)| *name).chain(["applied_at"]).filter(|name| *name != "id");
        let set: Vec<_> = taken.map(|name| format!("{name} = excluded.{name}")).collect();
        let update = format!("UPDATE SET {} WHERE held.version < excluded.version", set.join(", "));
        Self::new(table, columns, &update)
    }

    /// Takes each row whose id is not there yet.
    pub(super) fn insert_new(table: &str, columns: &[Given]) -> Self {
        Self::new(table, columns, "NOTHING")
    }

    fn new(table: &str, columns: &[Given], on_conflict: &str) -> Self {
        let names = columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        // Not FROM unnest(…): that would keep all rows before it gives the first one.
        let cells = (1..=columns.len()).map(|number| format!("unnest(${number})")).collect::<Vec<_>>().join(", ");
        let insert = Insert {
            select: format!("INSERT INTO {table} AS held ({names}, applied_at) SELECT {cells}, clock_timestamp()"),
            on_conflict: format!("ON CONFLICT (id) DO {on_conflict}"),
            types: columns.iter().map(|(_, ty)| ty.clone()).collect(),
        };
        Self { sql: insert.sql(), insert }
    }

    /// Runs it, prepared once for each connection.
    pub(super) async fn run(&self, transaction: &Transaction<'_>, rows: &[&Row]) -> Result<(), Unapplied> {
        if rows.is_empty() {
            return Ok(());
        }
        let statement = transaction.prepare_typed_cached(&self.sql, &self.insert.types).await?;
        transaction.execute_raw(&statement, &self.arrays(rows)).await?;
        Ok(())
    }

    /// Its parameters, for whoever executes it as a part of another one.
    pub(super) fn parameters(&self, rows: &[&Row]) -> Vec<Parameter> {
        self.arrays(rows).into_iter().map(|array| Box::new(array) as Parameter).collect()
    }

    fn arrays(&self, rows: &[&Row]) -> Vec<Array> {
        Array::columns_of(rows, self.insert.types.len())
    }
}

/// Rows in the order of their ids, so that two who write the same rows take their locks in the same order; of one id the
/// highest version first, and of one version the one that came first.
pub(super) fn in_order(rows: &[Row]) -> Vec<&Row> {
    let mut keyed: Vec<_> = rows.iter().map(|row| (row.id(), row)).collect();
    keyed.sort_by(|(id, row), (other_id, other)| id.cmp(other_id).then(other.version.cmp(&row.version)));
    keyed.into_iter().map(|(_, row)| row).collect()
}

/// Of each id the highest version, in the order of the ids.
pub(super) fn latest(rows: &[Row]) -> Vec<&Row> {
    let mut rows = in_order(rows);
    rows.dedup_by_key(|row| row.id());
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_list_of_columns_makes_the_whole_statement() {
        let columns = [("id", Type::TEXT_ARRAY), ("version", Type::INT8_ARRAY), ("name", Type::TEXT_ARRAY)];
        assert_eq!(
            Statement::upsert("view.guest_2", &columns).sql,
            "INSERT INTO view.guest_2 AS held (id, version, name, applied_at) \
             SELECT unnest($1), unnest($2), unnest($3), clock_timestamp() \
             ON CONFLICT (id) DO UPDATE SET version = excluded.version, name = excluded.name, \
             applied_at = excluded.applied_at WHERE held.version < excluded.version"
        );
    }
}
