//! Topics as the contract fixes them.

/// Where the names of the JSON Schemas begin. A system of its own has its own.
const SCHEMAS: &str = "https://waybill.example/schemas/";

/// What a topic keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// Every event, for ever (`cleanup.policy=delete`, no retention limit). What triggers a process lives here.
    Journal,
    /// The last document of each aggregate (`cleanup.policy=compact`). Gaps in the sequence are normal.
    Collection,
    /// Commands, for a week: done or refused, they are of no use any more.
    Queue,
}

/// A topic: one per aggregate type and major version of its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name, which is the aggregate type with the major version: `hotel.direct-booking.booking.v1`.
    pub name: &'static str,
    /// Its number of partitions, fixed for ever: order per aggregate depends on it.
    pub partitions: i32,
    /// What it keeps.
    pub cleanup: Cleanup,
}

impl Topic {
    /// The `ce_dataschema` of its documents, and the `$id` of their JSON Schema. CloudEvents asks for an absolute URI. It is a
    /// name, from which nothing is ever fetched: the schema is `contracts/schemas/{topic}.json`.
    pub fn schema_uri(&self) -> String {
        format!("{SCHEMAS}{}.json", self.name)
    }

    /// The name without its major version, and that version.
    pub fn aggregate_type(&self) -> (&'static str, u32) {
        let (name, version) = self.name.rsplit_once(".v").unwrap_or((self.name, ""));
        (name, version.parse().unwrap_or_default())
    }

    /// The topic's configuration as Kafka names it, for its creation.
    pub fn config(&self) -> &'static [(&'static str, &'static str)] {
        match self.cleanup {
            Cleanup::Journal => &[("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")],
            // A tombstone stays for 30 days: a consumer that is away for longer rebuilds.
            Cleanup::Collection => &[("cleanup.policy", "compact"), ("delete.retention.ms", "2592000000")],
            Cleanup::Queue => &[("cleanup.policy", "delete"), ("retention.ms", "604800000")],
        }
    }
}
