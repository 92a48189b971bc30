//! What an intake counts, each with the label `handler`.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64},
    },
    time::SystemTime,
};

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Unit,
};
use telemetry::metrics::Metrics;

use crate::{owner::Owner, parked::Aside, topics::Partition};

/// One intake's metrics.
#[derive(Default)]
pub(crate) struct Meters {
    events: Counter,
    batches: Counter,
    dead_letters: Counter,
    lag: Gauge<i64, AtomicI64>,
    parked: Gauge<i64, AtomicI64>,
    held: Gauge<i64, AtomicI64>,
    last_applied: Gauge<f64, AtomicU64>,
    progress: Mutex<BTreeMap<Partition, Progress>>,
}

/// Where a partition ends, and how far it is applied.
#[derive(Clone, Copy, Default)]
struct Progress {
    next: i64,
    end: i64,
}

impl Meters {
    /// Registers the metrics of a handler.
    pub(crate) fn register(metrics: &Metrics, owner: Owner) -> Self {
        let meters = Self::default();
        metrics.register(|registry| {
            let labelled = registry.sub_registry_with_label(("handler".into(), owner.to_string().into()));
            labelled.register("inbox_events_applied", "Events applied", meters.events.clone());
            labelled.register("inbox_batches", "Transactions committed", meters.batches.clone());
            labelled.register("inbox_dead_letters", "Messages set aside", meters.dead_letters.clone());
            labelled.register("inbox_lag_messages", "Messages on the topics not applied yet", meters.lag.clone());
            labelled.register(
                "inbox_parked_aggregates",
                "Aggregates of the handler with events set aside, whichever instance did that",
                meters.parked.clone(),
            );
            labelled.register(
                "inbox_held",
                "1 while no messages are fetched, since those that are there cannot be written",
                meters.held.clone(),
            );
            labelled.register_with_unit(
                "inbox_last_applied_timestamp",
                "When something was last applied",
                Unit::Seconds,
                meters.last_applied.clone(),
            );
        });
        meters
    }

    /// Starts over with these partitions, each with its next offset and its end.
    pub(crate) fn assigned(&self, partitions: impl IntoIterator<Item = (Partition, i64, i64)>) {
        self.update(|progress| {
            *progress = partitions.into_iter().map(|(of, next, end)| (of, Progress { next, end })).collect();
        });
    }

    /// How many messages are not applied yet, as far as is known.
    pub(crate) fn lag(&self) -> u64 {
        u64::try_from(self.lag.get()).unwrap_or_default()
    }

    /// The same; nothing without partitions, where nothing is known.
    pub(crate) fn behind(&self) -> Option<u64> {
        let has_any = !self.progress.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        has_any.then(|| self.lag())
    }

    /// The partitions' ends as the client last saw them.
    pub(crate) fn ends(&self, ends: &[(Partition, i64)]) {
        self.update(|progress| {
            for (partition, end) in ends {
                if let Some(progress) = progress.get_mut(partition) {
                    progress.end = *end;
                }
            }
        });
    }

    /// A batch was committed.
    pub(crate) fn committed(&self, next: &BTreeMap<Partition, i64>, events: usize, dead_letters: usize) {
        self.events.inc_by(events as u64);
        self.dead_letters.inc_by(dead_letters as u64);
        self.batches.inc();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.last_applied.set(now.as_secs_f64());
        self.update(|progress| {
            for (partition, next) in next {
                if let Some(progress) = progress.get_mut(partition) {
                    progress.next = *next;
                }
            }
        });
    }

    /// So much is set aside, in each partition where anything is.
    pub(crate) fn parked(&self, counts: &BTreeMap<Partition, Aside>) {
        let aggregates: usize = counts.values().map(|aside| aside.aggregates).sum();
        self.parked.set(aggregates.try_into().unwrap_or(i64::MAX));
    }

    /// Whether no messages are fetched for now.
    pub(crate) fn held(&self, is_held: bool) {
        self.held.set(i64::from(is_held));
    }

    /// Whether any were, when it was last looked.
    pub(crate) fn has_parked(&self) -> bool {
        self.parked.get() > 0
    }

    fn update(&self, change: impl FnOnce(&mut BTreeMap<Partition, Progress>)) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut progress);
        self.lag.set(progress.values().map(|partition| (partition.end - partition.next).max(0)).sum());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_is_what_all_partitions_still_hold() {
        let (meters, metrics) = (
            |metrics: &Metrics| Meters::register(metrics, Owner { handler: "accounts", generation: 1 }),
            Metrics::new(),
        );
        let meters = meters(&metrics);
        let [first, second] = [0, 1].map(|number| Partition { topic: 0, number });
        meters.assigned([(first, 0, 10), (second, 5, 5)]);
        assert_eq!(meters.lag.get(), 10);
        meters.committed(&[(first, 8)].into(), 7, 1);
        meters.ends(&[(first, 10), (second, 6), (Partition { topic: 1, number: 0 }, 99)]);
        assert_eq!(meters.lag.get(), 3);
        meters.committed(&[(second, 7)].into(), 1, 0);
        assert_eq!(meters.lag.get(), 2, "an end that is behind is no negative lag");
        let aside = |aggregates| Aside { aggregates, alone: 7 };
        meters.parked(&[(first, aside(2)), (second, aside(1))].into());
        let text = metrics.encode();
        for line in [
            "inbox_events_applied_total{handler=\"accounts\"} 8",
            "inbox_batches_total{handler=\"accounts\"} 2",
            "inbox_dead_letters_total{handler=\"accounts\"} 1",
            "inbox_lag_messages{handler=\"accounts\"} 2",
            "inbox_parked_aggregates{handler=\"accounts\"} 3",
            "inbox_last_applied_timestamp_seconds{handler=\"accounts\"} ",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
