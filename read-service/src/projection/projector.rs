//! The handler that fills a view by its projection: from a message to a row, from rows to the table.

use contracts::{Topic, envelope::AggregateVersion};
use deadpool_postgres::{Client, Transaction};
use inbox::{Delivery, Handler, Insert, Parameter, Parking, Unapplied, Undecodable};
use serde::de::DeserializeOwned;
use tokio_postgres::types::Type;

use super::{
    cells::{Cells, Row},
    column::Column,
    projection,
    statement::{Given, Statement, latest},
    told,
};
use crate::{
    live::{Change, Kind},
    view::View,
};

/// What documents of the type `D` become.
pub(super) struct Projection<D: 'static> {
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

/// A projection, whatever the type of its documents.
pub(super) trait Project: Send + Sync {
    /// The columns that rows have cells for, in their order, as arrays.
    fn columns(&self) -> Vec<Given>;

    /// By what the view's changes are followed.
    fn followed_by(&self) -> Vec<Kind>;

    /// What a message becomes, with what it changes for those who follow something.
    fn change(&self, delivery: &Delivery) -> Result<Row, Undecodable>;

    /// The same for nobody to be told.
    fn row(&self, delivery: &Delivery) -> Result<Row, Undecodable>;
}

impl<D: DeserializeOwned> Project for Projection<D> {
    fn columns(&self) -> Vec<Given> {
        let own = self.columns.iter().map(|column| (column.name, column.array_type()));
        EVERY_VIEWS.into_iter().chain(own).collect()
    }

    fn followed_by(&self) -> Vec<Kind> {
        self.followed_by.iter().map(|(kind, _)| *kind).collect()
    }

    fn change(&self, delivery: &Delivery) -> Result<Row, Undecodable> {
        let (document, version) = self.read(delivery)?;
        let change = |(kind, id): &Followed<D>| match &document {
            Some(document) => Change::One(*kind, id(document).to_owned()),
            // What is gone no longer says what it belonged to.
            None => Change::Any(*kind),
        };
        let row = self.row_of(delivery, version, document.as_ref())?;
        Ok(row.changing(self.followed_by.iter().map(change)))
    }

    fn row(&self, delivery: &Delivery) -> Result<Row, Undecodable> {
        let (document, version) = self.read(delivery)?;
        self.row_of(delivery, version, document.as_ref())
    }
}

impl<D: DeserializeOwned> Projection<D> {
    /// What a message becomes; no document is a tombstone.
    fn row_of(&self, delivery: &Delivery, version: AggregateVersion, document: Option<&D>) -> Result<Row, Undecodable> {
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

    /// The document must be about the aggregate and the version that the envelope names: the order of events is by the
    /// envelope's key.
    fn read(&self, delivery: &Delivery) -> Result<(Option<D>, AggregateVersion), Undecodable> {
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

/// Fills a view by its projection.
pub struct Projector {
    view: View,
    of: &'static dyn Project,
    upsert: Statement,
}

impl Projector {
    /// Fills this view.
    pub fn of(view: View) -> Self {
        let of = projection(view);
        Self { view, of, upsert: Statement::upsert(&format!("view.{}", view.table()), &of.columns()) }
    }
}

impl Handler for Projector {
    type Event = Row;

    fn name(&self) -> &'static str {
        self.view.table()
    }

    fn topics(&self) -> &'static [Topic] {
        std::slice::from_ref(self.view.topic())
    }

    /// Each event brings the whole document.
    fn parking(&self) -> Parking {
        Parking::Replace
    }

    fn rebuilt_by(&self) -> Option<String> {
        Some(format!("read-service rebuild {}", self.view.table()))
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<Row>, Undecodable> {
        self.of.change(delivery).map(Some)
    }

    async fn apply(&self, transaction: &Transaction<'_>, events: &[Row]) -> Result<(), Unapplied> {
        self.upsert.run(transaction, &latest(events)).await
    }

    fn insert(&self) -> Option<&Insert> {
        Some(&self.upsert.insert)
    }

    fn parameters(&self, events: &[Row]) -> Vec<Parameter> {
        self.upsert.parameters(&latest(events))
    }

    async fn tell(&self, client: &Client, applied: Option<&[Row]>) -> Result<(), tokio_postgres::Error> {
        told::tell(client, self.name(), || self.of.followed_by(), applied).await
    }
}
