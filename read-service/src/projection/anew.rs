//! A view filled anew, beside the one that serves: the same rows, in another table, under a generation of its own, and nobody is
//! told of them.

use contracts::Topic;
use deadpool_postgres::Transaction;
use inbox::{Delivery, Handler, Parking, Unapplied, Undecodable};
use serde::de::DeserializeOwned;

use super::{
    ACCOUNT, BOOKING, GUEST, PAYMENT, Projection, RATE_PLAN, ROOM_TYPE, SITE, SITE_BOOKING, TASK,
    cells::Row,
    statement::{Given, Statement, in_order},
};
use crate::{live::Kind, view::View};

/// The generation that a rebuild fills. The one that serves is always the first: a swap makes this one that.
pub const GENERATION: i32 = 2;

/// What a message becomes, whatever the type of its document.
type Read = Box<dyn Fn(&Delivery) -> Result<Row, Undecodable> + Send + Sync>;

/// Fills the table of a rebuild.
pub struct Anew {
    view: View,
    /// The columns that rows have cells for, in their order.
    pub(crate) columns: Vec<Given>,
    /// By what the view's changes are followed.
    pub(crate) followed_by: Vec<Kind>,
    read: Read,
    upsert: Statement,
}

impl Anew {
    /// Fills this view's.
    pub fn of(view: View) -> Self {
        match view {
            View::Account => Self::by(&ACCOUNT),
            View::Guest => Self::by(&GUEST),
            View::RoomType => Self::by(&ROOM_TYPE),
            View::RatePlan => Self::by(&RATE_PLAN),
            View::Booking => Self::by(&BOOKING),
            View::Payment => Self::by(&PAYMENT),
            View::Task => Self::by(&TASK),
            View::Site => Self::by(&SITE),
            View::SiteBooking => Self::by(&SITE_BOOKING),
        }
    }

    fn by<D: DeserializeOwned>(of: &'static Projection<D>) -> Self {
        let columns = of.columns();
        Self {
            view: of.view,
            followed_by: of.followed_by.iter().map(|(kind, _)| *kind).collect(),
            read: Box::new(|delivery| {
                let (document, version) = of.read(delivery)?;
                of.row(delivery, version, document.as_ref())
            }),
            upsert: Statement::upsert(&format!("view.{}", table(of.view)), &columns),
            columns,
        }
    }

    /// What a message becomes.
    ///
    /// # Errors
    /// When it can never be read.
    pub fn read(&self, delivery: &Delivery) -> Result<Row, Undecodable> {
        (self.read)(delivery)
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
        let mut rows = in_order(events);
        rows.dedup_by_key(|row| row.id());
        self.upsert.run(transaction, &rows).await
    }
}
