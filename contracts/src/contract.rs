//! What a context promises of one topic: whose it is, what its documents look like, which events there are, who may read.
//!
//! Each context lists its own in `CONTRACTS`, and [`contracts`](crate::contracts) is all of them. JSON Schemas, the AsyncAPI
//! document, the ACLs and the checks of the gate come from this list alone.

use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::topic::{Cleanup, Topic};

/// The contract of one topic.
#[derive(Clone, Copy, Debug)]
pub struct Contract {
    /// The `ce_source`: the context that publishes it, and nobody else.
    pub source: &'static str,
    /// Where.
    pub topic: Topic,
    /// The `ce_type`s of its events.
    pub events: &'static [&'static str],
    /// Those of them that are tombstones: the value is null.
    pub tombstones: &'static [&'static str],
    /// The only readers that there may be, by their names in `readers.toml`; none: anyone may read it.
    pub only_readers: Option<&'static [&'static str]>,
    document: fn() -> Schema,
    reread: fn(&Value) -> Result<Value, serde_json::Error>,
}

impl Contract {
    /// The contract by which `source` publishes documents of the type `D`.
    pub const fn of<D: JsonSchema + Serialize + DeserializeOwned>(
        source: &'static str,
        topic: Topic,
        events: &'static [&'static str],
    ) -> Self {
        Self { source, topic, events, tombstones: &[], only_readers: None, document: schema::<D>, reread: reread::<D> }
    }

    /// The same, where these events are tombstones.
    #[must_use]
    pub const fn erased_by(self, tombstones: &'static [&'static str]) -> Self {
        Self { tombstones, ..self }
    }

    /// The same, where nobody else may read.
    #[must_use]
    pub const fn read_only_by(self, readers: &'static [&'static str]) -> Self {
        Self { only_readers: Some(readers), ..self }
    }

    /// The owning context's name: `direct-booking`.
    pub fn context(&self) -> &'static str {
        self.source.rsplit_once('/').map_or(self.source, |(_, name)| name)
    }

    /// The JSON Schema (2020-12) of every document that may lie on the topic, old ones too. What else the contract fixes
    /// stands in it under `x-topic`.
    pub fn schema(&self) -> Value {
        let mut schema = (self.document)();
        schema.insert("$id".to_owned(), self.topic.schema_uri().into());
        let cleanup = match self.topic.cleanup {
            Cleanup::Journal => "journal",
            Cleanup::Collection => "collection",
            Cleanup::Queue => "queue",
        };
        let topic = json!({
            "name": self.topic.name,
            "partitions": self.topic.partitions,
            "cleanup": cleanup,
            "events": self.events,
            "tombstones": self.tombstones,
        });
        schema.insert("x-topic".to_owned(), topic);
        schema.to_value()
    }

    /// Reads a document as its readers do, and writes what was understood.
    ///
    /// # Errors
    /// When it is not such a document.
    pub fn reread(&self, document: &Value) -> Result<Value, serde_json::Error> {
        (self.reread)(document)
    }
}

/// By what can be read: a field that old documents lack is optional, though new ones always have it.
fn schema<D: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_deserialize().into_generator().into_root_schema_for::<D>()
}

fn reread<D: Serialize + DeserializeOwned>(document: &Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(D::deserialize(document)?)
}

/// The topics of contracts, of which there are `N`.
pub(crate) const fn topics<const N: usize>(contracts: &[Contract]) -> [Topic; N] {
    let mut topics = [contracts[0].topic; N];
    let mut at = 1;
    while at < N {
        topics[at] = contracts[at].topic;
        at += 1;
    }
    topics
}

/// Gives an enum of events the `ce_type` of each.
macro_rules! events {
    ($name:ident: $($variant:ident $ty:literal),+ $(,)?) => {
        impl $name {
            /// Every `ce_type`.
            pub const TYPES: &[&'static str] = &[$(Self::$variant.ty()),+];

            /// The `ce_type`.
            pub const fn ty(self) -> &'static str {
                match self {
                    $(Self::$variant => $ty),+
                }
            }
        }
    };
}

pub(crate) use events;
