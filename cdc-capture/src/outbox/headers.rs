//! A list of headers that is filled again for each event, and what headers a row may bring.

use std::{collections::BTreeMap, ops::Range};

use contracts::envelope::{MAX_HEADER_BYTES, names};

use super::Preset;

/// The most headers that a row may bring.
pub(super) const MAX_HEADERS: usize = 32;
/// The longest name of a header, in bytes.
const MAX_NAME_BYTES: usize = 256;
/// What the relay itself says of a Debezium-like event.
const DEBEZIUM_RESERVED: [&str; 2] = [DEBEZIUM_ID, names::POSITION];
/// The header for an event's id that Debezium's outbox event router sets.
pub(super) const DEBEZIUM_ID: &str = "id";
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

    /// Adds the members of a row's `headers` object, beside `extra` headers that are there: texts as they are; null is no
    /// header.
    pub(super) fn push_json(&mut self, json: &[u8], extra: usize) -> Result<(), String> {
        // Texts without escapes, which is nearly all there ever is, are not copied.
        if let Ok(plain) = serde_json::from_slice::<BTreeMap<&str, &str>>(json) {
            return plain
                .iter()
                .enumerate()
                .try_for_each(|(at, (name, value))| self.push_member(at, name, value, extra));
        }
        let members: BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(json).map_err(|error| format!("expected an object of texts: {error}"))?;
        for (at, (name, value)) in members.iter().enumerate() {
            match value {
                serde_json::Value::Null => {}
                serde_json::Value::String(value) => self.push_member(at, name, value, extra)?,
                _ => return Err(format!("{:?} is not a text", shorten(name, 64))),
            }
        }
        Ok(())
    }

    fn push_member(&mut self, at: usize, name: &str, value: &str, extra: usize) -> Result<(), String> {
        let refused = |reason: &str| Err(format!("{:?} {reason}", shorten(name, 64)));
        if at + extra >= MAX_HEADERS {
            return Err(format!("more than {} members", MAX_HEADERS - extra));
        }
        if let Err(reason) = check_name(Preset::Waybill, name) {
            return refused(reason);
        }
        if extra > 0 && self.contains(name) {
            return refused("is a column's header already");
        }
        if let Err(reason) = check_value(name, value.as_bytes()) {
            return refused(&reason);
        }
        self.push(name, value.as_bytes());
        Ok(())
    }

    /// Adds a column's header, whose name was checked when it was set.
    pub(super) fn push_column(&mut self, name: &str, value: &[u8]) -> Result<(), String> {
        check_value(name, value)?;
        self.push(name, value);
        Ok(())
    }
}

/// Why this cannot be the name of a header that the relay does not set itself.
pub(super) fn check_name(preset: Preset, name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains('\0') {
        return Err("is not a header's name");
    }
    let reserved: &[&str] = match preset {
        Preset::Waybill => &RESERVED,
        Preset::Debezium => &DEBEZIUM_RESERVED,
    };
    if reserved.contains(&name) { Err("is for the relay to set") } else { Ok(()) }
}

fn check_value(name: &str, value: &[u8]) -> Result<(), String> {
    if value.len() > MAX_HEADER_BYTES {
        return Err(format!("has {} bytes, more than {MAX_HEADER_BYTES}", value.len()));
    }
    if name == names::SOURCE && value.is_empty() { Err("is empty".to_owned()) } else { Ok(()) }
}

/// The beginning of a text from outside, for a message.
pub(super) fn shorten(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}
