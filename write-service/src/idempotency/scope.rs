//! What a key belongs to, and what it was first sent with.

use axum::{extract::OriginalUri, http::request::Parts};
use contracts::envelope::Envelope;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::key::Key;
use crate::{access::Caller, problem::Problem};

/// Whose key it is, and for what: two callers, or two paths, may use the same key.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// Who sends the command.
    pub(crate) caller: String,
    /// Its method and path: `POST /accounts/accounts`.
    pub(crate) target: String,
    /// The caller's name for it.
    pub(crate) key: Key,
}

impl Scope {
    /// The scope of a request.
    pub(crate) fn of(parts: &Parts) -> Result<Self, Problem> {
        let path = parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.path(), |uri| uri.path());
        Ok(Self { caller: caller(parts), target: format!("{} {path}", parts.method), key: Key::of(&parts.headers)? })
    }

    /// The scope of a command that came as a message: its sender's own, on its topic.
    pub(crate) fn of_message(envelope: &Envelope, topic: &str) -> Self {
        let target = format!("{topic} {}", envelope.ty);
        Self { caller: envelope.source.clone(), target, key: Key::of_message(envelope.id) }
    }

    /// The number of the lock that its command has while it is in flight. Two scopes of the same number would only be
    /// told to try again.
    pub(crate) fn lock(&self) -> i64 {
        let mut hash = Sha256::new();
        for part in [&self.caller, &self.target, self.key.as_str()] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        digest.first_chunk().map_or(0, |first| i64::from_be_bytes(*first))
    }
}

/// Who sends a request: its token's subject. Where no tokens are asked for, everybody is the same.
fn caller(parts: &Parts) -> String {
    parts.extensions.get::<Caller>().map_or_else(|| "anonymous".to_owned(), |caller| caller.0.clone())
}

/// A hash of a command's body, whatever the blanks in it and the order of its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(pub(crate) [u8; 32]);

impl Fingerprint {
    /// The fingerprint of a body. Its text has the fields of each object in the order of their names.
    pub(crate) fn of(body: &Value) -> Self {
        Self(Sha256::digest(body.to_string()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(text: &str) -> Fingerprint {
        Fingerprint::of(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn the_way_a_body_is_written_does_not_matter_but_what_it_says_does() {
        let one = fingerprint(r#"{"b": {"y": "é", "x": [1, 2]}, "a": null}"#);
        assert_eq!(one, fingerprint(r#"{"a":null,"b":{"x":[1,2],"y":"\u00e9"}}"#));
        for other in [r#"{"b":{"y":"é","x":[2,1]},"a":null}"#, r#"{"b":{"y":"é","x":[1,2]}}"#, "{}"] {
            assert_ne!(one, fingerprint(other), "{other}");
        }
    }

    #[test]
    fn each_part_of_the_scope_counts_and_none_runs_into_the_next() {
        let lock = |caller: &str, target: &str, key: &str| {
            let headers = [(super::super::key::HEADER.parse().unwrap(), key.parse().unwrap())].into_iter().collect();
            let key = Key::of(&headers).unwrap();
            Scope { caller: caller.to_owned(), target: target.to_owned(), key }.lock()
        };
        let locks =
            [lock("a", "b", "c"), lock("ab", "", "c"), lock("a", "bc", "x"), lock("a", "b", "d"), lock("x", "b", "c")];
        let distinct: std::collections::HashSet<_> = locks.iter().collect();
        assert_eq!(distinct.len(), locks.len());
        assert_eq!(lock("a", "b", "c"), locks[0]);
    }
}
