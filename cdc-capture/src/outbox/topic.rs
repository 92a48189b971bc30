//! The name of the topic that a row goes to.

use std::{fmt, str::FromStr};

/// The longest name that Kafka takes.
const LONGEST: usize = 249;

/// A topic's name with places for a row's columns: `{aggregatetype}`, `orders.{type}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicTemplate(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    AggregateType,
    Type,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// A place that is not known.
    #[error("{{{0}}} is not known; there are {{aggregatetype}} and {{type}}")]
    UnknownPlace(String),
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
                    _ => return Err(InvalidTemplate::UnknownPlace(place.chars().take(64).collect())),
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
        })
    }
}

impl TopicTemplate {
    pub(crate) fn write(&self, out: &mut String, aggregate_type: &str, ty: &str) {
        for piece in &self.0 {
            out.push_str(match piece {
                Piece::Text(text) => text,
                Piece::AggregateType => aggregate_type,
                Piece::Type => ty,
            });
        }
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
    fn a_template_is_filled_in() {
        let template: TopicTemplate = "shop.{aggregatetype}-{type}".parse().unwrap();
        let mut topic = String::new();
        template.write(&mut topic, "order", "Placed");
        assert_eq!(
            (topic.as_str(), template.to_string().as_str()),
            ("shop.order-Placed", "shop.{aggregatetype}-{type}")
        );
    }

    #[test]
    fn a_wrong_template_is_refused() {
        assert_eq!("".parse::<TopicTemplate>(), Err(InvalidTemplate::Text));
        assert_eq!("a b".parse::<TopicTemplate>(), Err(InvalidTemplate::Text));
        assert_eq!("{type".parse::<TopicTemplate>(), Err(InvalidTemplate::Brace));
        assert_eq!("type}".parse::<TopicTemplate>(), Err(InvalidTemplate::Brace));
        assert_eq!("{id}".parse::<TopicTemplate>(), Err(InvalidTemplate::UnknownPlace("id".into())));
    }

    #[test]
    fn kafka_s_rules_for_names() {
        assert!(is_legal("hotel.accounts.account.v1"));
        for name in ["", ".", "..", "a/b", "ü", &"a".repeat(250)] {
            assert!(!is_legal(name), "{name}");
        }
    }
}
