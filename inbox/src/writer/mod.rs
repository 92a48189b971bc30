//! From a batch to its effects, in one transaction with the offsets, once.
//!
//! What passes is waited out, with the same batch again. What one event's data causes is found by trying the batch in
//! halves under savepoints, down to the event, which is set aside; the others are applied, in their order, in the same
//! transaction, but for those that queue behind it. The way without a fault pays for none of that but a look whether
//! anything is parked.

mod at_once;
mod sorted;

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    time::Duration,
};

use deadpool_postgres::{Client, PoolError};
use telemetry::{backoff::Backoff, database::reason};
use tokio_postgres::Error;

use crate::{
    Handler, Unapplied, batch::Batch, fault::Fault, intake::Setting, parked::Aside, sorting::Sorting, topics::Partition,
};
pub(crate) use sorted::{refusal, try_to_apply};

/// How long the batch in hand may take once the intake is to stop.
const LAST_BATCH: Duration = Duration::from_secs(5);

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Its effects are there.
    Committed,
    /// Its effects are there, but it could not be told. Positioning tells it.
    Untold,
    /// Its effects are there, but for those of these partitions from some event on: too much would have been set aside.
    Full(BTreeSet<Partition>),
    /// The stored offsets are not those that it follows: nothing of it is there, or all of it was already.
    Fenced,
    /// The intake is to stop: nothing of it is there or, where the server is still at its one statement, all of it soon is.
    Stopped,
}

/// In which way a batch is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// All of it is applied: as far as is known, nothing is parked, and nothing of it is unreadable.
    AtOnce,
    /// But for what is to be set aside, or to queue.
    Sorted,
    /// And but for what fails by its own fault.
    OneByOne,
}

/// What was done with the events of a batch.
struct Effects<'b> {
    /// How many events were applied.
    applied: usize,
    sorting: Sorting<'b>,
    /// What is parked, where that was counted.
    counts: Option<BTreeMap<Partition, Aside>>,
}

/// What became of a try to write a batch.
enum Tried {
    /// Committed; the offsets now stored, and whether it was told.
    Committed { next: BTreeMap<Partition, i64>, is_told: bool },
    /// Rolled back: the stored offsets are others.
    Fenced,
    /// Nothing of it is there: the stored offsets may be others, or something is parked.
    Unsorted,
    /// Rolled back: these partitions have to stop at these offsets.
    Over(BTreeMap<Partition, i64>),
}

/// Why a try to write a batch failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Pool(#[from] PoolError),
    #[error(transparent)]
    Unapplied(#[from] Unapplied),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Unapplied(error.into())
    }
}

/// Writes batches and knows which offsets are stored.
pub(crate) struct Writer<'a, H> {
    of: &'a Setting<H>,
    /// The offset that is stored for each partition of this instance.
    stored: BTreeMap<Partition, i64>,
}

impl<'a, H: Handler> Writer<'a, H> {
    pub(crate) fn new(of: &'a Setting<H>) -> Self {
        Self { of, stored: BTreeMap::new() }
    }

    /// These offsets are stored.
    pub(crate) fn go_on_from(&mut self, stored: BTreeMap<Partition, i64>) {
        self.stored = stored;
    }

    /// The offset that is stored for a partition.
    pub(crate) fn stored(&self, partition: Partition) -> Option<i64> {
        self.stored.get(&partition).copied()
    }

    /// Writes the batch, however long it takes.
    pub(crate) async fn write(&mut self, batch: &Batch<H::Event>) -> Written {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
        let mut how =
            if batch.unreadable.is_empty() && !self.of.meters.has_parked() { How::AtOnce } else { How::Sorted };
        let mut stops = BTreeMap::new();
        // Of all tries together.
        let shutdown = &self.of.shutdown;
        let mut cut_off = pin!(async {
            shutdown.cancelled().await;
            tokio::time::sleep(LAST_BATCH).await;
        });
        loop {
            let tried = tokio::select! {
                tried = self.attempt(batch, how, &stops) => tried,
                () = &mut cut_off => {
                    batch.spans.given_up();
                    return Written::Stopped;
                }
            };
            match tried {
                Ok(Tried::Committed { next, is_told }) => {
                    self.of.status.database(None);
                    self.stored.extend(next);
                    let full: BTreeSet<Partition> = stops.into_keys().collect();
                    return match is_told {
                        _ if !full.is_empty() => Written::Full(full),
                        true => Written::Committed,
                        false => Written::Untold,
                    };
                }
                Ok(Tried::Unsorted) => how = How::Sorted,
                Ok(Tried::Over(over)) => stops.extend(over),
                Ok(Tried::Fenced) => {
                    batch.spans.given_up();
                    return Written::Fenced;
                }
                Err(Failure::Unapplied(error)) if how != How::OneByOne && Fault::of(&error) == Fault::Definite => {
                    how = How::OneByOne;
                }
                Err(failure) => {
                    self.of.status.database(Some(reason(&failure)));
                    tokio::select! {
                        () = self.of.shutdown.cancelled() => {
                            batch.spans.given_up();
                            return Written::Stopped;
                        }
                        () = tokio::time::sleep(backoff.next_wait()) => {}
                    }
                }
            }
        }
    }

    /// All of it, or nothing. Partitions stop at `stops`.
    async fn attempt(
        &self,
        batch: &Batch<H::Event>,
        how: How,
        stops: &BTreeMap<Partition, i64>,
    ) -> Result<Tried, Failure> {
        let mut next = batch.next.clone();
        next.extend(stops);
        let mut client = self.of.intake.pool.get().await?;
        let one = next.first_key_value().filter(|_| next.len() == 1 && how == How::AtOnce);
        let is_one_statement = batch.events.is_empty() || self.of.handler.insert().is_some();
        let effects = match one.filter(|_| is_one_statement) {
            Some((partition, next)) => self.by_statement(&client, batch, (*partition, *next)).await?,
            None => self.by_transaction(&mut client, batch, how, stops, &next).await?,
        };
        let Effects { applied, sorting, counts } = match effects {
            Ok(effects) => effects,
            Err(instead) => return Ok(instead),
        };
        self.of.applied.ring();
        let told = self.of.handler.tell(&client, Some(&batch.events)).await;
        if let Some(counts) = counts {
            self.of.meters.parked(&counts);
        }
        self.of.dead_letters.log(&self.of.topics, sorting.letters());
        self.of.meters.committed(&next, applied, sorting.letters().len());
        Ok(Tried::Committed { next, is_told: told.is_ok() })
    }

    /// The same by a transaction, which is rolled back unless it is committed.
    async fn by_transaction<'b>(
        &self,
        client: &mut Client,
        batch: &'b Batch<H::Event>,
        how: How,
        stops: &BTreeMap<Partition, i64>,
        next: &BTreeMap<Partition, i64>,
    ) -> Result<Result<Effects<'b>, Tried>, Failure> {
        let mut transaction = client.transaction().await?;
        let effects = match how {
            How::AtOnce => self.pipelined(&transaction, batch, next).await?,
            How::Sorted => self.sorted(&mut transaction, batch, false, stops, next).await?,
            How::OneByOne => self.sorted(&mut transaction, batch, true, stops, next).await?,
        };
        match effects {
            Ok(_) => transaction.commit().await?,
            Err(_) => transaction.rollback().await?,
        }
        Ok(effects)
    }
}
