//! `view.event`: a line for each event that any context tells, but for those about cards. What happened, when, why and in
//! which trace; never the document, so that there is nothing in it to erase.

use std::{sync::LazyLock, time::Duration};

use chrono::Utc;
use contracts::Topic;
use deadpool_postgres::{Client, Transaction};
use inbox::{Delivery, Handler, Insert, Parameter, Parking, Unapplied, Undecodable};
use tokio_postgres::types::Type;

use super::{
    cells::{Cells, Row},
    column::{Column, instant, int, key, long, text},
    statement::{Statement, in_order},
    told,
};
use crate::{
    live::{Change, Kind},
    view::View,
};

/// The name of what fills it.
pub const JOURNAL: &str = "journal";

/// Fills `view.event`.
pub struct Journal {
    keep: Duration,
    insert: Statement,
}

/// The topic of each view: of a contract's versions the one that is read here, so that nothing is told twice.
static TOPICS: LazyLock<Vec<Topic>> = LazyLock::new(|| View::ALL.iter().map(|view| *view.topic()).collect());

/// All columns but the id, which is the event's own.
static COLUMNS: [Column<Delivery>; 12] = [
    text("type", |event| Some(&event.envelope.ty)),
    text("source", |event| Some(&event.envelope.source)),
    text("topic", |event| Some(&event.topic)),
    key("subject", |event| Some(&event.envelope.subject)),
    long("version", |event| event.envelope.sequence.map(Into::into)),
    key("correlation_id", |event| event.envelope.correlation_id.as_deref()),
    text("causation_id", |event| event.envelope.causation_id.as_deref()),
    text("trace_id", |event| event.envelope.trace.trace_id()),
    int("partition", |event| Some(event.partition)),
    long("message_offset", |event| Some(event.offset)),
    instant("recorded_at", |event| Some(event.envelope.time)),
    instant("published_at", |event| event.published_at),
];

impl Journal {
    /// Takes no event that was recorded longer ago than `keep`: it would only be pruned.
    pub fn new(keep: Duration) -> Self {
        let own = COLUMNS.iter().map(|column| (column.name, column.array_type()));
        let columns: Vec<_> = [("id", Type::TEXT_ARRAY)].into_iter().chain(own).collect();
        Self { keep, insert: Statement::insert_new("view.event", &columns) }
    }
}

impl Handler for Journal {
    type Event = Row;

    fn name(&self) -> &'static str {
        JOURNAL
    }

    fn topics(&self) -> &'static [Topic] {
        &TOPICS
    }

    /// A line is about one event.
    fn parking(&self) -> Parking {
        Parking::Alone
    }

    /// It has a line for each event of every topic, and a moment does not matter to who reads it.
    fn gathers_for(&self) -> Duration {
        Duration::from_millis(20)
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<Row>, Undecodable> {
        // An age that is negative is that of a clock which is ahead.
        if (Utc::now() - delivery.envelope.time).to_std().is_ok_and(|age| age > self.keep) {
            return Ok(None);
        }
        if delivery.envelope.sequence.is_none() {
            return Err(Undecodable("an event without a version".to_owned()));
        }
        let mut cells = Cells::new();
        cells.text("id", &delivery.envelope.id.to_string())?;
        for column in &COLUMNS {
            column.write(delivery, &mut cells)?;
        }
        let envelope = &delivery.envelope;
        let correlation = envelope.correlation_id.clone().map(|id| Change::One(Kind::Correlation, id));
        let subject = Change::One(Kind::Subject, envelope.subject.clone());
        Ok(Some(cells.row(0).changing(std::iter::once(subject).chain(correlation))))
    }

    async fn apply(&self, transaction: &Transaction<'_>, events: &[Row]) -> Result<(), Unapplied> {
        self.insert.run(transaction, &in_order(events)).await
    }

    fn insert(&self) -> Option<&Insert> {
        Some(&self.insert.insert)
    }

    fn parameters(&self, events: &[Row]) -> Vec<Parameter> {
        self.insert.parameters(&in_order(events))
    }

    async fn tell(&self, client: &Client, applied: Option<&[Row]>) -> Result<(), tokio_postgres::Error> {
        told::tell(client, JOURNAL, || vec![Kind::Subject, Kind::Correlation], applied).await
    }
}
