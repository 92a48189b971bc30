//! How many connections are open for subscriptions, how many different things they follow, and what that takes.

use std::sync::atomic::AtomicI64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};
use telemetry::metrics::Metrics;

use crate::graphql::Code;

/// The metrics of those who subscribe. Cheap to clone; all clones share them.
#[derive(Clone, Default)]
pub struct Meters {
    subscribers: Gauge<i64, AtomicI64>,
    feeds: Gauge<i64, AtomicI64>,
    bytes: Gauge<i64, AtomicI64>,
    begun: Family<Outcome, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    /// `OK`, or the code of the first error.
    code: &'static str,
}

impl Meters {
    /// Registers them.
    pub fn register(metrics: &Metrics) -> Self {
        let meters = Self::default();
        metrics.register(|registry| {
            let help = "Connections open for subscriptions: websockets and event streams";
            registry.register("subscribers", help, meters.subscribers.clone());
            let help = "Different things that are followed; those who follow the same share one feed";
            registry.register("subscription_feeds", help, meters.feeds.clone());
            let help = "What these feeds keep in memory: queries, and what was told lately";
            registry.register("subscription_feeds_kept_bytes", help, meters.bytes.clone());
            let help = "GraphQL subscriptions by what came of asking for them: OK, or the code of the first error";
            registry.register("graphql_subscriptions", help, meters.begun.clone());
        });
        meters
    }

    /// A subscription has begun, or was refused with this code.
    pub(super) fn begun(&self, refused: Option<Code>) {
        self.begun.get_or_create(&Outcome { code: refused.map_or("OK", Code::name) }).inc();
    }

    /// How much the feeds keep.
    pub(super) fn bytes(&self) -> Gauge<i64, AtomicI64> {
        self.bytes.clone()
    }

    /// A connection, for as long as this is kept.
    pub(super) fn connection(&self) -> Open {
        self.subscribers.inc();
        Open(self.subscribers.clone())
    }

    /// So many feeds are followed.
    pub(super) fn feeds(&self, count: usize) {
        self.feeds.set(count.try_into().unwrap_or(i64::MAX));
    }
}

/// A connection that is open.
pub(super) struct Open(Gauge<i64, AtomicI64>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
