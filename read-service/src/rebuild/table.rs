//! The table that a rebuild fills: made like the one that serves, given its indexes once it is full, and put in its place.
//!
//! Which stage a rebuild is in is seen by it: none, without a primary key, or with one. Until the swap its comment says who fills
//! it, since another program may make other rows of the same messages, and an index bears the object id of the one whose
//! place it will take.

use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::{Error, Row};

use crate::{projection, view::View};

/// How far a rebuild has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// There is none.
    None,
    /// The table of this object id is there, and empty.
    Begun(u32),
    /// The one of this object id holds what was read, and has its indexes.
    Loaded(u32),
}

/// The table that serves and the one that will.
pub(super) struct Tables {
    old: &'static str,
    new: String,
}

/// An index of the table that serves.
struct Index {
    oid: u32,
    name: String,
    /// What follows the table's name in its definition.
    definition: String,
    is_unique: bool,
    /// `PRIMARY KEY` or `UNIQUE`, where it is a constraint's.
    constraint: Option<&'static str>,
}

impl Tables {
    pub(super) fn of(view: View) -> Self {
        Self { old: view.table(), new: projection::table(view) }
    }

    /// Which stage there is.
    pub(super) async fn stage(&self, client: &impl GenericClient) -> Result<Stage, Error> {
        let sql = "SELECT oid, EXISTS (SELECT FROM pg_index WHERE indrelid = found.oid AND indisprimary)
             FROM pg_class AS found WHERE relnamespace = 'view'::regnamespace AND relname = $1";
        let row = client.query_opt(sql, &[&self.new]).await?;
        row.map_or(Ok(Stage::None), |row| {
            let table = row.try_get(0)?;
            Ok(if row.try_get(1)? { Stage::Loaded(table) } else { Stage::Begun(table) })
        })
    }

    /// What depends on the table that serves and would go with it, such as a view of somebody else's.
    pub(super) async fn dependents(&self, client: &impl GenericClient) -> Result<Vec<String>, Error> {
        let sql = "SELECT DISTINCT pg_describe_object(classid, objid, objsubid) FROM pg_depend
             WHERE refclassid = 'pg_class'::regclass AND refobjid = format('view.%I', $1::text)::regclass
               AND (classid IN ('pg_rewrite'::regclass, 'pg_trigger'::regclass, 'pg_policy'::regclass,
                                'pg_publication_rel'::regclass)
                    OR (classid = 'pg_constraint'::regclass
                        AND objid IN (SELECT oid FROM pg_constraint WHERE contype NOT IN ('c', 'n', 'p', 'u')))
                    OR (classid = 'pg_class'::regclass AND deptype = 'n'))
             ORDER BY 1";
        client.query(sql, &[&self.old]).await?.iter().map(|row| row.try_get(0)).collect()
    }

