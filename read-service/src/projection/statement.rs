//! The one statement by which a batch of rows goes into a table, whatever the table.

use deadpool_postgres::Transaction;
use inbox::Unapplied;
use tokio_postgres::types::Type;

use super::cells::{Array, Row};

/// A statement that takes an array for each column.
pub(super) struct Statement {
    sql: String,
    types: Vec<Type>,
}

/// A column's name, and the type of an array of its values.
pub(super) type Given = (&'static str, Type);

impl Statement {
    /// Takes each row over one that has a lower version. No id may be there twice.
    pub(super) fn upsert(table: &str, columns: &[Given]) -> Self {
        let mut given = Self::insert(table, columns);
        let taken = columns.iter().map(|(name, _)| *name).chain(["applied_at"]).filter(|name| *name != "id");
        let set: Vec<_> = taken.map(|name| format!("{name} = excluded.{name}")).collect();
        let conflict =
            format!(" ON CONFLICT (id) DO UPDATE SET {} WHERE held.version < excluded.version", set.join(", "));
        given.sql.push_str(&conflict);
        given
    }

    /// Takes each row whose id is not there yet.
    pub(super) fn insert_new(table: &str, columns: &[Given]) -> Self {
        let mut given = Self::insert(table, columns);
        given.sql.push_str(" ON CONFLICT (id) DO NOTHING");
        given
    }

    fn insert(table: &str, columns: &[Given]) -> Self {
        let names = columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        // Not FROM unnest(…): that would keep all rows before it gives the first one.
        let cells = (1..=columns.len()).map(|number| format!("unnest(${number})")).collect::<Vec<_>>().join(", ");
        let sql = format!("INSERT INTO {table} AS held ({names}, applied_at) SELECT {cells}, clock_timestamp()");
        Self { sql, types: columns.iter().map(|(_, ty)| ty.clone()).collect() }
    }

    /// Runs it, prepared once for each connection.
    pub(super) async fn run(&self, transaction: &Transaction<'_>, rows: &[&Row]) -> Result<(), Unapplied> {
        if rows.is_empty() {
            return Ok(());
        }
        let statement = transaction.prepare_typed_cached(&self.sql, &self.types).await?;
        transaction.execute_raw(&statement, &Array::columns_of(rows, self.types.len())).await?;
        Ok(())
    }
}

/// Rows in the order of their ids, so that two who write the same rows take their locks in the same order; of one id the
/// highest version first, and of one version the one that came first.
pub(super) fn in_order(rows: &[Row]) -> Vec<&Row> {
    let mut keyed: Vec<_> = rows.iter().map(|row| (row.id(), row)).collect();
    keyed.sort_by(|(id, row), (other_id, other)| id.cmp(other_id).then(other.version.cmp(&row.version)));
    keyed.into_iter().map(|(_, row)| row).collect()
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
