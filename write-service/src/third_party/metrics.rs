//! What `/metrics` says of the queues to third parties: how much waits and since when, whether they are left alone, and what
//! came of the attempts. A queue is the database's, so that every process says the same of it; a breaker is the process's own.
//!
//! Labels: `context`, `third_party` (`card-processor`, or a site's id), and `state` or `outcome`. Of the third parties of a
//! context so many are named; those beyond share one name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::Counter, family::Family, gauge::ConstGauge},
    registry::Unit,
};
use telemetry::metrics::Metrics;

use super::breaker::State;

/// How often it is looked how much waits.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// So many third parties of a context have a name of their own here.
const MOST_NAMED: usize = 100;
/// The name of all others.
const OTHERS: &str = "others";

/// The metrics of all queues to third parties.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meters {
    queues: Arc<Queues>,
    attempts: Family<Vec<(&'static str, String)>, Counter>,
}

/// The metrics of one context's queues.
#[derive(Clone, Debug)]
pub(crate) struct QueueMeters {
    context: &'static str,
    all: Meters,
}

/// What waits for a third party, and whether that is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Queue {
    pub(crate) third_party: String,
    pub(crate) waiting: i64,
    /// Since when the oldest waits.
    pub(crate) since: Option<DateTime<Utc>>,
    pub(crate) breaker: State,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// It did what it was asked for.
    Done,
    /// It will not, for good.
    Refused,
    /// Nobody knows.
    Unknown,
}

#[derive(Debug, Default)]
struct Queues {
    shown: Mutex<BTreeMap<&'static str, Vec<Queue>>>,
    named: Mutex<BTreeMap<&'static str, BTreeSet<String>>>,
}

impl Meters {
    /// Registers them.
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let meters = Self::default();
        metrics.register(|registry| {
            registry.register_collector(Box::new(Shown(meters.queues.clone())));
            let help = "Attempts to ask or tell a third party, by what came of them";
            registry.register("third_party_attempts", help, meters.attempts.clone());
        });
        meters
    }

    /// Those of a context.
    pub(crate) fn of(&self, context: &'static str) -> QueueMeters {
        QueueMeters { context, all: self.clone() }
    }
}

impl QueueMeters {
    /// Counts an attempt.
    pub(crate) fn attempted(&self, third_party: &str, attempt: Attempt) {
        let outcome = match attempt {
            Attempt::Done => "done",
            Attempt::Refused => "refused",
            Attempt::Unknown => "unknown",
        };
        let third_party = self.all.queues.name(self.context, third_party);
        let labels =
            vec![("context", self.context.to_owned()), ("third_party", third_party), ("outcome", outcome.to_owned())];
        self.all.attempts.get_or_create(&labels).inc();
    }

    /// Shows how the context's queues stand, all of them.
    pub(crate) fn show(&self, queues: Vec<Queue>) {
        let mut shown: BTreeMap<String, Queue> = BTreeMap::new();
        for mut queue in queues {
            queue.third_party = self.all.queues.name(self.context, &queue.third_party);
            match shown.get_mut(&queue.third_party) {
                Some(others) => others.take_in(&queue),
                None => drop(shown.insert(queue.third_party.clone(), queue)),
            }
        }
        lock(&self.all.queues.shown).insert(self.context, shown.into_values().collect());
    }
}

impl Queue {
    fn take_in(&mut self, other: &Self) {
        self.waiting += other.waiting;
        self.since = self.since.into_iter().chain(other.since).min();
        self.breaker = self.breaker.max(other.breaker);
    }
}

