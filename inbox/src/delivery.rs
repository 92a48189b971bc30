//! A message as a handler gets it.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use contracts::envelope::Envelope;
use serde::de::DeserializeOwned;

/// One message whose envelope could be read.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The topic's name as the contract has it, without the installation's prefix.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset within it.
    pub offset: i64,
    /// When it was published, by the clock of whoever published it or of the broker, where the message tells.
    pub published_at: Option<DateTime<Utc>>,
    /// Its metadata. The Kafka key equals `envelope.subject`.
    pub envelope: Envelope,
    /// The document, as JSON; `None` is a tombstone: the aggregate is gone.
    pub document: Option<Bytes>,
}

/// Why a message is set aside: it will never be readable, however often it is tried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undecodable(pub String);

impl Delivery {
    /// The document, or `None` for a tombstone.
    ///
    /// # Errors
    /// When it is not JSON of this shape; says where.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<Option<T>, Undecodable> {
        let Some(document) = &self.document else { return Ok(None) };
        // Text that has been checked as a whole is read faster; of what is no text, the reader says where.
        let read = match std::str::from_utf8(document) {
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(document),
        };
        read.map(Some).map_err(|error| Undecodable(format!("document: {error}")))
    }
}
