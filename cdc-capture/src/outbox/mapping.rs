//! The parts of an event, and which column holds each.

use std::{fmt, str::FromStr};

/// A part of an event that a column can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The event's id.
    Id,
    /// What the topic is made of.
    AggregateType,
    /// The key.
    AggregateId,
    /// The event's type.
    Type,
    /// The document.
    Payload,
    /// The aggregate's version.
    Version,
    /// An object of further headers.
    Headers,
    /// When the event was recorded.
    CreatedAt,
}

/// How the rest of the world calls a part, and what column may hold it.
struct Described {
    /// The part's name, which is also its column's unless another is named.
    name: &'static str,
    /// Another column that will do when none is named.
    other: Option<&'static str>,
    /// The types that will do, by name and OID.
    types: &'static [(&'static str, u32)],
}

const TEXT: [(&str, u32); 2] = [("text", 25), ("varchar", 1043)];
const ID: [(&str, u32); 5] = [("uuid", 2950), TEXT[0], TEXT[1], ("bigint", 20), ("integer", 23)];
const DOCUMENT: [(&str, u32); 4] = [("json", 114), ("jsonb", 3802), TEXT[0], TEXT[1]];
const JSON: [(&str, u32); 2] = [DOCUMENT[0], DOCUMENT[1]];
const NUMBER: [(&str, u32); 2] = [("bigint", 20), ("integer", 23)];
const TIME: [(&str, u32); 1] = [("timestamptz", 1184)];

impl Part {
    /// How many there are.
    pub(super) const COUNT: usize = 8;

    /// All of them. The first five are the columns that Debezium's outbox router expects.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Id,
        Self::AggregateType,
        Self::AggregateId,
        Self::Type,
        Self::Payload,
        Self::Version,
        Self::Headers,
        Self::CreatedAt,
    ];

    fn described(self) -> &'static Described {
        match self {
            Self::Id => &Described { name: "id", other: None, types: &ID },
            Self::AggregateType => &Described { name: "aggregatetype", other: None, types: &TEXT },
            Self::AggregateId => &Described { name: "aggregateid", other: None, types: &ID },
            Self::Type => &Described { name: "type", other: None, types: &TEXT },
            Self::Payload => &Described { name: "payload", other: None, types: &DOCUMENT },
            Self::Version => &Described { name: "aggregateversion", other: None, types: &NUMBER },
            Self::Headers => &Described { name: "headers", other: None, types: &JSON },
            Self::CreatedAt => &Described { name: "createdat", other: Some("created_at"), types: &TIME },
        }
    }

    /// Its name, which is also its column's unless another is named.
    pub fn name(self) -> &'static str {
        self.described().name
    }

    /// The types that its column may have, by name and OID.
    pub(super) fn types(self) -> &'static [(&'static str, u32)] {
        self.described().types
    }
}

/// There is no part of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such part; there are {}", Part::ALL.map(Part::name).join(", "))]
pub struct UnknownPart;

impl FromStr for Part {
    type Err = UnknownPart;

    fn from_str(text: &str) -> Result<Self, UnknownPart> {
        Self::ALL.into_iter().find(|part| part.name() == text).ok_or(UnknownPart)
    }
}

/// Which events are made: their topic unless a template is given, their headers, and the parts that they have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// CloudEvents in Kafka's binary mode.
    #[default]
    Waybill,
    /// What Debezium's outbox event router makes by default.
    Debezium,
}

/// There is no preset of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such preset; there are waybill and debezium")]
pub struct UnknownPreset;

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(text: &str) -> Result<Self, UnknownPreset> {
        match text {
            "waybill" => Ok(Self::Waybill),
            "debezium" => Ok(Self::Debezium),
            _ => Err(UnknownPreset),
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waybill => "waybill",
            Self::Debezium => "debezium",
        })
    }
}

impl Preset {
    /// Whether its events have this part.
    pub(super) fn uses(self, part: Part) -> bool {
        match self {
            Self::Waybill => true,
            Self::Debezium => !matches!(part, Part::Version | Part::Headers | Part::CreatedAt),
        }
    }

    /// Whether none of its events can do without this part.
    pub(super) fn requires(self, part: Part) -> bool {
        match part {
            Part::Id | Part::AggregateType | Part::AggregateId | Part::Payload => true,
            // Debezium reads it only where it is placed.
            Part::Type => self == Self::Waybill,
            Part::Version | Part::Headers | Part::CreatedAt => false,
        }
    }
}

/// The columns that were named for parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping([Option<String>; Part::COUNT]);

impl Mapping {
    /// Names the column of a part and gives the one that was named before.
    pub fn set(&mut self, part: Part, column: String) -> Option<String> {
        self.0[part as usize].replace(column)
    }

    /// The column that was named for a part.
    pub(super) fn named(&self, part: Part) -> Option<&str> {
        self.0[part as usize].as_deref()
    }

    /// The columns that will do for a part, the best first.
    pub(super) fn columns(&self, part: Part) -> impl Iterator<Item = &str> {
        let described = part.described();
        let (first, other) = match self.named(part) {
            Some(named) => (named, None),
            None => (described.name, described.other),
        };
        std::iter::once(first).chain(other)
    }

    /// The column that a part should be in.
    pub(super) fn column(&self, part: Part) -> &str {
        self.named(part).unwrap_or(part.name())
    }
}
