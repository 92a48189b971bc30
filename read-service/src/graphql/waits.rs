//! What an operation waits for: the tokens of its request and of its fields. Each is awaited once, however many fields name it, so
//! that what waiting costs does not grow with the query. A short one that waits for one thing looks for that by its own statement.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures::future::join_all;
use tokio::time::Instant;

use super::{
    arguments::Arguments,
    compile::{Asked, Compiled, Root},
    error::Error,
    freshness::{Awaited, Freshness, MOST_TOKENS, Place},
    model::{self, Field},
    selection::Selected,
};

/// What an operation's fields need to be visible.
#[derive(Default)]
pub(super) struct Waits {
    /// All that is named, each once.
    tokens: Vec<Awaited>,
    fields: Vec<Needs>,
}

/// What a field needs.
struct Needs {
    key: String,
    /// Where its answer comes from.
    place: Place,
    /// Which of the tokens.
    tokens: Vec<usize>,
}

impl Waits {
    /// Reads the tokens, beside those that were `sent` for all fields. Also gives the fields whose own cannot be used, by key.
    ///
    /// # Errors
    /// When there are too many of them.
    pub(super) fn read(asked: Asked<'_>, sent: &[Awaited]) -> Result<(Self, HashMap<String, Error>), Error> {
        let (mut waits, mut refused) = (Self::default(), HashMap::new());
        let Some(root) = asked.model.object(model::ROOT) else { return Ok((waits, refused)) };
        for selected in asked.scope().fields(&[&asked.operation.selection_set.node], &[model::ROOT]) {
            let Some(field) = root.field(&selected.field.name.node) else { continue };
            match own(asked, field, &selected) {
                Ok(own) if own.is_empty() && sent.is_empty() => {}
                Ok(own) => {
                    let tokens = own.iter().chain(sent).map(|token| waits.add(token)).collect::<Result<_, _>>()?;
                    waits.fields.push(Needs { key: selected.key.to_owned(), place: field.place, tokens });
                }
                Err(error) => {
                    refused.insert(selected.key.to_owned(), error);
                }
            }
        }
        Ok((waits, refused))
    }

    /// Where a token is among them.
    fn add(&mut self, token: &Awaited) -> Result<usize, Error> {
        if let Some(known) = self.tokens.iter().position(|known| known == token) {
            return Ok(known);
        }
        if self.tokens.len() == MOST_TOKENS {
            return Err(Error::input(format!("readAfter: more than {MOST_TOKENS} tokens in one operation")));
        }
        self.tokens.push(token.clone());
        Ok(self.tokens.len() - 1)
    }

    /// What all fields wait for that can be answered, if that is one thing, as it nearly always is: one's own last write.
    pub(super) fn only_one(&self, compiled: &Compiled) -> Option<(&Awaited, Place)> {
        let mut needed = self.needed(&self.answered(compiled)).into_iter();
        let (token, place) = needed.next().filter(|_| needed.next().is_none())?;
        Some((&self.tokens[token], place))
    }

    /// The fields that wait and can be answered.
    fn answered(&self, compiled: &Compiled) -> Vec<&Needs> {
        if self.fields.is_empty() {
            return Vec::new();
        }
        let answered = compiled.roots.iter().filter(|(_, root)| matches!(root, Root::Shape(_)));
        let answered: HashSet<_> = answered.map(|(key, _)| key.as_str()).collect();
        self.fields.iter().filter(|field| answered.contains(field.key.as_str())).collect()
    }

    /// What they need, each once.
    fn needed(&self, fields: &[&Needs]) -> BTreeSet<(usize, Place)> {
        fields.iter().flat_map(|field| field.tokens.iter().map(|token| (*token, field.place))).collect()
    }

    /// Waits until the deadline for what the fields need that can be answered. Gives those for which it is not visible by then, by
    /// key.
    pub(super) async fn wait(
        &self,
        freshness: &Freshness,
        compiled: &Compiled,
        deadline: Instant,
    ) -> HashMap<String, Error> {
        let fields = self.answered(compiled);
        let waits = self.needed(&fields).into_iter().map(async |(token, place)| {
            let waited = freshness.wait(&self.tokens[token], place, deadline).await;
            waited.err().map(|error| ((token, place), error))
        });
        let late: HashMap<_, _> = join_all(waits).await.into_iter().flatten().collect();
        let why = |field: &Needs| field.tokens.iter().find_map(|token| late.get(&(*token, field.place))).cloned();
        fields.into_iter().filter_map(|field| Some((field.key.clone(), why(field)?))).collect()
    }
}

/// The tokens that a field itself is given.
fn own(asked: Asked<'_>, field: &Field, selected: &Selected<'_>) -> Result<Vec<Awaited>, Error> {
    const NAME: &str = "readAfter";
    if selected.field.get_argument(NAME).is_none() {
        return Ok(Vec::new());
    }
    let known = field.arguments.iter().find(|argument| argument.name == NAME);
    let known = known.map(std::slice::from_ref).unwrap_or_default();
    let arguments = Arguments::read(asked.model, known, selected.field, asked.variables)?;
    Awaited::read(arguments.texts(NAME).iter().map(String::as_str))
}
