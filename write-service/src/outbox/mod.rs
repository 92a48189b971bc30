//! The outbox: what a change tells the world, written by the statement that makes the change.
//!
//! Every schema has the same table. A row becomes one Kafka message: its aggregate type names the topic, its aggregate
//! id is the key, its headers go along as they are. [`with_event!`] puts a change and its row into one statement, so that
//! no change can be written without its event.

pub(crate) mod partitions;
pub(crate) mod restate;

use axum::body::Bytes;
use bytes::BytesMut;
use chrono::{DateTime, SecondsFormat, Utc};
use contracts::{
    ReadAfter, Topic,
    envelope::{AggregateVersion, names},
};
use deadpool_postgres::GenericClient;
use serde::Serialize;
use serde_json::{Map, Value};
use telemetry::trace;
use tokio_postgres::{
    Error, Row,
    types::{IsNull, ToSql, Type, accepts, to_sql_checked},
};
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::command::Cause;

/// The name that every schema gives to the CHECK which keeps an event below the broker's limit.
pub(crate) const SIZE_CHECK: &str = "outbox_payload_fits_the_broker";

/// A document that is told to the world.
pub(crate) trait Document: Serialize {
    /// The `ce_source`: the context that owns it.
    const SOURCE: &'static str;
    /// Where its versions are published.
    const TOPIC: Topic;
    /// The revision of its schema; rises with each field that is added, since the same version then reads otherwise.
    const REVISION: u32;

    /// The aggregate's id.
    fn subject(&self) -> &str;

    /// The aggregate's version.
    fn version(&self) -> AggregateVersion;

    /// Until when it may be kept without being asked for again.
    fn valid_until(&self) -> Option<DateTime<Utc>> {
        None
    }
}

/// An outbox row about to be written.
pub(crate) struct Entry {
    id: Uuid,
    topic: &'static str,
    subject: String,
    ty: &'static str,
    /// `None` is a tombstone: the aggregate is gone.
    payload: Option<Json>,
    version: AggregateVersion,
    aggregateversion: i64,
    headers: Json,
    revision: u32,
    correlation_id: String,
    /// The PRODUCER span whose context the row carries.
    span: Span,
}

/// A value that goes into a statement.
pub(crate) type Parameter<'a> = &'a (dyn ToSql + Sync);

/// The values of the aggregate's row, in the order of the statement's parameters.
pub(crate) type State<'a> = [Parameter<'a>];

/// What the client is told of an event that has been recorded.
pub(crate) struct Recorded {
    /// The document, byte for byte as in the event; nothing where it is gone.
    pub(crate) document: Bytes,
    /// The revision of the document's schema.
    pub(crate) revision: u32,
    /// What a reader has to have seen in order to have seen this.
    pub(crate) read_after: ReadAfter,
    /// The story.
    pub(crate) correlation_id: String,
}

impl Entry {
    /// The event `ty` with `document`.
    pub(crate) fn new<D: Document>(document: &D, ty: &'static str, cause: &Cause) -> Self {
        let payload = Some(Json::of(document));
        Self::about::<D>(document.subject(), document.version(), payload, document.valid_until(), ty, cause)
    }

    /// The event `ty`, after which there is no document any more.
    pub(crate) fn tombstone<D: Document>(
        subject: &str,
        version: AggregateVersion,
        ty: &'static str,
        cause: &Cause,
    ) -> Self {
        Self::about::<D>(subject, version, None, None, ty, cause)
    }