impl Queues {
    /// The name of a third party: its own, as long as there are not too many.
    fn name(&self, context: &'static str, third_party: &str) -> String {
        let mut named = lock(&self.named);
        let named = named.entry(context).or_default();
        if !named.contains(third_party) {
            if named.len() >= MOST_NAMED {
                return OTHERS.to_owned();
            }
            named.insert(third_party.to_owned());
        }
        third_party.to_owned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The queues as they stand when they are asked for.
#[derive(Debug)]
struct Shown(Arc<Queues>);

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let shown = lock(&self.0.shown);
        let all = || {
            shown.iter().flat_map(|(context, queues)| {
                queues.iter().map(|queue| (queue, vec![("context", *context), ("third_party", &*queue.third_party)]))
            })
        };
        let help = "What third parties are still to be asked or told";
        let mut metric = encoder.encode_descriptor("third_party_waiting", help, None, MetricType::Gauge)?;
        for (queue, labels) in all() {
            ConstGauge::new(queue.waiting).encode(metric.encode_family(&labels)?)?;
        }
        let help = "For how long the oldest of what third parties are still to be asked or told waits";
        let (name, unit) = ("third_party_oldest_waiting", Some(&Unit::Seconds));
        let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (queue, labels) in all() {
            let age = queue.since.map_or(0.0, |since| (Utc::now() - since).as_seconds_f64().max(0.0));
            ConstGauge::new(age).encode(metric.encode_family(&labels)?)?;
        }
        let help = "1 for the state in which the circuit breaker before a third party is: closed, half-open or open";
        let mut metric = encoder.encode_descriptor("third_party_breaker_state", help, None, MetricType::Gauge)?;
        for (queue, mut labels) in all() {
            labels.push(("state", ""));
            for state in [State::Closed, State::HalfOpen, State::Open] {
                labels[2].1 = state.as_str();
                ConstGauge::new(i64::from(queue.breaker == state)).encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(third_party: &str, waiting: i64, breaker: State) -> Queue {
        Queue { third_party: third_party.to_owned(), waiting, since: None, breaker }
    }

    #[test]
    fn queues_are_shown_as_they_stand() {
        let metrics = Metrics::new();
        let meters = Meters::register(&metrics).of("payments");
        let since = Some(Utc::now() - chrono::TimeDelta::seconds(90));
        meters.show(vec![Queue { since, ..queue("card-processor", 7, State::Open) }]);
        meters.attempted("card-processor", Attempt::Unknown);
        let text = metrics.encode();
        for line in [
            "third_party_waiting{context=\"payments\",third_party=\"card-processor\"} 7\n",
            "third_party_oldest_waiting_seconds{context=\"payments\",third_party=\"card-processor\"} 9",
            "third_party_breaker_state{context=\"payments\",third_party=\"card-processor\",state=\"open\"} 1\n",
            "third_party_breaker_state{context=\"payments\",third_party=\"card-processor\",state=\"closed\"} 0\n",
            "third_party_attempts_total{context=\"payments\",third_party=\"card-processor\",outcome=\"unknown\"} 1\n",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        meters.show(vec![queue("card-processor", 0, State::Closed)]);
        let text = metrics.encode();
        assert!(
            text.contains("third_party_oldest_waiting_seconds{context=\"payments\",third_party=\"card-processor\"} 0"),
            "{text}"
        );
    }

    #[test]
    fn third_parties_beyond_the_bound_share_a_name() {
        let metrics = Metrics::new();
        let meters = Meters::register(&metrics).of("channel-manager");
        let many = (0..MOST_NAMED + 3).map(|number| queue(&number.to_string(), 1, State::Closed));
        meters.show(many.chain([queue("late", 5, State::Open)]).collect());
        meters.attempted("later", Attempt::Done);
        let text = metrics.encode();
        let of = |name: &str| format!("third_party_waiting{{context=\"channel-manager\",third_party=\"{name}\"}} ");
        assert_eq!(text.matches("third_party_waiting{").count(), MOST_NAMED + 1, "{text}");
        assert!(text.contains(&format!("{}8\n", of(OTHERS))) && text.contains(&format!("{}1\n", of("0"))), "{text}");
        assert!(text.contains("third_party=\"others\",state=\"open\"} 1"), "{text}");
        assert!(text.contains("third_party=\"others\",outcome=\"done\"} 1"), "{text}");
    }
}
