//! How much log the slot keeps back, asked of the server every few seconds on a plain connection beside the stream.
//!
//! It is there for `/metrics` alone: whatever fails here is tried again, and the relay knows nothing of it. While there
//! is no answer, there are no such metrics, rather than old ones.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};
use telemetry::{CancellationToken, database::Database, metrics::Metrics};
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;

use crate::{
    database::connect,
    names::SlotName,
    slot::{Bytes, SlotState},
};

/// How often the server is asked.
const PERIOD: Duration = Duration::from_secs(15);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The slot as it was last seen; none when there is none or nobody answers.
#[derive(Clone, Debug, Default)]
struct Seen(Arc<Mutex<Option<SlotState>>>);

impl Seen {
    fn set(&self, state: Option<SlotState>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

impl Collector for Seen {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = &*seen else { return Ok(()) };
        let mut gauge = |name: &str, help: &str, value: i64| {
            let metric = encoder.encode_descriptor(name, help, Some(&Unit::Bytes), MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)
        };
        if let Some(Bytes(retained)) = state.retained() {
            gauge("capture_slot_retained_wal", "Log that the server keeps for the slot", retained.cast_signed())?;
        }
        if let Some(safe) = state.safe {
            gauge("capture_slot_safe_wal", "Log that can still be written before the slot may be lost", safe)?;
        }
        Ok(())
    }
}

/// Watches the slot until the token is cancelled.
pub(crate) async fn watch(database: Database, slot: SlotName, metrics: &Metrics, shutdown: CancellationToken) {
    let seen = Seen::default();
    metrics.register(|registry| registry.register_collector(Box::new(seen.clone())));
    let database = database.application_name("cdc-capture metrics");
    let watching = async {
        loop {
            if let Err(reason) = watch_once(&database, &slot, &seen).await {
                tracing::debug!(reason, "the slot cannot be watched");
            }
            seen.set(None);
            sleep(PERIOD).await;
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = watching => {}
    }
}

/// Asks on one connection until that fails.
async fn watch_once(database: &Database, slot: &SlotName, seen: &Seen) -> Result<(), String> {
    let late = |_| format!("no answer within {PATIENCE:?}");
    let (client, connection) = timeout(PATIENCE, connect(database)).await.map_err(late)??;
    let asking = async {
        loop {
            let asked = timeout(PATIENCE, ask(&client, slot)).await.map_err(late)?;
            seen.set(asked?);
            sleep(PERIOD).await;
        }
    };
    tokio::select! {
        ended = asking => ended,
        () = connection => Err("the server closed the connection".to_owned()),
    }
}

async fn ask(client: &Client, slot: &SlotName) -> Result<Option<SlotState>, String> {
    SlotState::read(client, slot).await.map_err(|error| telemetry::database::reason(&error))
}
