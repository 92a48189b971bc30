//! Persisted queries: a client that has sent a text once may name it by its hash from then on, as Apollo's automatic persisted
//! queries do (<https://www.apollographql.com/docs/apollo-server/performance/apq>).

use sha2::{Digest, Sha256};

use super::error::{Code, Error};
use crate::recent::Recent;

/// How many bytes of text are remembered. What is forgotten is sent again.
const REMEMBERED: usize = 1024 * 1024;

/// The SHA-256 of a text.
pub type Hash = [u8; 32];

/// The texts that are known by their hashes.
pub(super) struct Persisted(Recent<Hash, String>);

impl Persisted {
    pub(super) fn new() -> Self {
        Self(Recent::new(REMEMBERED))
    }

    /// The text that is meant.
    ///
    /// # Errors
    /// When there is neither a text nor one that is known by this hash, or the hash is another text's.
    pub(super) fn resolve(&self, text: String, hash: Option<&Hash>) -> Result<String, Error> {
        match hash {
            Some(hash) if text.is_empty() => {
                self.0.get(hash).ok_or_else(|| Error::new(Code::PersistedQueryNotFound, "PersistedQueryNotFound"))
            }
            Some(hash) if *hash != Hash::from(Sha256::digest(&text)) => {
                Err(Error::new(Code::BadRequest, "extensions.persistedQuery.sha256Hash: not the hash of this query"))
            }
            _ => Ok(text),
        }
    }

    /// Remembers a text that has turned out valid.
    pub(super) fn remember(&self, text: &str, hash: Hash) {
        if self.0.get(&hash).is_none() {
            self.0.insert(hash, text.to_owned(), text.len() + 64);
        }
    }
}
