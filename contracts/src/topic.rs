//! Topics as the contract fixes them.

/// What a topic keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// Every event, for ever (`cleanup.policy=delete`, no retention limit). What triggers a process lives here.
    Journal,
    /// The last document of each aggregate (`cleanup.policy=compact`). Gaps in the sequence are normal.
    Collection,
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
    /// The topic's configuration as Kafka names it, for its creation.
    pub fn config(&self) -> &'static [(&'static str, &'static str)] {
        match self.cleanup {
            Cleanup::Journal => &[("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")],
            // A tombstone stays for 30 days: a consumer that is away for longer rebuilds.
            Cleanup::Collection => &[("cleanup.policy", "compact"), ("delete.retention.ms", "2592000000")],
        }
    }
}
