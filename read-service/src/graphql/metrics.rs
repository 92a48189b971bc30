//! How many operations there were, how they ended, and how long they took.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
};
use telemetry::metrics::Metrics;

use super::error::Code;

/// The metrics of the GraphQL operations.
#[derive(Clone)]
pub(super) struct Operations {
    ended: Family<Outcome, Counter>,
    duration: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    /// `OK`, or the code of the first error.
    code: &'static str,
}

impl Operations {
    pub(super) fn register(metrics: &Metrics) -> Self {
        let bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
        let operations = Self { ended: Family::default(), duration: Histogram::new(bounds) };
        metrics.register(|registry| {
            let help = "GraphQL operations by how they ended: OK, or the code of the first error";
            registry.register("graphql_operations", help, operations.ended.clone());
            let help = "Time from a parsed GraphQL operation to its answer";
            registry.register("graphql_operation_duration_seconds", help, operations.duration.clone());
        });
        operations
    }

    pub(super) fn ended(&self, code: Option<Code>, duration: Duration) {
        self.ended.get_or_create(&Outcome { code: code.map_or("OK", Code::name) }).inc();
        self.duration.observe(duration.as_secs_f64());
    }
}
