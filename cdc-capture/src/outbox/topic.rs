//! The name of the topic that a row goes to.

use std::{fmt, str::FromStr};

/// The longest name that Kafka takes.
const LONGEST: usize = 249;

/// A topic's name with places for parts and columns of a row: `{aggregatetype}`, `orders.{type}`, `{tenant}.orders`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicTemplate(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    AggregateType,
    Type,
    /// Any other column, by name.
    Column(String),
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// A place without a name.
    #[error("{{}} names no column")]
    NoName,
    /// A brace without its partner.
    #[error("a brace has no partner")]
    Brace,
    /// A character that no topic's name has, or none at all.
    #[error("a topic's name is made of a-z A-Z 0-9 . _ -")]
    Text,
}

impl Default for TopicTemplate {
    /// `{aggregatetype}`
    fn default() -> Self {
        Self(vec![Piece::AggregateType])
    }
}

impl FromStr for TopicTemplate {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, InvalidTemplate> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(place) = rest.strip_prefix('{') {
                let (place, after) = place.split_once('}').ok_or(InvalidTemplate::Brace)?;
                pieces.push(match place {
                    "aggregatetype" => Piece::AggregateType,
                    "type" => Piece::Type,
                    "" => return Err(InvalidTemplate::NoName),
                    column if column.contains('{') => return Err(InvalidTemplate::Brace),
                    column => Piece::Column(column.to_owned()),
                });
                rest = after;
            } else {
                let (plain, after) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
                if plain.contains('}') {
                    return Err(InvalidTemplate::Brace);
                }
                if !plain.bytes().all(is_legal_byte) {
                    return Err(InvalidTemplate::Text);
                }
                pieces.push(Piece::Text(plain.to_owned()));
                rest = after;
            }
        }
        if pieces.is_empty() { Err(InvalidTemplate::Text) } else { Ok(Self(pieces)) }
    }
}

impl fmt::Display for TopicTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::AggregateType => f.write_str("{aggregatetype}"),
            Piece::Type => f.write_str("{type}"),
            Piece::Column(column) => write!(f, "{{{column}}}"),
        })
    }
}

impl TopicTemplate {
    /// `outbox.event.{aggregatetype}`, the topic that Debezium's outbox event router chooses.
    pub(super) fn debezium() -> Self {
        Self(vec![Piece::Text("outbox.event.".to_owned()), Piece::AggregateType])
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The columns that it names, in its order.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Column(column) => Some(column.as_str()),
            _ => None,
        })
    }
}

/// Whether Kafka takes it as a topic's name.
pub(crate) fn is_legal(name: &str) -> bool {
    (1..=LONGEST).contains(&name.len()) && ![".", ".."].contains(&name) && name.bytes().all(is_legal_byte)
}

fn is_legal_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_read_and_shown() {
        let text = "shop.{aggregatetype}-{type}.{tenant id}";
        let template: TopicTemplate = text.parse().unwrap();
        let [_, Piece::AggregateType, _, Piece::Type, _, Piece::Column(column)] = template.pieces() else {
            panic!("{template:?}")
        };
        assert_eq!((column.as_str(), template.to_string().as_str()), ("tenant id", text));
        assert_eq!(template.columns().collect::<Vec<_>>(), ["tenant id"]);
        assert_eq!(TopicTemplate::debezium().to_string().parse(), Ok(TopicTemplate::debezium()));
    }

    #[test]
    fn a_wrong_template_is_refused() {
        assert_eq!("".parse::<TopicTemplate>(), Err(InvalidTemplate::Text));
        assert_eq!("a b".parse::<TopicTemplate>(), Err(InvalidTemplate::Text));
        assert_eq!("{type".parse::<TopicTemplate>(), Err(InvalidTemplate::Brace));
        assert_eq!("type}".parse::<TopicTemplate>(), Err(InvalidTemplate::Brace));
        assert_eq!("{a{b}".parse::<TopicTemplate>(), Err(InvalidTemplate::Brace));
        assert_eq!("a{}".parse::<TopicTemplate>(), Err(InvalidTemplate::NoName));
    }

    #[test]
    fn kafka_s_rules_for_names() {
        assert!(is_legal("hotel.accounts.account.v1"));
        for name in ["", ".", "..", "a/b", "ü", &"a".repeat(250)] {
            assert!(!is_legal(name), "{name}");
        }
    }
}
