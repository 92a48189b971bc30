//! A list of headers that is filled again for each event, and what a row's own headers may say.

use std::{collections::BTreeMap, ops::Range};

use contracts::envelope::{MAX_HEADER_BYTES, names};

use super::Reason;

/// The most headers that a row may bring.
pub(super) const MAX_HEADERS: usize = 32;
/// The longest name of a header, in bytes.
const MAX_NAME_BYTES: usize = 256;
/// What the relay itself says of an event; a row cannot say otherwise.
const RESERVED: [&str; 8] = [
    names::SPECVERSION,
    names::CONTENT_TYPE,
    names::ID,
    names::TYPE,
    names::SUBJECT,
    names::SEQUENCE,
    names::TIME,
    names::POSITION,
];

/// Names and values in one buffer.
#[derive(Debug, Default)]
pub struct HeaderList {
    names: String,
    values: Vec<u8>,
    entries: Vec<(Range<usize>, Range<usize>)>,
}

impl HeaderList {
    pub(super) fn clear(&mut self) {
        self.names.clear();
        self.values.clear();
        self.entries.clear();
    }

    pub(super) fn push(&mut self, name: &str, value: &[u8]) {
        let (name_from, value_from) = (self.names.len(), self.values.len());
        self.names.push_str(name);
        self.values.extend_from_slice(value);
        self.entries.push((name_from..self.names.len(), value_from..self.values.len()));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Names and values, in the order in which they are sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries.iter().map(|(name, value)| (&self.names[name.clone()], &self.values[value.clone()]))
    }

    /// The value of the first header of this name.
    pub fn get(&self, wanted: &str) -> Option<&[u8]> {
        self.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value)
    }

    pub(super) fn contains(&self, wanted: &str) -> bool {
        self.iter().any(|(name, _)| name == wanted)
    }

    /// Adds the members of a row's `headers` object: texts as they are; null is no header.
    pub(super) fn push_json(&mut self, json: &[u8]) -> Result<(), Reason> {
        // Texts without escapes, which is nearly all there ever is, are not copied.
        if let Ok(plain) = serde_json::from_slice::<BTreeMap<&str, &str>>(json) {
            return plain.iter().enumerate().try_for_each(|(at, (name, value))| self.push_checked(at, name, value));
        }
        let members: BTreeMap<String, serde_json::Value> = serde_json::from_slice(json)
            .map_err(|error| Reason::Headers(format!("expected an object of texts: {error}")))?;
        for (at, (name, value)) in members.iter().enumerate() {
            match value {
                serde_json::Value::Null => {}
                serde_json::Value::String(value) => self.push_checked(at, name, value)?,
                _ => return Err(Reason::Headers(format!("{:?} is not a text", shorten(name, 64)))),
            }
        }
        Ok(())
    }

    fn push_checked(&mut self, at: usize, name: &str, value: &str) -> Result<(), Reason> {
        let refused = |reason: &str| Err(Reason::Headers(format!("{:?} {reason}", shorten(name, 64))));
        if at >= MAX_HEADERS {
            return Err(Reason::Headers(format!("more than {MAX_HEADERS} members")));
        }
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains('\0') {
            return refused("is not a header's name");
        }
        if RESERVED.contains(&name) {
            return refused("is for the relay to set");
        }
        if value.len() > MAX_HEADER_BYTES {
            return refused(&format!("has {} bytes, more than {MAX_HEADER_BYTES}", value.len()));
        }
        if name == names::SOURCE && value.is_empty() {
            return refused("is empty");
        }
        self.push(name, value.as_bytes());
        Ok(())
    }
}

/// The beginning of a text from outside, for a message.
pub(super) fn shorten(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}
