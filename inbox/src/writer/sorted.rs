//! The way on which something is set aside, or queues behind what is.

use std::{collections::BTreeMap, ops::Range};

use deadpool_postgres::Transaction;
use telemetry::database::reason;

use super::{Effects, Failure, Tried, Writer};
use crate::{
    Handler, Unapplied,
    batch::Batch,
    fault::Fault,
    sorting::{Sorting, Way},
    topics::Partition,
};

impl<H: Handler> Writer<'_, H> {
    /// Moves the offsets, then applies what is not to be set aside or to queue.
    pub(super) async fn sorted<'b>(
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
