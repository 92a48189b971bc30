//! How far behind the intakes of this process are, for who wants to tell others than its metrics do.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::{metrics::Meters, owner::Owner};

/// How far an intake of this process is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The handler's name.
    pub handler: &'static str,
    /// The generation that it fills.
    pub generation: i32,
    /// How many messages of its partitions are not applied yet, by where the client last saw them end.
    pub messages: u64,
}

/// The intakes that run. Cheap to clone; all clones share them.
#[derive(Clone, Default)]
pub(crate) struct Intakes(Arc<Mutex<Vec<Running>>>);

struct Running {
    owner: Owner,
    meters: Weak<Meters>,
}

impl Intakes {
    /// From now on it is one of them, for as long as its meters are there.
    pub(crate) fn add(&self, owner: Owner, meters: &Arc<Meters>) {
        let running = Running { owner, meters: Arc::downgrade(meters) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(running);
    }

    /// Those that have partitions at the moment, so that they know.
    pub(crate) fn behind(&self) -> Vec<Behind> {
        let mut intakes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        intakes.retain(|running| running.meters.strong_count() > 0);
        let of = |Running { owner, meters }: &Running| {
            let messages = meters.upgrade()?.behind()?;
            Some(Behind { handler: owner.handler, generation: owner.generation, messages })
        };
        intakes.iter().filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use telemetry::metrics::Metrics;

    use super::*;
    use crate::topics::Partition;

    #[test]
    fn only_an_intake_that_runs_and_has_partitions_knows() {
        let (intakes, metrics) = (Intakes::default(), Metrics::new());
        let meters = |handler| {
            let owner = Owner { handler, generation: 1 };
            let meters = Arc::new(Meters::register(&metrics, owner));
            intakes.add(owner, &meters);
            meters
        };
        let (works, ended, _stands_by) = (meters("works"), meters("ended"), meters("stands by"));
        for meters in [&works, &ended] {
            meters.assigned([(Partition { topic: 0, number: 0 }, 3, 10)]);
        }
        drop(ended);
        assert_eq!(intakes.behind(), [Behind { handler: "works", generation: 1, messages: 7 }]);
        works.assigned([]);
        assert_eq!(intakes.behind(), []);
    }
}
