//! The envelope that every event travels in: CloudEvents 1.0 in Kafka binary mode, value = document, headers = metadata.
//!
//! Free of any domain. Headers come from outside, so reading them is bounded and every refusal says which header and why.

mod header;
mod lsn;
mod position;
mod trace;
mod version;

pub use header::names;
pub use lsn::{InvalidLsn, Lsn};
pub use position::{InvalidPosition, Position};
pub use trace::TraceContext;
pub use version::{AggregateVersion, InvalidVersion};

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The longest value of a header that is accepted, in bytes.
pub const MAX_HEADER_BYTES: usize = 4096;

/// The metadata of one event, as read from the headers of its Kafka message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// `ce_id`: the outbox row's id, the key by which a duplicate is known.
    pub id: Uuid,
    /// `ce_source`: the context that owns the aggregate, such as `/hotel/direct-booking`.
    pub source: String,
    /// `ce_type`: a fact in the past tense with its major version, such as `hotel.accounts.AccountOpened.v1`.
    pub ty: String,
    /// `ce_subject`: the aggregate's id, equal to the Kafka key.
    pub subject: String,
    /// `ce_sequence`: the aggregate's version; absent when the outbox has none.
    pub sequence: Option<AggregateVersion>,
    /// `ce_time`: when the writer recorded it.
    pub time: DateTime<Utc>,
    /// `ce_dataschema`: URI of the document's schema.
    pub dataschema: Option<String>,
    /// `ce_correlationid`: the first command of the story.
    pub correlation_id: Option<String>,
    /// `ce_causationid`: the direct cause.
    pub causation_id: Option<String>,
    /// `ce_validuntil`: how long the document may be cached.
    pub valid_until: Option<DateTime<Utc>>,
    /// `traceparent` and `tracestate`.
    pub trace: TraceContext,
    /// `position`: where in the write-ahead log it was read.
    pub position: Option<Position>,
}

/// Why a message's headers are not an [`Envelope`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEnvelope {
    /// A header that every event carries is not there.
    #[error("header {0} is missing")]
    Missing(&'static str),
    /// A header's value cannot be read.
    #[error("header {name}: {reason}")]
    Invalid {
        /// The header's name.
        name: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
}

impl Envelope {
    /// Reads the envelope from a message's headers, as name and value. Unknown headers are ignored; of a repeated one
    /// the first counts.
    ///
    /// # Errors
    /// When a required header is missing, or any known one is not UTF-8, too long or malformed.
    pub fn from_headers<'a>(
        headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> Result<Self, InvalidEnvelope> {
        let raw = header::Raw::collect(headers)?;
        match raw.required(names::SPECVERSION)? {
            "1.0" => {}
            other => return Err(header::invalid(names::SPECVERSION, format!("expected 1.0, found {other:?}"))),
        }
        Ok(Self {
            id: raw.parse(names::ID, raw.required(names::ID)?)?,
            source: raw.required(names::SOURCE)?.to_owned(),
            ty: raw.required(names::TYPE)?.to_owned(),
            subject: raw.required(names::SUBJECT)?.to_owned(),
            sequence: raw.parse_optional(names::SEQUENCE)?,
            time: raw.parse(names::TIME, raw.required(names::TIME)?)?,
            dataschema: raw.optional(names::DATASCHEMA),
            correlation_id: raw.optional(names::CORRELATION_ID),
            causation_id: raw.optional(names::CAUSATION_ID),
            valid_until: raw.parse_optional(names::VALID_UNTIL)?,
            trace: TraceContext {
                traceparent: raw.optional(names::TRACEPARENT),
                tracestate: raw.optional(names::TRACESTATE),
            },
            position: raw.parse_optional(names::POSITION)?,
        })
    }

    /// The headers that [`Envelope::from_headers`] reads back, in a fixed order. `content-type` is among them.
    pub fn to_headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            (names::SPECVERSION, "1.0".to_owned()),
            (names::CONTENT_TYPE, "application/json".to_owned()),
            (names::ID, self.id.to_string()),
            (names::SOURCE, self.source.clone()),
            (names::TYPE, self.ty.clone()),
            (names::SUBJECT, self.subject.clone()),
            (names::TIME, self.time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)),
        ];
        let mut optional = |name, value: Option<String>| headers.extend(value.map(|value| (name, value)));
        optional(names::SEQUENCE, self.sequence.map(AggregateVersion::to_sequence));
        optional(names::DATASCHEMA, self.dataschema.clone());
        optional(names::CORRELATION_ID, self.correlation_id.clone());
        optional(names::CAUSATION_ID, self.causation_id.clone());
        optional(
            names::VALID_UNTIL,
            self.valid_until.map(|until| until.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)),
        );
        optional(names::TRACEPARENT, self.trace.traceparent.clone());
        optional(names::TRACESTATE, self.trace.tracestate.clone());
        optional(names::POSITION, self.position.as_ref().map(ToString::to_string));
        headers
    }
}
