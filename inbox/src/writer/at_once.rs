//! The way without a fault: all of a batch is applied while its offsets move.

use std::{collections::BTreeMap, pin::pin};

use deadpool_postgres::{Client, Transaction};
use futures::future::{Either, select};

use super::{Effects, Failure, Tried, Writer};
use crate::{Handler, batch::Batch, intake::Setting, sorting::Sorting, topics::Partition};

impl<H: Handler> Writer<'_, H> {
    /// The offset of one partition and the effect, by one statement.
    pub(super) async fn by_statement<'b>(
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

    /// Moves the offsets and applies everything, without waiting for the one before the other is sent: of a batch of one event,
    /// half of the time is the way there and back. Where the offsets have not moved, or something is parked, applying is given up.
    pub(super) async fn pipelined<'b>(
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
}