    /// Whether both have the same columns in the same order, and the same checks, be they valid for all rows already or not.
    pub(super) async fn are_alike(&self, client: &impl GenericClient) -> Result<bool, Error> {
        let sql = "SELECT count(DISTINCT shape) = 1 FROM (
                 SELECT array(SELECT format('%s %s %s', attname, format_type(atttypid, atttypmod), attnotnull)
                              FROM pg_attribute WHERE attrelid = found.oid AND attnum > 0 AND NOT attisdropped
                              ORDER BY attnum)
                     || array(SELECT format('%s %s', conname, replace(pg_get_constraintdef(oid), ' NOT VALID', ''))
                              FROM pg_constraint WHERE conrelid = found.oid AND contype = 'c' ORDER BY conname)
                 FROM pg_class AS found WHERE relnamespace = 'view'::regnamespace AND relname IN ($1, $2)
             ) AS shapes (shape)";
        client.query_one(sql, &[&self.old, &self.new]).await?.try_get(0)
    }

    /// Who fills it.
    pub(super) async fn filled_by(&self, client: &impl GenericClient) -> Result<Option<String>, Error> {
        let sql = "SELECT obj_description(format('view.%I', $1::text)::regclass, 'pg_class')";
        client.query_one(sql, &[&self.new]).await?.try_get(0)
    }

    /// Makes it, empty and without indexes, for who fills it. Gives its object id.
    pub(super) async fn create(&self, transaction: &Transaction<'_>, filled_by: &str) -> Result<u32, Error> {
        let options = "SELECT array_to_string(reloptions, ', ') FROM pg_class
             WHERE relnamespace = 'view'::regnamespace AND relname = $1 AND reloptions IS NOT NULL";
        let options = match transaction.query_opt(options, &[&self.old]).await? {
            Some(row) => format!(" WITH ({})", row.try_get::<_, String>(0)?),
            None => String::new(),
        };
        let Self { old, new } = self;
        let create = format!("CREATE TABLE view.{new} (LIKE view.{old} INCLUDING ALL EXCLUDING INDEXES){options}");
        transaction.batch_execute(&create).await?;
        let comment = "SELECT format('COMMENT ON TABLE view.%I IS %L', $1::text, $2::text)";
        let comment: String = transaction.query_one(comment, &[&self.new, &filled_by]).await?.try_get(0)?;
        transaction.batch_execute(&comment).await?;
        transaction.query_one("SELECT format('view.%I', $1::text)::regclass::oid", &[&self.new]).await?.try_get(0)
    }

    /// Takes it away.
    pub(super) async fn drop(&self, transaction: &Transaction<'_>) -> Result<(), Error> {
        transaction.batch_execute(&format!("DROP TABLE IF EXISTS view.{}", self.new)).await
    }

    /// The COPY that fills it, with frozen rows: nobody sees it before it is whole.
    pub(super) fn copy<'a>(&self, columns: impl Iterator<Item = &'a str>) -> String {
        let columns: Vec<_> = columns.chain(["applied_at"]).collect();
        format!("COPY view.{} ({}) FROM STDIN WITH (FORMAT binary, FREEZE)", self.new, columns.join(", "))
    }

    /// Empties it, which is what a COPY of frozen rows begins with.
    pub(super) async fn truncate(&self, transaction: &Transaction<'_>) -> Result<(), Error> {
        transaction.batch_execute(&format!("TRUNCATE view.{}", self.new)).await
    }

    /// Tells the planner what is in it.
    pub(super) async fn analyze(&self, client: &impl GenericClient) -> Result<(), Error> {
        client.batch_execute(&format!("ANALYZE view.{}", self.new)).await
    }

    /// Makes those indexes of the table that serves which it does not have yet.
    pub(super) async fn index(&self, client: &impl GenericClient) -> Result<(), Error> {
        for Index { oid, definition, is_unique, constraint, .. } in self.indexes(client, false).await? {
            let unique = if is_unique { "UNIQUE " } else { "" };
            let new = &self.new;
            let mut sql = format!("CREATE {unique}INDEX rebuild_{oid} ON view.{new}{definition}");
            if let Some(constraint) = constraint {
                let add = format!("ADD CONSTRAINT rebuild_{oid} {constraint} USING INDEX rebuild_{oid}");
                sql = format!("{sql}; ALTER TABLE view.{new} {add}");
            }
            client.batch_execute(&sql).await?;
        }
        Ok(())
    }

    /// The valid indexes of the table that serves, which the new one has, or does not have.
    async fn indexes(&self, client: &impl GenericClient, made: bool) -> Result<Vec<Index>, Error> {
        let sql = "SELECT of.indexrelid, found.relname, of.indisunique, made.contype::text,
                    substr(pg_get_indexdef(of.indexrelid),
                        length(format('CREATE %sINDEX %I ON view.%I', CASE WHEN of.indisunique THEN 'UNIQUE ' END,
                                      found.relname, $1::text)) + 1)
             FROM pg_index AS of JOIN pg_class AS found ON found.oid = of.indexrelid
             LEFT JOIN pg_constraint AS made ON made.conindid = of.indexrelid AND made.conrelid = of.indrelid
                 AND made.contype IN ('p', 'u')
             WHERE of.indrelid = format('view.%I', $1::text)::regclass AND of.indisvalid
               AND $3 = EXISTS (SELECT FROM pg_index AS has JOIN pg_class AS named ON named.oid = has.indexrelid
                                WHERE has.indrelid = format('view.%I', $2::text)::regclass
                                  AND named.relname = 'rebuild_' || of.indexrelid)
             ORDER BY found.relname";
        let index = |row: &Row| {
            let constraint = match row.try_get::<_, Option<&str>>(3)? {
                None => None,
                Some("p") => Some("PRIMARY KEY"),
                Some(_) => Some("UNIQUE"),
            };
            let (oid, name, is_unique) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            Ok(Index { oid, name, definition: row.try_get(4)?, is_unique, constraint })
        };
        client.query(sql, &[&self.old, &self.new, &made]).await?.iter().map(index).collect()
    }

    /// Gives it the owner, the privileges and the comment of the table that serves, and nobody else's privileges.
    pub(super) async fn hand_over(&self, transaction: &Transaction<'_>) -> Result<(), Error> {
        let Self { old, new } = self;
        let sql = format!(
            "DO $$
             DECLARE
                 old oid := 'view.{old}'::regclass;
                 new oid := 'view.{new}'::regclass;
                 said text := obj_description('view.{old}'::regclass, 'pg_class');
                 acl record;
             BEGIN
                 FOR acl IN SELECT DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS name
                            FROM pg_class, aclexplode(relacl) WHERE oid = new AND grantee <> relowner LOOP
                     EXECUTE format('REVOKE ALL ON view.{new} FROM %s', acl.name);
                 END LOOP;
                 IF (SELECT relowner FROM pg_class WHERE oid = old) <> (SELECT relowner FROM pg_class WHERE oid = new)
                 THEN
                     EXECUTE format('ALTER TABLE view.{new} OWNER TO %s',
                                    (SELECT relowner::regrole FROM pg_class WHERE oid = old));
                 END IF;
                 FOR acl IN
                     SELECT format('%s%s ON view.{new} TO %s%s', privilege_type, '(' || quote_ident(attname) || ')',
                                   CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
                                   CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END) AS granted
                     FROM pg_class CROSS JOIN LATERAL (
                         SELECT NULL AS attname, relacl AS acl
                         UNION ALL
                         SELECT attname, attacl FROM pg_attribute WHERE attrelid = old AND NOT attisdropped
                     ) AS has CROSS JOIN LATERAL aclexplode(has.acl)
                     WHERE oid = old AND grantee <> relowner
                 LOOP
                     EXECUTE 'GRANT ' || acl.granted;
                 END LOOP;
                 EXECUTE format('COMMENT ON TABLE view.{new} IS %L', said);
             END $$"
        );
        transaction.batch_execute(&sql).await
    }

    /// Keeps a vacuum and changes of the definition from both, and nobody else, until the transaction ends.
    pub(super) async fn hold(&self, transaction: &Transaction<'_>) -> Result<(), Error> {
        let Self { old, new } = self;
        transaction.batch_execute(&format!("LOCK TABLE view.{old}, view.{new} IN SHARE UPDATE EXCLUSIVE MODE")).await
    }

    /// Keeps everybody from the table that serves, until the transaction ends.
    pub(super) async fn lock(&self, transaction: &Transaction<'_>) -> Result<(), Error> {
        let Self { old, new } = self;
        transaction.batch_execute(&format!("LOCK TABLE view.{old}, view.{new} IN ACCESS EXCLUSIVE MODE")).await
    }

    /// Whether every index of the table that serves is there.
    pub(super) async fn is_indexed(&self, client: &impl GenericClient) -> Result<bool, Error> {
        Ok(self.indexes(client, false).await?.is_empty())
    }

    /// Of how many aggregates, which this generation has parked, it has a lower version than the table that serves, or none; and
    /// one of them. All others have come as far as the offsets.
    pub(super) async fn go_back(
        &self,
        transaction: &Transaction<'_>,
        generation: i32,
    ) -> Result<(i64, Option<String>), Error> {
        let Self { old, new } = self;
        let sql = format!(
            "SELECT count(*), min(old.id)
             FROM (SELECT DISTINCT aggregate FROM view.inbox_parked WHERE handler = $1 AND generation = $2) AS parked
             JOIN view.{old} AS old ON old.id = parked.aggregate
             LEFT JOIN view.{new} AS new ON new.id = old.id
             WHERE new.version IS NULL OR new.version < old.version"
        );
        let row = transaction.query_one(&sql, &[old, &generation]).await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    }

    /// How many aggregates this generation has parked.
    pub(super) async fn parked(&self, transaction: &Transaction<'_>, generation: i32) -> Result<i64, Error> {
        let sql = "SELECT count(DISTINCT aggregate) FROM view.inbox_parked WHERE handler = $1 AND generation = $2";
        transaction.query_one(sql, &[&self.old, &generation]).await?.try_get(0)
    }

    /// Puts it in the place of the table that serves.
    pub(super) async fn replace(&self, transaction: &Transaction<'_>) -> Result<(), Error> {
        let indexes = self.indexes(transaction, true).await?;
        let Self { old, new } = self;
        let mut sql = format!("DROP TABLE view.{old}; ALTER TABLE view.{new} RENAME TO {old}");
        for Index { oid, name, .. } in indexes {
            let name = name.replace('"', "\"\"");
            sql.push_str(&format!("; ALTER INDEX view.rebuild_{oid} RENAME TO \"{name}\""));
        }
        transaction.batch_execute(&sql).await
    }
}
