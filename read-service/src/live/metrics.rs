//! How many connections are open for subscriptions, and how many different things they follow.

use std::sync::atomic::AtomicI64;

use prometheus_client::metrics::gauge::Gauge;
use telemetry::metrics::Metrics;

/// The metrics of those who subscribe. Cheap to clone; all clones share them.
#[derive(Clone, Default)]
pub struct Meters {
    subscribers: Gauge<i64, AtomicI64>,
    feeds: Gauge<i64, AtomicI64>,
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
        });
        meters
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
