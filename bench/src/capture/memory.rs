//! The hard cases for memory: one large transaction, and a broker that has stopped under load.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::{
    task::block_in_place,
    time::{Instant, sleep},
};

use super::{
    Scale,
    backlog::Backlog,
    progress,
    relay::{Program, Relay},
    stage::Stage,
};
use crate::reader::Reader;

/// What is inserted while the broker is stopped.
const LOAD: Backlog = Backlog { rows: 1_000, per_transaction: 100 };
const LOAD_EVERY: Duration = Duration::from_millis(500);

/// Runs both. What they need at most is noted on the stage.
pub(super) async fn measure(stage: &Stage, scale: Scale) -> Result<()> {
    large_transaction(stage, scale.large_transaction).await?;
    broker_stopped(stage, scale).await
}

async fn large_transaction(stage: &Stage, rows: u64) -> Result<()> {
    progress(format_args!("one transaction of {rows} rows"));
    let (slot, target) = (stage.slot().await?, stage.topic().await?);
    Backlog { rows, per_transaction: rows }.insert(stage).await?;
    stage.settle().await?;
    let relay = Relay::start(Program::OURS, stage, &slot, &target)?;
    let reader = Reader::new(&stage.kafka.bootstrap_servers(), &target.topic)?;
    block_in_place(|| reader.wait_for_offsets(rows)).with_context(|| relay.log())?;
    finish(stage, relay).await?;
    stage.clear(&[slot]).await?;
    stage.delete(&target).await
}

async fn broker_stopped(stage: &Stage, scale: Scale) -> Result<()> {
    let time = Duration::from_secs(scale.broker_stopped_seconds);
    progress(format_args!("the broker stopped for {time:?} under load"));
    let (slot, target) = (stage.slot().await?, stage.topic().await?);
    Backlog::batched(scale.backlog).insert(stage).await?;
    let relay = Relay::start(Program::OURS, stage, &slot, &target)?;
    let reader = Reader::new(&stage.kafka.bootstrap_servers(), &target.topic)?;
    block_in_place(|| reader.wait_for_offsets(1)).with_context(|| relay.log())?;
    stage.kafka.pause()?;
    let (stopped, mut rows) = (Instant::now(), scale.backlog);
    let load = async {
        while stopped.elapsed() < time {
            LOAD.insert(stage).await?;
            rows += LOAD.rows;
            sleep(LOAD_EVERY).await;
        }
        Ok::<_, anyhow::Error>(())
    }
    .await;
    stage.kafka.resume()?;
    load?;
    // What timed out is sent again, so there may be more events than rows.
    block_in_place(|| reader.wait_for_offsets(rows)).with_context(|| relay.log())?;
    let confirmed = stage.settle().await?;
    let ask = "SELECT confirmed_flush_lsn >= $2::text::pg_lsn FROM pg_replication_slots WHERE slot_name = $1";
    let start = Instant::now();
    while !stage.session.query_one(ask, &[&slot, &confirmed]).await?.get::<_, bool>(0) {
        ensure!(start.elapsed() < Duration::from_secs(60), "not all was confirmed in time; the log:\n{}", relay.log());
        sleep(Duration::from_millis(100)).await;
    }
    finish(stage, relay).await?;
    stage.clear(&[slot]).await?;
    stage.delete(&target).await
}

async fn finish(stage: &Stage, relay: Relay) -> Result<()> {
    let peak = crate::process::peak_mib(relay.pid()).unwrap_or(f64::NAN);
    progress(format_args!("resident at most: {peak:.1} MiB"));
    relay.stop(stage).await
}
