//! Rings after commits, one for each handler: who waits for a booking is not woken by every task and every line of the journal.

use std::{collections::BTreeMap, sync::Arc};

use inbox::Applied;

/// The rings. Cheap to clone; all clones share them.
#[derive(Clone)]
pub struct Commits {
    /// All of this process's intakes.
    pub(crate) all: Applied,
    each: Arc<BTreeMap<&'static str, Applied>>,
}

impl Commits {
    /// One for each of these handlers.
    pub fn of_each(handlers: impl Iterator<Item = &'static str>) -> Self {
        let all = Applied::new();
        let each = handlers.map(|handler| (handler, all.apart())).collect();
        Self { all, each: Arc::new(each) }
    }

    /// What rings after the commits of this handler.
    pub(crate) fn of(&self, handler: &str) -> &Applied {
        self.each.get(handler).unwrap_or(&self.all)
    }

    /// Wakes all who wait for anything.
    pub(crate) fn ring(&self) {
        self.each.values().for_each(Applied::ring);
    }
}
