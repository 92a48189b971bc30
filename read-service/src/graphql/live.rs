//! A subscription, compiled: what it follows, and the one statement by which it looks.

use std::collections::HashMap;

use async_graphql::Variables;
use sha2::{Digest, Sha256};

use super::{
    answer::{Answer, Body},
    compile::{Asked, Root, compile, follows},
    error::{Code, Error},
    execute::{Operation, cells_of},
    model::EVENTS,
    parameters::Parameters,
    shape::Shape,
    write,
};
use crate::{
    live::Watched,
    view::{Connections, Sql},
};

/// A subscription that can look at the views.
pub struct Live {
    key: [u8; 32],
    watched: Vec<Watched>,
    name: String,
    shape: Shape,
    sql: Sql,
    parameters: Parameters,
    connections: Connections,
}

/// What was seen at a look.
pub(crate) enum Seen {
    /// The whole answer.
    State(Vec<u8>),
    /// An answer for each item, by its id.
    List {
        /// In their order.
        items: Vec<(String, Vec<u8>)>,
        /// There may be more.
        is_full: bool,
    },
}

/// What tells whether two requests ask for the same.
pub(super) fn key(sent: &Operation, variables: &Variables) -> [u8; 32] {
    // Each part with its length, so that none passes for a piece of another.
    let mut hash = Sha256::new();
    let variables = serde_json::to_string(variables).unwrap_or_default();
    for part in [&sent.query, sent.name.as_deref().unwrap_or_default(), &variables] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.update([u8::from(sent.may_see_personal)]);
    hash.finalize().into()
}

impl Live {
    pub(super) fn new(asked: Asked<'_>, key: [u8; 32], connections: Connections) -> Result<Self, Error> {
        let watched = follows(asked)?;
        let compiled = compile(asked, &HashMap::new())?;
        let parameters = compiled.parameters;
        let sql =
            Sql { summary: compiled.summary, text: compiled.text.unwrap_or_default(), parameters: parameters.types() };
        match compiled.roots.into_iter().next() {
            Some((name, Root::Shape(shape))) => Ok(Self { key, watched, name, shape, sql, parameters, connections }),
            Some((_, Root::Failed(error))) => Err(error),
            _ => Err(Error::new(Code::Internal, "there is nothing to follow")),
        }
    }

    /// Those that ask for the same have the same.
    pub(crate) fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// What it follows.
    pub(crate) fn watched(&self) -> &[Watched] {
        &self.watched
    }

    /// What it takes to keep it, in bytes: its statement is the most of it.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.sql.text.len()
    }

    /// Whether each item counts, not only the last state.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.shape, Shape::Each(..))
    }

    /// Looks at the views.
    pub(crate) async fn look(&self) -> Result<Seen, Error> {
        let rows = self.connections.query(&self.sql, &self.parameters.values()).await?;
        let malformed = |error: write::Malformed| {
            tracing::error!(%error, "a subscription failed");
            Error::new(Code::Internal, "the subscription failed, by a fault of this service")
        };
        let cells = rows.first().map(cells_of).unwrap_or_default();
        let Shape::Each(place, id, fields) = &self.shape else {
            let mut text = Vec::new();
            write::shape(&self.shape, &cells, &mut text).map_err(malformed)?;
            return Ok(Seen::State(self.answer(&text)));
        };
        let items = write::each((*place, *id, fields), &cells).map_err(malformed)?;
        let is_full = items.len() >= EVENTS;
        let items = items.into_iter().map(|(id, text)| (id, self.answer(&text))).collect();
        Ok(Seen::List { items, is_full })
    }

    /// As the answer to an operation that has selected this field.
    fn answer(&self, text: &[u8]) -> Vec<u8> {
        let mut body = Body::new();
        body.member(&self.name, |out| {
            out.extend_from_slice(text);
            Ok(())
        });
        match body.finish() {
            Answer::Executed(text, _) => text,
            Answer::Refused(_) => Vec::new(),
        }
    }
}
