//! How fast a backlog is drained, by relays and by the floor in turns.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::{task::block_in_place, time::Instant};

use super::{
    backlog::Backlog,
    floor,
    meter::Meter,
    peer, progress,
    relay::{Program, Relay},
    stage::{Stage, Target},
};
use crate::reader::Reader;

/// Rounds that do not count.
const WARM_UP: u32 = 4;

/// Who drains.
#[derive(Clone, Copy, Debug)]
pub(super) enum Contestant {
    /// `pg_recvlogical` to nowhere.
    Floor,
    Relay(Program),
}

/// Lets each contestant drain the same backlog `runs` times, in turns, after a few rounds that do not count: in them the
/// broker's JIT sees what is to come. The rates of each, in events a second.
pub(super) async fn measure(
    stage: &Stage,
    backlog: Backlog,
    runs: u32,
    contestants: &[Contestant],
) -> Result<Vec<Vec<f64>>> {
    progress(format_args!("{} rows in transactions of {} rows", backlog.rows, backlog.per_transaction));
    let mut lanes = Vec::new();
    for (at, contestant) in (0..WARM_UP + runs).flat_map(|_| contestants.iter().copied().enumerate()) {
        lanes.push(Lane::open(stage, at, contestant).await?);
    }
    backlog.insert(stage).await?;
    let end = stage.settle().await?;
    let mut rates = vec![Vec::new(); contestants.len()];
    for (at, lane) in lanes.iter().enumerate() {
        let rate = lane.drain(stage, backlog.rows, &end).await?;
        if at >= WARM_UP as usize * contestants.len() {
            rates[lane.contestant].push(rate);
        }
    }
    let slots: Vec<_> = lanes.into_iter().map(|lane| lane.slot).collect();
    stage.clear(&slots).await?;
    Ok(rates)
}

/// One run of one contestant, with its own slot; it is opened before there are rows.
struct Lane {
    contestant: usize,
    slot: String,
    relay: Option<(Program, Target)>,
}

impl Lane {
    async fn open(stage: &Stage, at: usize, contestant: Contestant) -> Result<Self> {
        let slot = stage.slot().await?;
        let relay = match contestant {
            Contestant::Floor => None,
            Contestant::Relay(program) => Some((program, stage.topic().await?)),
        };
        if let Some((Program::Peer(peer), target)) = &relay {
            peer::prepare(*peer, stage, &slot, target).await?;
        }
        Ok(Self { contestant: at, slot, relay })
    }

    async fn drain(&self, stage: &Stage, rows: u64, end: &str) -> Result<f64> {
        match &self.relay {
            None => self.floor(stage, rows, end).await,
            Some((program, target)) => self.relay(stage, *program, target, rows).await,
        }
    }

    async fn floor(&self, stage: &Stage, rows: u64, end: &str) -> Result<f64> {
        let floor = floor::run(stage, &self.slot, end).await?;
        let rate = rows as f64 / floor.elapsed.as_secs_f64();
        let walsender = floor.walsender.as_secs_f64() * 1e6 / rows as f64;
        progress(format_args!("floor: {rate:.0} events/s; CPU µs an event: walsender {walsender:.1}"));
        Ok(rate)
    }

    async fn relay(&self, stage: &Stage, program: Program, target: &Target, rows: u64) -> Result<f64> {
        let reader = Reader::new(&stage.kafka.bootstrap_servers(), &target.topic)?;
        let mut meter = Meter::new(stage);
        let relay = Relay::start(program, stage, &self.slot, target)?;
        meter.add_whole("relay", Some(relay.pid()));
        meter.add_whole("walsender", self.walsender(stage, &relay).await?);
        // By transactions, markers take offsets too: the reading below then waits for the rest.
        block_in_place(|| reader.wait_for_offsets(rows)).with_context(|| relay.log())?;
        let used = meter.used();
        let tally = block_in_place(|| reader.tally(rows)).with_context(|| relay.log())?;
        let rate = tally.records as f64 / tally.span.as_secs_f64();
        progress(format_args!("{}: {rate:.0} events/s; CPU µs an event: {}", program.name(), used.each(rows)));
        relay.stop(stage).await?;
        let after = block_in_place(|| reader.offsets())?;
        if matches!(program, Program::Ours([])) && after != rows {
            bail!("{after} events were delivered for {rows} rows");
        }
        stage.delete(target).await?;
        Ok(rate)
    }

    async fn walsender(&self, stage: &Stage, relay: &Relay) -> Result<Option<u32>> {
        const BOUND: Duration = Duration::from_secs(60);
        let start = Instant::now();
        while start.elapsed() < BOUND {
            if let Some(pid) = stage.walsender(&self.slot).await? {
                return Ok(Some(pid));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bail!("the relay has not started to stream within {BOUND:?}; its log:\n{}", relay.log())
    }
}
