//! How rows become events: everything that a user can choose about it.

use super::{
    TopicTemplate, headers,
    mapping::{Mapping, Part, Preset},
    topic::Piece,
};
use crate::names::{quote_identifier, quote_literal};

/// How rows become events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Which events are made.
    pub preset: Preset,
    /// Which column holds which part.
    pub mapping: Mapping,
    /// Further columns that become headers.
    pub headers: Vec<ExtraHeader>,
    /// Which topic an event goes to.
    pub topic: TopicTemplate,
    /// Whether events have the header `position`, by which a relay knows what it has sent.
    pub position_header: bool,
    /// The prefix of the logical messages that are events; `None` when only rows are.
    pub message_prefix: Option<String>,
}

/// A column that becomes a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraHeader {
    /// The column.
    pub column: String,
    /// The header's name.
    pub header: String,
}

impl Default for Format {
    fn default() -> Self {
        Self::of(Preset::default())
    }
}

impl Format {
    /// The preset as it is.
    pub fn of(preset: Preset) -> Self {
        let topic = match preset {
            Preset::Waybill => TopicTemplate::default(),
            Preset::Debezium => TopicTemplate::debezium(),
        };
        let (mapping, headers) = (Mapping::default(), Vec::new());
        Self { preset, mapping, headers, topic, position_header: true, message_prefix: None }
    }

    /// An SQL expression over an outbox table: the topic of a row, without the installation's prefix.
    pub(crate) fn topic_in_sql(&self) -> String {
        let pieces = self.topic.pieces().iter().map(|piece| match piece {
            Piece::Text(text) => quote_literal(text),
            Piece::AggregateType => quote_identifier(self.mapping.column(Part::AggregateType)),
            Piece::Type => quote_identifier(self.mapping.column(Part::Type)),
            Piece::Column(name) => quote_identifier(name),
        });
        format!("concat({})", pieces.collect::<Vec<_>>().join(", "))
    }

    /// The column that a part should be in, when its events have that part.
    pub(crate) fn column(&self, part: Part) -> Option<&str> {
        self.preset.uses(part).then(|| self.mapping.column(part))
    }

    /// The parts that its events have.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part> {
        Part::ALL.into_iter().filter(|part| self.preset.uses(*part))
    }

    /// Whether a table without the part's column is no outbox. One that was named must be there.
    pub(super) fn requires(&self, part: Part) -> bool {
        self.preset.requires(part) || self.mapping.named(part).is_some()
    }

    /// The part that a column holds.
    pub(super) fn part_of(&self, column: &str) -> Option<Part> {
        self.parts().find(|part| self.mapping.columns(*part).any(|name| name == column))
    }

    /// What cannot be meant about the mapping, and about the headers, a reason each.
    pub fn problems(&self) -> (Vec<String>, Vec<String>) {
        let (mut mapping, mut extra) = (Vec::new(), Vec::new());
        for part in Part::ALL.into_iter().filter(|part| self.mapping.named(*part).is_some()) {
            if !self.preset.uses(part) {
                mapping.push(format!("the preset {} has no {}", self.preset, part.name()));
            }
        }
        let parts: Vec<Part> = self.parts().collect();
        for (at, part) in parts.iter().enumerate() {
            let column = self.mapping.column(*part);
            if let Some(other) = parts[..at].iter().find(|other| self.mapping.column(**other) == column) {
                mapping.push(format!("the column {column} cannot be both {} and {}", other.name(), part.name()));
            }
        }
        for (at, header) in self.headers.iter().enumerate() {
            let name = &header.header;
            if let Err(reason) = headers::check_name(self.preset, name) {
                extra.push(format!("{:?} {reason}", headers::shorten(name, 64)));
            }
            if self.headers[..at].iter().any(|other| other.header == *name) {
                extra.push(format!("{:?} is there twice", headers::shorten(name, 64)));
            }
        }
        if self.headers.len() > headers::MAX_HEADERS {
            extra.push(format!("more than {}", headers::MAX_HEADERS));
        }
        (mapping, extra)
    }
}
