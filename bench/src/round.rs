//! One round of a load, and what came of it.

use crate::{effort::progress, stats};

/// What came of one round.
pub(crate) struct Round {
    /// How many there were in a second.
    pub(crate) rate: f64,
    /// How long each took, in milliseconds.
    pub(crate) latencies: Vec<f64>,
}

impl Round {
    /// Turns of the same length, as one.
    pub(crate) fn of(turns: Vec<Self>) -> Self {
        let rate = turns.iter().map(|turn| turn.rate).sum::<f64>() / turns.len().max(1) as f64;
        Self { rate, latencies: turns.into_iter().flat_map(|turn| turn.latencies).collect() }
    }

    fn p99(&self) -> f64 {
        stats::percentile(&self.latencies, 99).unwrap_or_default()
    }

    /// Says on stderr what came of it.
    pub(crate) fn shown(self, what: &str) -> Self {
        let (p50, p99) = (stats::percentile(&self.latencies, 50).unwrap_or_default(), self.p99());
        progress(format_args!("{what}: {:.0}/s, p50 {p50:.2} ms, p99 {p99:.2} ms", self.rate));
        self
    }
}

/// How many there were in a second, of each.
pub(crate) fn rates(rounds: &[Round]) -> Vec<f64> {
    rounds.iter().map(|round| round.rate).collect()
}

/// The 99th percentile of each.
pub(crate) fn p99s(rounds: &[Round]) -> Vec<f64> {
    rounds.iter().map(Round::p99).collect()
}
