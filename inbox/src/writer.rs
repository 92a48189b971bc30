//! From a batch to its effects, in one transaction with the offsets, once.
//!
//! What passes is waited out, with the same batch again. What one event's data causes is found by trying the batch in
//! halves under savepoints, down to the event, which is set aside; the others are applied, in their order, in the same
//! transaction, but for those that queue behind it. The way without a fault pays for none of that but a look whether
//! anything is parked.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    pin::pin,
    time::Duration,
};

use deadpool_postgres::{Client, PoolError, Transaction};
use futures::future::{Either, select};
use telemetry::{backoff::Backoff, database::reason};
use tokio_postgres::Error;

use crate::{
    Handler, Unapplied,
    batch::Batch,
    fault::Fault,
    intake::Setting,
    parked::Aside,
    sorting::{Sorting, Way},
    topics::Partition,
};

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

    /// The offset of one partition and the effect, by one statement.
    async fn by_statement<'b>(
        &self,
        client: &Client,
        batch: &'b Batch<H::Event>,
        next: (Partition, i64),
    ) -> Result<Result<Effects<'b>, Tried>, Failure> {
        let insert = (!batch.events.is_empty()).then(|| self.of.handler.parameters(&batch.events));
        let Setting { offsets, topics, .. } = self.of;
        let is_done = offsets.step(client, topics, &self.stored, next, insert.as_deref()).await?;
        // What else there is, a transaction tells.
        Ok(if is_done { Ok(self.all_of(batch)) } else { Err(Tried::Unsorted) })
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

    /// Moves the offsets and applies everything, without waiting for the one before the other is sent: of a batch of one event,
    /// half of the time is the way there and back. Where the offsets have not moved, or something is parked, applying is given up.
    async fn pipelined<'b>(
        &self,
        transaction: &Transaction<'_>,
        batch: &'b Batch<H::Event>,
        next: &BTreeMap<Partition, i64>,
    ) -> Result<Result<Effects<'b>, Tried>, Failure> {
        let offsets = &self.of.offsets;
        let advance = offsets.prepare(transaction).await?;
        let apply = pin!(async {
            match batch.events.is_empty() {
                true => Ok(()),
                false => self.of.handler.apply(transaction, &batch.events).await,
            }
        });
        let advance = pin!(offsets.advance(transaction, &advance, &self.of.topics, &self.stored, next));
        // The offsets are asked for first, so that their locks make another instance, which has a partition too, wait for the outcome.
        let (advanced, applied) = match select(advance, apply).await {
            Either::Left((advanced, apply)) => (advanced?, Either::Left(apply)),
            Either::Right((applied, advance)) => (advance.await?, Either::Right(applied)),
        };
        if !advanced.moved {
            return Ok(Err(Tried::Fenced));
        }
        if advanced.parked {
            return Ok(Err(Tried::Unsorted));
        }
        match applied {
            Either::Left(apply) => apply.await?,
            Either::Right(applied) => applied?,
        }
        Ok(Ok(self.all_of(batch)))
    }

    /// Every event of the batch is applied, and nothing is set aside.
    fn all_of<'b>(&self, batch: &Batch<H::Event>) -> Effects<'b> {
        let sorting = Sorting::new(self.of.handler.parking(), Vec::new(), BTreeMap::new());
        Effects { applied: batch.events.len(), sorting, counts: None }
    }

    /// Moves the offsets, then applies what is not to be set aside or to queue.
    async fn sorted<'b>(
        &self,
        transaction: &mut Transaction<'_>,
        batch: &'b Batch<H::Event>,
        one_by_one: bool,
        stops: &BTreeMap<Partition, i64>,
        next: &BTreeMap<Partition, i64>,
    ) -> Result<Result<Effects<'b>, Tried>, Failure> {
        let topics = &self.of.topics;
        let advance = self.of.offsets.prepare(transaction).await?;
        let advanced = self.of.offsets.advance(transaction, &advance, topics, &self.stored, next).await?;
        if !advanced.moved {
            return Ok(Err(Tried::Fenced));
        }
        let aggregates = if advanced.parked { batch.aggregates() } else { Vec::new() };
        let parked = self.of.parked.lock(transaction, topics, &aggregates).await?;
        let mut sorting = Sorting::new(self.of.handler.parking(), parked, stops.clone());
        for unreadable in &batch.unreadable {
            sorting.set_aside(&unreadable.message, Some(unreadable.error.clone()));
        }
        let applied = self.apply(transaction, batch, one_by_one, &mut sorting).await?;
        if let Some(over) = self.park(transaction, batch, &sorting).await? {
            return Ok(Err(Tried::Over(over)));
        }
        let passed = sorting.passed(&batch.origins);
        if !passed.is_empty() {
            self.of.parked.pass(transaction, topics, &passed).await?;
        }
        // While nothing is parked, nothing is counted; when it has become nothing, the session finds out.
        let counts = match advanced.parked || !sorting.letters().is_empty() {
            true => Some(self.of.parked.count(transaction, topics).await?),
            false => None,
        };
        Ok(Ok(Effects { applied, sorting, counts }))
    }

    /// Sets aside what is to be. Where partitions would have too much set aside then, gives where they have to stop instead.
    async fn park<'b>(
        &self,
        transaction: &Transaction<'_>,
        batch: &'b Batch<H::Event>,
        sorting: &Sorting<'b>,
    ) -> Result<Option<BTreeMap<Partition, i64>>, Failure> {
        if sorting.letters().is_empty() {
            return Ok(None);
        }
        let topics = &self.of.topics;
        if sorting.adds() {
            let already = self.of.parked.count(transaction, topics).await?;
            let over = sorting.over(self.of.intake.max_parked, &already, &batch.origins);
            if !over.is_empty() {
                return Ok(Some(over));
            }
        }
        let parking = sorting.newly_parked();
        if !parking.is_empty() {
            self.of.parked.park(transaction, topics, &parking).await?;
        }
        self.of.dead_letters.set_aside(transaction, topics, sorting.letters()).await?;
        Ok(None)
    }

    /// Applies the events in their order, but for those that go another way; one by one also but for those that fail by
    /// their own fault. Gives how many were applied.
    async fn apply<'b>(
        &self,
        transaction: &mut Transaction<'_>,
        batch: &'b Batch<H::Event>,
        one_by_one: bool,
        sorting: &mut Sorting<'b>,
    ) -> Result<usize, Unapplied> {
        let mut applied = 0;
        // The next range to try is the last one here.
        let mut ranges: Vec<Range<usize>> = Vec::new();
        ranges.extend((!batch.events.is_empty()).then_some(0..batch.events.len()));
        while let Some(range) = ranges.pop() {
            let range = Self::up_to_another_way(batch, range, &mut ranges, sorting);
            if range.is_empty() {
                continue;
            }
            let events = &batch.events[range.clone()];
            if !one_by_one {
                self.of.handler.apply(transaction, events).await?;
                applied += range.len();
                continue;
            }
            match try_to_apply(&self.of.handler, transaction, events).await? {
                None => applied += range.len(),
                Some(error) => match halves(&range) {
                    Some([first, second]) => ranges.extend([second, first]),
                    None => {
                        batch.spans.fail(range.start, "set aside");
                        sorting.set_aside(&batch.origins[range.start], Some(refusal(&error)));
                    }
                },
            }
        }
        Ok(applied)
    }

    /// The range up to its first event that is not applied, which is seen to; what comes after that is put back.
    fn up_to_another_way<'b>(
        batch: &'b Batch<H::Event>,
        range: Range<usize>,
        ranges: &mut Vec<Range<usize>>,
        sorting: &mut Sorting<'b>,
    ) -> Range<usize> {
        let goes = |event: &usize| sorting.way(&batch.origins[*event]);
        let Some(other) = range.clone().find(|event| goes(event) != Way::Apply) else { return range };
        if goes(&other) == Way::Queue {
            batch.spans.fail(other, "queued behind an earlier one");
            sorting.set_aside(&batch.origins[other], None);
        } else {
            batch.spans.fail(other, "left for later");
        }
        ranges.extend((other + 1 < range.end).then_some(other + 1..range.end));
        range.start..other
    }
}

