//! Rows to Kafka, with the same care as in a stream: what may be in flight is bounded, nothing is sent that could be late,
//! and a row that cannot be published is set aside where there is a topic for that.

use std::{collections::BTreeMap, time::Duration};

use contracts::envelope::{AggregateVersion, Position};
use futures::{Stream, StreamExt};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until};

use super::{
    Error, Progress,
    aggregates::Aggregates,
    rows::{Outbox, Row},
};
use crate::{
    outbox::{DeadLetter, Event, Reason, Room, Router, Table, Transaction, Unpublishable},
    pgoutput::Tuple,
    publisher::{Publisher, Refused, SETTLING, StoodStill, TopicState},
};

/// How often the clock is looked at, at least.
const TICK: Duration = Duration::from_secs(1);
/// The most events in flight: fewer than in a stream, since the aggregates take their room as well.
const MOST_IN_FLIGHT: u64 = 4_096;
/// How long the cluster may take to tell of a topic.
const PATIENCE: Duration = Duration::from_secs(5);

/// Publishes rows.
pub(super) struct Publishing<'a> {
    publisher: &'a mut Publisher,
    router: Router,
    /// All events have places in one transaction, just before the new slot's stream.
    transaction: Transaction,
    place: Position,
    /// The topic for rows that cannot be published, with the installation's prefix.
    dead_letter_topic: Option<String>,
    /// How many went there, by the kind of reason.
    set_aside: BTreeMap<&'static str, u64>,
    /// The next event's number in it.
    next: u64,
    acknowledged: u64,
    ticks: Interval,
    /// How long this process may stand still, and how long an event may be in flight.
    /// All events below this number were in flight at that time.
    oldest: (u64, Instant),
}

impl<'a> Publishing<'a> {
    /// `transaction` is the one at `place`, whose number does not count.
    pub(super) fn new(
        publisher: &'a mut Publisher,
        router: Router,
        transaction: Transaction,
        place: Position,
        dead_letter_topic: Option<String>,
    ) -> Self {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let oldest = (0, Instant::now());
        publisher.watch_the_clock();
        Self {
            publisher,
            router,
            transaction,
            place,
            dead_letter_topic,
            set_aside: BTreeMap::new(),
            next: 0,
            acknowledged: 0,
            ticks,
            oldest,
        }
    }

    /// Publishes what Kafka lacks of a table's rows.
    pub(super) async fn publish(
        &mut self,
        outbox: &Outbox,
        rows: impl Stream<Item = Result<Row, Error>>,
        aggregates: &Aggregates,
        progress: &mut Progress<'_>,
    ) -> Result<(), Error> {
        let table = self.router.table(&outbox.relation());
        let (mut rows, mut bytes) = (std::pin::pin!(rows), Vec::new());
        loop {
            // The server may take a while before the first row, since it sorts them.
            let row = tokio::select! {
                row = rows.next() => row,
                _ = self.ticks.tick() => {
                    self.tick()?;
                    progress.tell();
                    continue;
                }
            };
            let Some(row) = row.transpose()? else { return Ok(()) };
            let Some(version) = row.version() else {
                progress.left_out += 1;
                continue;
            };
            // One that is no version is refused by the router.
            let version = version.parse::<AggregateVersion>().map_or(i64::MAX, AggregateVersion::get);
            if aggregates.are_on_kafka(row.topic(), row.key(), version) {
                progress.found += 1;
                continue;
            }
            let tuple = Tuple::of_texts(row.values(), &mut bytes);
            self.send(&table, &tuple).await?;
            progress.sent += 1;
        }
    }

