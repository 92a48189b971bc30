//! Batches that are written side by side. Each partition's messages go through one lane, so they stay in their order; while a
//! lane's batch is being written, its next one is read.

use std::{collections::BTreeMap, mem, time::Duration};

use futures::{
    future::{BoxFuture, FutureExt},
    stream::FuturesUnordered,
};
use tokio::time::Instant;

use crate::{
    Handler,
    batch::Batch,
    intake::Setting,
    topics::Partition,
    writer::{Writer, Written},
};

/// All lanes.
pub(crate) struct Lanes<'a, H: Handler> {
    lanes: Vec<Lane<'a, H>>,
    /// The most messages of a batch.
    batch: usize,
    /// How long a batch that is not full may wait.
    gathers_for: Duration,
}

/// What is being written.
pub(crate) type Writing<'a, H> = FuturesUnordered<BoxFuture<'a, Done<'a, H>>>;

/// A batch has been written, or not.
pub(crate) struct Done<'a, H> {
    lane: usize,
    writer: Writer<'a, H>,
    written: Written,
}

struct Lane<'a, H: Handler> {
    /// Read, but not yet being written.
    ahead: Batch<H::Event>,
    /// Away while it writes.
    writer: Option<Writer<'a, H>>,
}

impl<'a, H: Handler> Lanes<'a, H> {
    /// As many as the intake may write at once.
    pub(crate) fn new(of: &'a Setting<H>) -> Self {
        let lane = |_| Lane { ahead: Batch::default(), writer: Some(Writer::new(of)) };
        Self {
            lanes: (0..of.intake.writers.max(1)).map(lane).collect(),
            batch: of.intake.batch.max(1),
            gathers_for: of.handler.gathers_for(),
        }
    }

    /// The batch to which the partition's next message belongs.
    pub(crate) fn ahead_of(&mut self, partition: Partition) -> &mut Batch<H::Event> {
        let lane = self.lane_of(partition);
        &mut self.lanes[lane].ahead
    }

    /// Whether the next message, of whatever partition, has a place.
    pub(crate) fn has_room(&self) -> bool {
        self.lanes.iter().all(|lane| !lane.ahead.is_full(self.batch))
    }

    /// Begins to write what was read, in each lane that is free and has waited for long enough. When it has to be looked again,
    /// if something is left that nothing else will come for.
    pub(crate) fn start(&mut self, writing: &mut Writing<'a, H>) -> Option<Instant> {
        let now = Instant::now();
        let mut next = None;
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            let Some(due) = lane.ahead.since().map(|since| since + self.gathers_for) else { continue };
            if lane.writer.is_some() && due > now && !lane.ahead.is_full(self.batch) {
                next = Some(next.map_or(due, |next| due.min(next)));
                continue;
            }
            let Some(mut writer) = lane.writer.take() else { continue };
            let batch = mem::take(&mut lane.ahead);
            let write = async move {
                let written = writer.write(&batch).await;
                Done { lane: number, writer, written }
            };
            writing.push(write.boxed());
        }
        next
    }

    /// What has become of a batch, whose lane is free again.
    pub(crate) fn free(&mut self, done: Done<'a, H>) -> Written {
        self.lanes[done.lane].writer = Some(done.writer);
        done.written
    }

    /// Whether it is stored that everything before this offset is applied.
    pub(crate) fn have_stored(&self, partition: Partition, offset: i64) -> bool {
        let writer = self.lanes[self.lane_of(partition)].writer.as_ref();
        writer.and_then(|writer| writer.stored(partition)).is_some_and(|stored| stored >= offset)
    }

    /// Goes on from these offsets, which are stored, and forgets what was read. Nothing may be being written.
    pub(crate) fn go_on_from(&mut self, stored: &BTreeMap<Partition, i64>) {
        for number in 0..self.lanes.len() {
            let of_lane = stored.iter().filter(|(partition, _)| self.lane_of(**partition) == number);
            let of_lane = of_lane.map(|(partition, next)| (*partition, *next)).collect();
            let lane = &mut self.lanes[number];
            mem::take(&mut lane.ahead).spans.given_up();
            if let Some(writer) = &mut lane.writer {
                writer.go_on_from(of_lane);
            }
        }
    }

    fn lane_of(&self, partition: Partition) -> usize {
        (partition.topic + usize::try_from(partition.number).unwrap_or_default()) % self.lanes.len()
    }
}
