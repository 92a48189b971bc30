//! From a batch to its effects, in one transaction with the offsets, once.
//!
//! What passes is waited out, with the same batch again. What one event's data causes is found by trying the batch in
//! halves under savepoints, down to the event, which is set aside; the others are applied, in their order, in the same
//! transaction. The way without a fault pays for none of that.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use deadpool_postgres::{PoolError, Transaction};
use telemetry::{backoff::Backoff, database::reason};
use tokio_postgres::Error;

use crate::{
    Handler, Unapplied,
    batch::{Batch, DeadLetter},
    dead_letter::DeadLetters,
    fault::Fault,
    intake::Setting,
    message::Message,
    topics::Partition,
};

/// How long the batch in hand may take once the intake is to stop.
const LAST_BATCH: Duration = Duration::from_secs(5);

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Its effects are there.
    Committed,
    /// The stored offsets are not those that it follows: nothing of it is there, or all of it was already.
    Fenced,
    /// The intake is to stop: nothing of it is there.
    Stopped,
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
    dead_letters: DeadLetters,
    /// The offset that is stored for each partition of this instance.
    stored: BTreeMap<Partition, i64>,
}

impl<'a, H: Handler> Writer<'a, H> {
    pub(crate) fn new(of: &'a Setting<H>) -> Self {
        let dead_letters = DeadLetters::new(&of.intake.schema, of.handler.name());
        Self { of, dead_letters, stored: BTreeMap::new() }
    }

    /// These offsets are stored.
    pub(crate) fn go_on_from(&mut self, stored: BTreeMap<Partition, i64>) {
        self.stored = stored;
    }

    /// The partitions of this instance.
    pub(crate) fn partitions(&self) -> Vec<Partition> {
        self.stored.keys().copied().collect()
    }

    /// Writes the batch, however long it takes.
    pub(crate) async fn write(&mut self, batch: &Batch<H::Event>) -> Written {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
        let mut one_by_one = false;
        loop {
            let cut_off = async {
                self.of.shutdown.cancelled().await;
                tokio::time::sleep(LAST_BATCH).await;
            };
            let tried = tokio::select! {
                tried = self.attempt(batch, one_by_one) => tried,
                () = cut_off => {
                    batch.spans.given_up();
                    return Written::Stopped;
                }
            };
            match tried {
                Ok(true) => {
                    self.of.status.database(None);
                    self.stored.extend(&batch.next);
                    self.of.applied.ring();
                    return Written::Committed;
                }
                Ok(false) => {
                    batch.spans.given_up();
                    return Written::Fenced;
                }
                Err(Failure::Unapplied(error)) if !one_by_one && Fault::of(&error) == Fault::Definite => {
                    one_by_one = true;
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

    /// One transaction. `false` when the offsets are not as expected; it is rolled back then, as after an error.
    async fn attempt(&self, batch: &Batch<H::Event>, one_by_one: bool) -> Result<bool, Failure> {
        let mut client = self.of.intake.pool.get().await?;
        let mut transaction = client.transaction().await?;
        // First, so that an instance which has been overtaken finds out before it touches anything; and the row's lock
        // makes another one, which has this partition too, wait for the outcome.
        if !self.of.offsets.advance(&transaction, &self.of.topics, &self.stored, &batch.next).await? {
            transaction.rollback().await?;
            return Ok(false);
        }
        let mut letters: Vec<(&Message, String)> = batch.unreadable.iter().map(DeadLetter::with_reason).collect();
        if one_by_one {
            for (event, error) in self.apply_what_can_be(&mut transaction, &batch.events).await? {
                batch.spans.set_aside(event);
                letters.push((&batch.origins[event], refusal(&error)));
            }
        } else if !batch.events.is_empty() {
            self.of.handler.apply(&transaction, &batch.events).await?;
        }
        if !letters.is_empty() {
            self.dead_letters.set_aside(&transaction, &self.of.topics, &letters).await?;
        }
        transaction.commit().await?;
        self.dead_letters.log(&self.of.topics, &letters);
        let refused = letters.len() - batch.unreadable.len();
        self.of.meters.committed(&batch.next, batch.events.len() - refused, letters.len());
        Ok(true)
    }

    /// Applies the events in their order but for those that fail by their own fault, which are returned.
    async fn apply_what_can_be(
        &self,
        transaction: &mut Transaction<'_>,
        events: &[H::Event],
    ) -> Result<Vec<(usize, Unapplied)>, Unapplied> {
        let mut refused = Vec::new();
        // The next range to try is the last one here.
        let mut ranges: Vec<Range<usize>> = Vec::new();
        ranges.extend((!events.is_empty()).then_some(0..events.len()));
        while let Some(range) = ranges.pop() {
            let savepoint = transaction.transaction().await?;
            let applied = async {
                self.of.handler.apply(&savepoint, &events[range.clone()]).await?;
                // A deferred constraint must not wait for the commit to say no.
                Ok(savepoint.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await?)
            };
            match applied.await {
                Ok(()) => savepoint.commit().await?,
                Err(error) if Fault::of(&error) == Fault::Definite => {
                    savepoint.rollback().await?;
                    match halves(&range) {
                        Some([first, second]) => ranges.extend([second, first]),
                        None => refused.push((range.start, error)),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(refused)
    }
}

/// The two halves of a range of at least two.
fn halves(range: &Range<usize>) -> Option<[Range<usize>; 2]> {
    let middle = range.start + range.len() / 2;
    (range.len() >= 2).then_some([range.start..middle, middle..range.end])
}

/// What was said against it, for the dead letter.
fn refusal(error: &Unapplied) -> String {
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
