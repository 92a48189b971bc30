//! A view filled anew, beside the one that serves: the same rows, in another table, under a generation of its own, and nobody is
//! told of them.
//!
//! That table is one of an object id: where a rebuild that was taken for dead is still at work when another one has made the
//! table again, it moves no offset that is the other's.

use contracts::Topic;
use deadpool_postgres::Transaction;
use inbox::{Delivery, Handler, Parking, Unapplied, Undecodable};
use telemetry::database::reason;

use super::{
    cells::Row,
    projection,
    projector::Project,
    statement::{Given, Statement, latest},
};
use crate::{live::Kind, view::View};

/// The generation that a rebuild fills. The one that serves is always the first: a swap makes this one that.
pub const GENERATION: i32 = 2;

/// Fills the table of a rebuild.
pub struct Anew {
    view: View,
    /// The table's object id.
    table: u32,
    /// The columns that rows have cells for, in their order.
    pub(crate) columns: Vec<Given>,
    /// By what the view's changes are followed.
    pub(crate) followed_by: Vec<Kind>,
    of: &'static dyn Project,
    upsert: Statement,
}

impl Anew {
    /// Fills this view's, which has this object id.
    pub fn of(view: View, oid: u32) -> Self {
        let of = projection(view);
        let columns = of.columns();
        let upsert = Statement::upsert(&format!("view.{}", table(view)), &columns);
        Self { view, table: oid, followed_by: of.followed_by(), of, upsert, columns }
    }

    /// Begins a transaction of who fills the table: it stays until that ends, if it is still the same one.
    ///
    /// The commit need not be on the disk when it is answered: what it holds is lost with its offsets, if it is, and read again. And
    /// nobody has seen it: the swap, by which the table begins to serve, commits synchronously, and so puts on the disk all that was
    /// committed before. What fills a view that serves has no such commit behind it.
    ///
    /// # Errors
    /// When another rebuild has replaced it, or is about to. That passes, with the rebuild that finds it so.
    pub(crate) async fn hold(&self, transaction: &Transaction<'_>) -> Result<(), Unapplied> {
        let table = format!("view.{}", table(self.view));
        // Who drops it waits for the offsets that this transaction has locked.
        let begin = format!("SET LOCAL synchronous_commit = off; LOCK TABLE {table} IN ACCESS SHARE MODE NOWAIT");
        let found = async {
            transaction.batch_execute(&begin).await?;
            transaction.query_one("SELECT to_regclass($1)::oid", &[&table]).await?.try_get::<_, Option<u32>>(0)
        };
        match found.await {
            Ok(found) if found == Some(self.table) => Ok(()),
            Ok(_) => Err(Unapplied::Delayed(format!("{table} is another rebuild's by now"))),
            Err(error) => Err(Unapplied::Delayed(reason(&error))),
        }
    }

    /// What a message becomes.
    ///
    /// # Errors
    /// When it can never be read.
    pub fn read(&self, delivery: &Delivery) -> Result<Row, Undecodable> {
        self.of.row(delivery)
    }
}

/// The table that a rebuild of the view fills, in the same schema.
pub fn table(view: View) -> String {
    format!("{}_rebuild", view.table())
}

impl Handler for Anew {
    type Event = Row;

    fn name(&self) -> &'static str {
        self.view.table()
    }

    fn generation(&self) -> i32 {
        GENERATION
    }

    fn topics(&self) -> &'static [Topic] {
        std::slice::from_ref(self.view.topic())
    }

    fn parking(&self) -> Parking {
        Parking::Replace
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<Row>, Undecodable> {
        self.read(delivery).map(Some)
    }

    /// Nobody is told: what is here is not served yet.
    async fn apply(&self, transaction: &Transaction<'_>, events: &[Row]) -> Result<(), Unapplied> {
        self.hold(transaction).await?;
        self.upsert.run(transaction, &latest(events)).await
    }
}
