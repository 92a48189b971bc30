//! Header names, and reading their raw values.

use super::{InvalidEnvelope, MAX_HEADER_BYTES};

/// The names of the headers, as the CloudEvents 1.0 Kafka protocol binding and W3C Trace Context spell them.
pub mod names {
    #![allow(missing_docs, reason = "each name is explained at its field in Envelope")]
    pub const SPECVERSION: &str = "ce_specversion";
    pub const CONTENT_TYPE: &str = "content-type";
    pub const ID: &str = "ce_id";
    pub const SOURCE: &str = "ce_source";
    pub const TYPE: &str = "ce_type";
    pub const SUBJECT: &str = "ce_subject";
    pub const SEQUENCE: &str = "ce_sequence";
    pub const TIME: &str = "ce_time";
    pub const DATASCHEMA: &str = "ce_dataschema";
    pub const CORRELATION_ID: &str = "ce_correlationid";
    pub const CAUSATION_ID: &str = "ce_causationid";
    pub const VALID_UNTIL: &str = "ce_validuntil";
    pub const TRACEPARENT: &str = "traceparent";
    pub const TRACESTATE: &str = "tracestate";
    pub const POSITION: &str = "position";

    pub(super) const READ: [&str; 14] = [
        SPECVERSION,
        ID,
        SOURCE,
        TYPE,
        SUBJECT,
        SEQUENCE,
        TIME,
        DATASCHEMA,
        CORRELATION_ID,
        CAUSATION_ID,
        VALID_UNTIL,
        TRACEPARENT,
        TRACESTATE,
        POSITION,
    ];
}

pub(super) fn invalid(name: &'static str, reason: impl std::fmt::Display) -> InvalidEnvelope {
    InvalidEnvelope::Invalid { name, reason: format!("{reason}") }
}

/// The values of the known headers, each checked for length and encoding.
pub(super) struct Raw<'a>([Option<&'a str>; names::READ.len()]);

impl<'a> Raw<'a> {
    pub(super) fn collect(
        headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> Result<Self, InvalidEnvelope> {
        let mut values = [None; names::READ.len()];
        for (name, value) in headers {
            let (Some(at), Some(value)) = (names::READ.iter().position(|known| *known == name), value) else {
                continue;
            };
            let name = names::READ[at];
            if value.len() > MAX_HEADER_BYTES {
                return Err(invalid(name, format!("{} bytes, more than {MAX_HEADER_BYTES}", value.len())));
            }
            let value = std::str::from_utf8(value).map_err(|error| invalid(name, error))?;
            values[at].get_or_insert(value);
        }
        Ok(Self(values))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        names::READ.iter().position(|known| *known == name).and_then(|at| self.0[at])
    }

    pub(super) fn required(&self, name: &'static str) -> Result<&'a str, InvalidEnvelope> {
        match self.get(name) {
            None => Err(InvalidEnvelope::Missing(name)),
            Some("") => Err(invalid(name, "is empty")),
            Some(value) => Ok(value),
        }
    }

    pub(super) fn optional(&self, name: &'static str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    pub(super) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        name: &'static str,
        value: &str,
    ) -> Result<T, InvalidEnvelope> {
        value.parse().map_err(|error| invalid(name, error))
    }

    pub(super) fn parse_optional<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, InvalidEnvelope> {
        self.get(name).map(|value| self.parse(name, value)).transpose()
    }
}
