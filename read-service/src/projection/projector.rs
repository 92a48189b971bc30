//! The handler that fills a view by its projection: from a message to a row, from rows to the table.

use contracts::{Topic, envelope::AggregateVersion};
use deadpool_postgres::{Client, Transaction};
use inbox::{Delivery, Handler, Parking, Unapplied, Undecodable};
use serde::de::DeserializeOwned;
use tokio_postgres::types::Type;

use super::{
    cells::{Cells, Row},
    column::Column,
    statement::{Given, Statement, in_order},
    told,
};
use crate::{
    live::{Change, Kind},
    view::View,
};

/// What documents of the type `D` become.
pub struct Projection<D: 'static> {
    /// The view, which names the table and the topic.
    pub(super) view: View,
    /// The aggregate's id and version, as the document has them.
    pub(super) identity: fn(&D) -> (&str, AggregateVersion),
    /// The view's own columns; those that every view has come before them.
    pub(super) columns: &'static [Column<D>],
    /// By what its changes are followed, and where in the document that is.
    pub(super) followed_by: &'static [Followed<D>],
}

/// By what a change is followed: the kind, and which one of it.
pub(super) type Followed<D> = (Kind, fn(&D) -> &str);

/// The columns that every view has, as arrays; `applied_at` is the statement's affair.
const EVERY_VIEWS: [Given; 4] = [
    ("id", Type::TEXT_ARRAY),
    ("version", Type::INT8_ARRAY),
    ("erased", Type::BOOL_ARRAY),
    ("changed_at", Type::TIMESTAMPTZ_ARRAY),
];

impl<D> Projection<D> {
    /// The columns that rows have cells for, in their order, as arrays.
    pub(super) fn columns(&self) -> Vec<Given> {
        let own = self.columns.iter().map(|column| (column.name, column.array_type()));
        EVERY_VIEWS.into_iter().chain(own).collect()
    }

    /// What a message becomes; no document is a tombstone.
    pub(super) fn row(
        &self,
        delivery: &Delivery,
        version: AggregateVersion,
        document: Option<&D>,
    ) -> Result<Row, Undecodable> {
        let mut cells = Cells::new();
        cells.key("id", &delivery.envelope.subject)?;
        cells.long("version", version.get())?;
        cells.bool("erased", document.is_none())?;
        cells.instant("changed_at", delivery.envelope.time)?;
        for column in self.columns {
            match document {
                Some(document) => column.write(document, &mut cells)?,
                None => cells.null(),
            }
        }
        Ok(cells.row(version.get()))
    }
}

impl<D: DeserializeOwned> Projection<D> {
    /// The document must be about the aggregate and the version that the envelope names: the order of events is by the
    /// envelope's key.
    pub(super) fn read(&self, delivery: &Delivery) -> Result<(Option<D>, AggregateVersion), Undecodable> {
        let envelope = &delivery.envelope;
        let document: Option<D> = delivery.decode()?;
        let version = match document.as_ref().map(self.identity) {
            Some((id, _)) if id != envelope.subject => {
                return Err(Undecodable(format!("the document is about {id:?}, the message about another")));
            }
            Some((_, version)) if envelope.sequence.is_some_and(|sequence| sequence != version) => {
                return Err(Undecodable(format!("the document has version {version}, the message another")));
            }
            Some((_, version)) => version,
            None => envelope.sequence.ok_or_else(|| Undecodable("a tombstone without a version".to_owned()))?,
        };
        Ok((document, version))
    }
}

/// Fills a table by a projection.
pub struct Projector<D: 'static> {
    of: &'static Projection<D>,
    upsert: Statement,
}

impl<D> Projector<D> {
    /// Fills the projection's view.
    pub fn new(of: &'static Projection<D>) -> Self {
        Self { of, upsert: Statement::upsert(&format!("view.{}", of.view.table()), &of.columns()) }
    }
}

impl<D: DeserializeOwned> Handler for Projector<D> {
    type Event = Row;

    fn name(&self) -> &'static str {
        self.of.view.table()
    }

    fn topics(&self) -> &'static [Topic] {
        std::slice::from_ref(self.of.view.topic())
    }

    /// Each event brings the whole document.
    fn parking(&self) -> Parking {
        Parking::Replace
    }

    fn rebuilt_by(&self) -> Option<String> {
        Some(format!("read-service rebuild {}", self.of.view.table()))
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<Row>, Undecodable> {
        let (document, version) = self.of.read(delivery)?;
        let change = |(kind, id): &Followed<D>| match &document {
            Some(document) => Change::One(*kind, id(document).to_owned()),
            // What is gone no longer says what it belonged to.
            None => Change::Any(*kind),
        };
        let row = self.of.row(delivery, version, document.as_ref())?;
        Ok(Some(row.changing(self.of.followed_by.iter().map(change))))
    }

    async fn apply(&self, transaction: &Transaction<'_>, events: &[Row]) -> Result<(), Unapplied> {
        let mut rows = in_order(events);
        rows.dedup_by_key(|row| row.id());
        Ok(self.upsert.run(transaction, &rows).await?)
    }

    async fn tell(&self, client: &Client, applied: Option<&[Row]>) -> Result<(), tokio_postgres::Error> {
        told::tell(client, self.name(), self.of.followed_by.iter().map(|(kind, _)| *kind), applied).await
    }
}