/// Applies events under a savepoint. Gives why not when that is the events' own fault; nothing of them is there then.
pub(crate) async fn try_to_apply<H: Handler>(
    handler: &H,
    transaction: &mut Transaction<'_>,
    events: &[H::Event],
) -> Result<Option<Unapplied>, Unapplied> {
    let savepoint = transaction.transaction().await?;
    let applied = async {
        handler.apply(&savepoint, events).await?;
        // A deferred constraint must not wait for the commit to say no.
        Ok(savepoint.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await?)
    };
    match applied.await {
        Ok(()) => savepoint.commit().await.map(|()| None).map_err(Unapplied::from),
        Err(error) if Fault::of(&error) == Fault::Definite => {
            savepoint.rollback().await?;
            Ok(Some(error))
        }
        Err(error) => Err(error),
    }
}

/// The two halves of a range of at least two.
fn halves(range: &Range<usize>) -> Option<[Range<usize>; 2]> {
    let middle = range.start + range.len() / 2;
    (range.len() >= 2).then_some([range.start..middle, middle..range.end])
}

/// What was said against it, for the dead letter.
pub(crate) fn refusal(error: &Unapplied) -> String {
    let Unapplied::Statement(error) = error else { return error.to_string() };
    let state = error.code().map(|state| format!(" (SQLSTATE {})", state.code())).unwrap_or_default();
    format!("refused by the database{state}: {}", reason(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn halves_are_smaller_and_make_up_the_whole(start in 0..1000_usize, length in 0..1000_usize) {
            let range = start..start + length;
            match halves(&range) {
                None => prop_assert!(length < 2),
                Some([first, second]) => {
                    prop_assert!(!first.is_empty() && !second.is_empty());
                    prop_assert_eq!((first.start, first.end, second.end), (range.start, second.start, range.end));
                }
            }
        }
    }
}
