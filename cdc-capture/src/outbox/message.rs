//! An event in a logical message: a JSON object whose members are an outbox's columns.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use super::{Format, Part, Reason, headers, source::Source};

/// The values of one message. `None` is null, or a member that is not there.
#[derive(Debug, Default)]
pub(super) struct Body {
    parts: [Option<String>; Part::COUNT],
    names: [String; Part::COUNT],
    headers: Vec<Option<String>>,
    places: Vec<Option<String>>,
}

impl Body {
    /// Reads a message's content.
    pub(super) fn read(content: &[u8], format: &Format) -> Result<Self, Reason> {
        let members: BTreeMap<String, &RawValue> = serde_json::from_slice(content)
            .map_err(|error| Reason::Body(format!("expected a JSON object of an outbox's columns: {error}")))?;
        let mut body = Self::default();
        for part in format.parts() {
            let name = format.mapping.columns(part).find(|name| members.contains_key(*name));
            let Some((name, member)) = name.and_then(|name| Some((name, members.get(name)?))) else {
                let name = format.mapping.column(part);
                if format.requires(part) {
                    return Err(Reason::Body(format!("member {name} is missing")));
                }
                continue;
            };
            body.names[part as usize] = name.to_owned();
            let refused = |reason: &str| Reason::Value(name.to_owned(), reason.to_owned());
            body.parts[part as usize] = match part {
                // As they are.
                Part::Payload | Part::Headers => (member.get() != "null").then(|| member.get().to_owned()),
                _ if member.get().starts_with(['{', '[', 't', 'f']) => {
                    return Err(refused("is neither a text nor a number"));
                }
                Part::CreatedAt => match text(member) {
                    None => None,
                    Some(time) => Some(as_postgres_writes(&time).ok_or_else(|| {
                        refused(&format!("{:?} is not a time as in RFC 3339", headers::shorten(&time, 64)))
                    })?),
                },
                _ => text(member),
            };
        }
        let member = |name: &str| members.get(name).and_then(|member| text(member));
        body.headers = format.headers.iter().map(|extra| member(&extra.column)).collect();
        body.places = format.topic.columns().map(member).collect();
        Ok(body)
    }

    /// The event's id, when there is one.
    pub(super) fn id(&self) -> Option<&str> {
        self.parts[Part::Id as usize].as_deref()
    }
}

/// The event's id and the aggregate's, where they can be read, whatever else is wrong with a message.
pub(super) fn identities(content: &[u8], format: &Format) -> (Option<String>, Option<String>) {
    let members: BTreeMap<String, &RawValue> = serde_json::from_slice(content).unwrap_or_default();
    let identity = |part| {
        let member = format.mapping.columns(part).find_map(|name| members.get(name))?;
        text(member).filter(|text| !text.is_empty() && !member.get().starts_with(['{', '[']))
    };
    (identity(Part::Id), identity(Part::AggregateId))
}

/// A text without its quotes, anything else as it is written; null is none.
fn text(member: &RawValue) -> Option<String> {
    match member.get() {
        "null" => None,
        quoted if quoted.starts_with('"') => serde_json::from_str(quoted).ok(),
        written => Some(written.to_owned()),
    }
}

/// A time as the other source of events has it.
fn as_postgres_writes(time: &str) -> Option<String> {
    let time = DateTime::parse_from_rfc3339(time).ok()?.with_timezone(&Utc);
    Some(time.format("%Y-%m-%d %H:%M:%S%.6f+00").to_string())
}

impl<'a> Source<'a> for &'a Body {
    fn part(&self, part: Part) -> Option<&'a [u8]> {
        self.parts[part as usize].as_deref().map(str::as_bytes)
    }

    fn name(&self, part: Part) -> &str {
        &self.names[part as usize]
    }

    fn header(&self, number: usize) -> Result<Option<&'a [u8]>, Reason> {
        Ok(self.headers[number].as_deref().map(str::as_bytes))
    }

    fn place(&self, number: usize) -> Result<Option<&'a [u8]>, Reason> {
        Ok(self.places[number].as_deref().map(str::as_bytes))
    }
}