    fn about<D: Document>(
        subject: &str,
        version: AggregateVersion,
        payload: Option<Json>,
        valid_until: Option<DateTime<Utc>>,
        ty: &'static str,
        cause: &Cause,
    ) -> Self {
        let id = Uuid::now_v7();
        let topic = D::TOPIC.name;
        let span = tracing::info_span!(
            "create",
            otel.name = format!("create {topic}"),
            otel.kind = "producer",
            messaging.system = "kafka",
            messaging.operation.name = "create",
            messaging.operation.r#type = "create",
            messaging.destination.name = topic,
            messaging.message.id = %id,
        );
        trace::continue_from(&span, &cause.trace);
        let correlation_id = cause.correlation_id.clone();
        let trace = trace::of(&span);
        let headers = [
            (names::SOURCE, Some(D::SOURCE.to_owned())),
            // Of a document that is gone there is no schema.
            (names::DATASCHEMA, payload.as_ref().map(|_| D::TOPIC.schema_uri())),
            (names::CORRELATION_ID, Some(correlation_id.clone())),
            (names::CAUSATION_ID, Some(cause.id.to_string())),
            (names::VALID_UNTIL, valid_until.map(|until| until.to_rfc3339_opts(SecondsFormat::AutoSi, true))),
            (names::TRACEPARENT, trace.traceparent),
            (names::TRACESTATE, trace.tracestate),
        ];
        let headers: Map<_, _> =
            headers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?)))).collect();
        Self {
            id,
            topic,
            subject: subject.to_owned(),
            ty,
            payload,
            version,
            aggregateversion: version.get(),
            headers: Json::of(&headers),
            revision: D::REVISION,
            correlation_id,
            span,
        }
    }

    /// Runs a statement made by [`with_event!`], in the event's span: how many rows were changed.
    pub(crate) async fn execute(
        &self,
        client: &impl GenericClient,
        sql: &str,
        state: &State<'_>,
    ) -> Result<u64, Error> {
        let statement = client.prepare_cached(sql).await?;
        client.execute(&statement, &self.parameters(state)).instrument(self.span.clone()).await
    }

    /// Records it by a statement of its own: what is told without a change, or beside the event that the change is written with.
    pub(crate) async fn record(&self, client: &impl GenericClient, schema: &str) -> Result<(), Error> {
        let sql = format!(
            "insert into {schema}.outbox (id, aggregatetype, aggregateid, type, payload, aggregateversion, headers)
             values ($1, $2, $3, $4, $5, $6, $7)"
        );
        self.execute(client, &sql, &[]).await.map(drop)
    }

    /// Runs a statement that holds [`insert_event!`], in the event's span: the one row that it answers.
    pub(crate) async fn query_one(
        &self,
        client: &impl GenericClient,
        sql: &str,
        state: &State<'_>,
    ) -> Result<Row, Error> {
        let statement = client.prepare_cached(sql).await?;
        client.query_one(&statement, &self.parameters(state)).instrument(self.span.clone()).await
    }

    /// `$1` to `$7` are the row, the state's follow from `$8` on.
    fn parameters<'a>(&'a self, state: &State<'a>) -> Vec<Parameter<'a>> {
        let mut parameters: Vec<Parameter<'a>> =
            vec![&self.id, &self.topic, &self.subject, &self.ty, &self.payload, &self.aggregateversion, &self.headers];
        parameters.extend_from_slice(state);
        parameters
    }

    /// Once it is committed.
    pub(crate) fn recorded(self) -> Recorded {
        Recorded {
            document: self.payload.map(|payload| payload.0).unwrap_or_default(),
            revision: self.revision,
            read_after: ReadAfter { topic: self.topic.to_owned(), subject: self.subject, version: self.version },
            correlation_id: self.correlation_id,
        }
    }
}

/// The row of an event, as the last part of a statement: `$1` to `$7` for each row of the CTE `$change`.
macro_rules! insert_event {
    ($schema:literal, $change:literal) => {
        concat!(
            "insert into ",
            $schema,
            ".outbox (id, aggregatetype, aggregateid, type, payload, aggregateversion, headers)",
            " select $1::uuid, $2::text, $3::text, $4::text, $5::json, $6::bigint, $7::json from ",
            $change
        )
    };
}

/// One statement that makes a change (an `insert` or `update` with parameters from `$8` on, without `returning`) and
/// records its event in the schema's outbox. It affects as many rows as were changed: none, and nothing is recorded.
macro_rules! with_event {
    ($schema:literal, $change:literal) => {
        concat!("with change as (", $change, " returning 1) ", $crate::outbox::insert_event!($schema, "change"))
    };
}

pub(crate) use {insert_event, with_event};

/// JSON as text, written once: for the row and for the answer.
#[derive(Debug)]
struct Json(Bytes);

impl Json {
    /// Documents are plain data with text for keys, which JSON can always hold.
    fn of(value: &impl Serialize) -> Self {
        Self(serde_json::to_vec(value).unwrap_or_default().into())
    }
}

impl ToSql for Json {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    accepts!(JSON);
    to_sql_checked!();
}
