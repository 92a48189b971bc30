//! What `/metrics` says of the relay. Counted in batches, not event by event; what grows by itself is computed when asked.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use chrono::Utc;
use contracts::envelope::Lsn;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::Counter, family::Family, gauge::ConstGauge, gauge::Gauge},
    registry::Unit,
};
use telemetry::metrics::Metrics;

/// The relay's metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct CaptureMetrics {
    events: Counter,
    bytes: Counter,
    left_out: Counter,
    pub(crate) reconnects: Counter,
    pub(crate) resyncs: Counter,
    pub(crate) resync_events: Counter,
    in_flight: Gauge,
    confirmed: Gauge,
    lag_bytes: Gauge,
    active: Gauge,
    oldest: Arc<Oldest>,
    pub(crate) dead_letters: DeadLetterMetric,
}

/// Rows that were set aside, by the class of the reason.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeadLetterMetric(Family<Vec<(&'static str, &'static str)>, Counter>);

impl DeadLetterMetric {
    pub(crate) fn count(&self, class: &'static str, rows: u64) {
        self.0.get_or_create(&vec![("reason", class)]).inc_by(rows);
    }
}

/// When the oldest undelivered transaction was committed, in microseconds of the Unix epoch; 0 when there is none.
#[derive(Debug, Default)]
struct Oldest(AtomicI64);

impl Collector for Oldest {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let lag = match self.0.load(Ordering::Relaxed) {
            0 => 0.0,
            oldest => (Utc::now().timestamp_micros() - oldest).max(0) as f64 / 1e6,
        };
        let help = "Age of the oldest committed transaction that is received and not wholly acknowledged";
        let metric = encoder.encode_descriptor("capture_lag", help, Some(&Unit::Seconds), MetricType::Gauge)?;
        ConstGauge::new(lag).encode(metric)
    }
}

/// How things are with one connection at one moment.
pub(crate) struct Moment {
    /// Newly acknowledged since the last one.
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    /// Of the events, those that Kafka had already.
    pub(crate) left_out: u64,
    pub(crate) in_flight: u64,
    pub(crate) confirmed: Lsn,
    pub(crate) wal_end: Lsn,
    /// In microseconds of the Unix epoch.
    pub(crate) oldest: Option<i64>,
}

impl CaptureMetrics {
    pub(crate) fn registered(metrics: &Metrics) -> Self {
        let these = Self::default();
        metrics.register(|registry| {
            let registry = registry.sub_registry_with_prefix("capture");
            registry.register("events", "Events acknowledged by Kafka", these.events.clone());
            registry.register_with_unit(
                "delivered",
                "Keys and values acknowledged by Kafka",
                Unit::Bytes,
                these.bytes.clone(),
            );
            let left_out = "Events that came again after a restart and were not sent, since Kafka had them";
            registry.register("left_out_events", left_out, these.left_out.clone());
            let active = "1 while this relay has the slot, 0 while it waits for it or for a server";
            registry.register("active", active, these.active.clone());
            let set_aside = "Rows that could not be published and went to the topic of dead letters";
            registry.register("dead_letters", set_aside, these.dead_letters.0.clone());
            registry.register("reconnects", "Times that streaming had to start again", these.reconnects.clone());
            registry.register("resyncs", "Times that a lost slot was replaced", these.resyncs.clone());
            let resync_events = "Events acknowledged by Kafka that were read from the tables since the slot was lost";
            registry.register("resync_events", resync_events, these.resync_events.clone());
            registry.register("in_flight_events", "Events sent and not acknowledged", these.in_flight.clone());
            registry.register(
                "confirmed_lsn",
                "Position in the log, as a number, up to which everything is acknowledged",
                these.confirmed.clone(),
            );
            registry.register_with_unit(
                "lag",
                "Log that the server has sent past what is confirmed",
                Unit::Bytes,
                these.lag_bytes.clone(),
            );
        });
        metrics.register(|registry| registry.register_collector(Box::new(Arc::clone(&these.oldest))));
        these
    }

    /// Whether this relay has the slot.
    pub(crate) fn active(&self, active: bool) {
        self.active.set(i64::from(active));
    }

    pub(crate) fn set(&self, moment: &Moment) {
        self.events.inc_by(moment.events);
        self.bytes.inc_by(moment.bytes);
        self.left_out.inc_by(moment.left_out);
        self.in_flight.set(moment.in_flight.cast_signed());
        self.confirmed.set(moment.confirmed.0.cast_signed());
        self.lag_bytes.set(moment.wal_end.bytes_since(moment.confirmed).cast_signed());
        self.oldest.0.store(moment.oldest.unwrap_or(0), Ordering::Relaxed);
    }
}