    /// Waits until all is acknowledged, and gives how many rows were set aside, by the kind of reason.
    pub(super) async fn finish(mut self) -> Result<BTreeMap<&'static str, u64>, Error> {
        while self.settle()? < self.next {
            self.publisher.commit(self.next)?;
            self.wait().await?;
        }
        Ok(self.set_aside)
    }

    async fn send(&mut self, table: &Table, row: &Tuple<'_>) -> Result<(), Error> {
        while self.next - self.acknowledged >= MOST_IN_FLIGHT {
            self.publisher.commit(self.next)?;
            self.wait().await?;
        }
        let ordinal = u32::try_from(self.next).map_err(|_| Error::TooMany)?;
        loop {
            self.look_at_the_clock()?;
            match self.take(table, row, ordinal)? {
                Ok(()) => break,
                Err(Refused::Full | Refused::Committing) => self.wait().await?,
                Err(Refused::MustWait) => {
                    self.publisher.lull(self.next);
                    self.wait().await?;
                }
                Err(Refused::UnknownTopic(topic)) => self.look_up(topic).await?,
                Err(Refused::Settling) => sleep(SETTLING).await,
                Err(Refused::TooLarge(reason) | Refused::Failed(reason)) => {
                    // That may be why.
                    self.look_at_the_clock()?;
                    return Err(Error::Kafka(reason));
                }
            }
        }
        self.next += 1;
        Ok(())
    }

    async fn look_up(&self, topic: String) -> Result<(), Error> {
        match self.publisher.look_up(topic.clone(), PATIENCE, None).await {
            TopicState::There(_) => Ok(()),
            TopicState::Missing(reason) | TopicState::Unknown(reason) => {
                Err(Error::Kafka(format!("topic {topic}: {reason}")))
            }
        }
    }

    /// Hands a row's event to the producer, or the dead letter in its place.
    fn take(&mut self, table: &Table, row: &Tuple<'_>, ordinal: u32) -> Result<Result<(), Refused>, Error> {
        let unpublishable = match self.router.route(table, row, &mut self.transaction, ordinal) {
            Ok(event) => match self.publisher.send(self.next, &event) {
                Err(Refused::TooLarge(reason)) => Box::new(too_large(&event, reason)),
                taken => return Ok(taken),
            },
            Err(unpublishable) => unpublishable,
        };
        let Some(topic) = &self.dead_letter_topic else {
            return Err(Error::Halt { row: unpublishable, commit: self.place.commit });
        };
        let reason = &unpublishable.reason;
        let remains = self.router.remains_of_row(table, row);
        let room = Room { producer: self.publisher.largest_message(), is_brief: false };
        let letter = DeadLetter::new(&remains, reason, &Position { ordinal, ..self.place }, None, room);
        let taken = self.publisher.send(self.next, &letter.event(topic));
        if taken.is_ok() {
            *self.set_aside.entry(reason.class()).or_default() += 1;
        }
        Ok(taken)
    }

    /// Waits until something was acknowledged, or time has passed.
    async fn wait(&mut self) -> Result<(), Error> {
        let commit_due = self.publisher.commit_due(self.next);
        tokio::select! {
            () = self.publisher.changed() => self.settle().map(drop),
            () = sleep_until(commit_due.unwrap_or_else(std::time::Instant::now).into()), if commit_due.is_some() => {
                Ok(self.publisher.commit(self.next)?)
            }
            _ = self.ticks.tick() => self.tick(),
        }
    }

    fn tick(&mut self) -> Result<(), Error> {
        self.look_at_the_clock()?;
        self.settle()?;
        self.look_for_old_events()
    }

    /// All events below the number that it gives are acknowledged.
    fn settle(&mut self) -> Result<u64, Error> {
        self.acknowledged = self.publisher.acknowledged(self.next)?;
        Ok(self.acknowledged)
    }

    fn look_at_the_clock(&mut self) -> Result<(), Error> {
        self.publisher.look_at_the_clock().map_err(|StoodStill(time)| Error::Stopped(time))
    }

    /// All is given up before the producer gives up a single event, which those behind it would overtake.
    fn look_for_old_events(&mut self) -> Result<(), Error> {
        if self.acknowledged >= self.oldest.0 {
            self.oldest = (self.next, Instant::now());
        }
        let (waited, in_flight) = (self.oldest.1.elapsed(), self.next - self.acknowledged);
        if in_flight > 0 && waited > self.publisher.patience() {
            let seconds = waited.as_secs();
            return Err(Error::Kafka(format!("{in_flight} events in flight, none acknowledged for {seconds} s")));
        }
        Ok(())
    }
}

fn too_large(event: &Event<'_>, reason: String) -> Unpublishable {
    Unpublishable { table: event.origin.to_owned(), id: event.id.to_owned(), reason: Reason::TooLarge(reason) }
}
