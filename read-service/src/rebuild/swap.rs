//! Putting what a rebuild has filled in the place of what serves, in one transaction.
//!
//! A query never goes back: the offsets of what serves are held first, and only once what is new has reached them are the
//! tables exchanged; and not if what is new has parked what the other one has applied. An instance that fills the old one finds that its offsets have moved, and goes on from the new ones, with
//! the new table. Queries wait for the exchange itself, and never long: a lock that cannot be had soon is given up and tried
//! for again.

use std::{collections::BTreeMap, time::Duration};

use deadpool_postgres::{Object, Transaction};
use inbox::Generation;
use telemetry::CancellationToken;
use tokio::time::Instant;
use tokio_postgres::{Error, error::SqlState};

use super::{error::said, table::Tables};
use crate::{
    live::{self, Change, Kind},
    projection::GENERATION,
    view::{SCHEMA, View},
};

/// The generation that serves.
pub(super) const SERVING: i32 = 1;

/// How long it is waited for what no query waits behind. PostgreSQL ends a vacuum of its own that is in the way after a second.
const PATIENT: &str = "SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '3s'";
/// How long locks are waited for while queries and intakes may queue behind that.
const IMPATIENT: &str = "SET LOCAL lock_timeout = '200ms'";
/// How long the intakes of what serves are held up.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked whether the new generation has come as far.
const LOOK: Duration = Duration::from_millis(5);
/// An exchange is tried once no more than this is missing.
const CLOSE: i64 = 5_000;

/// What came of a try.
pub(super) enum Tried {
    /// It serves, and so many aggregates are parked.
    Swapped { parked: i64 },
    /// Not now, and why.
    Later(String),
    /// Not at all: the table that serves has other columns or checks by now.
    Changed,
    /// Not at all: what was parked leaves so many aggregates, this one among them, with a lower version than what serves has.
    GoesBack { aggregates: i64, such_as: String },
}

/// Who is to be replaced by whom.
pub(super) struct Swap<'a> {
    pub(super) view: View,
    pub(super) tables: &'a Tables,
    /// The topic's name on the cluster.
    pub(super) topic: &'a str,
    /// Where what serves was before the new generation had read its topic to the end: so far it has come, whatever the
    /// offsets say, and were they those of another topic.
    pub(super) passed: BTreeMap<i32, i64>,
    /// By what the view's changes are followed.
    pub(super) followed_by: &'a [Kind],
    /// Ends the intake of the new generation.
    pub(super) stop: &'a CancellationToken,
}

impl Swap<'_> {
    fn generation(&self, number: i32) -> Generation<'static> {
        Generation { schema: SCHEMA, handler: self.view.table(), number }
    }

    /// How many messages what is new lacks of what serves.
    pub(super) async fn missing(&self, client: &Object) -> Result<i64, Error> {
        let serving = self.generation(SERVING).next(client, self.topic).await?;
        let new = self.generation(GENERATION).next(client, self.topic).await?;
        Ok(self.missing_of(&serving, &new))
    }

    fn missing_of(&self, serving: &BTreeMap<i32, i64>, new: &BTreeMap<i32, i64>) -> i64 {
        let still = serving.iter().filter(|(partition, next)| self.passed.get(partition) != Some(next));
        still.map(|(partition, next)| (next - new.get(partition).copied().unwrap_or(0)).max(0)).sum()
    }

    /// Tries it once. When it fails, nothing has changed, and what is new goes on being filled.
    pub(super) async fn attempt(&self, client: &mut Object) -> Result<Tried, Error> {
        let missing = self.missing(client).await?;
        if missing > CLOSE {
            return Ok(Tried::Later(format!("{missing} messages behind the served view")));
        }
        self.tables.index(client).await?;
        let transaction = client.transaction().await?;
        match self.exchange(transaction).await {
            Err(error) if passes(&error) => Ok(Tried::Later(said(&error))),
            tried => tried,
        }
    }

    /// What is not committed is rolled back.
    async fn exchange(&self, transaction: Transaction<'_>) -> Result<Tried, Error> {
        let (serving, new) = (self.generation(SERVING), self.generation(GENERATION));
        transaction.batch_execute(PATIENT).await?;
        self.tables.hold(&transaction).await?;
        transaction.batch_execute(IMPATIENT).await?;
        let held = serving.hold(&transaction, self.topic).await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let missing = self.missing_of(&held.next, &new.next(&transaction, self.topic).await?);
            if missing == 0 {
                break;
            }
            if Instant::now() > deadline {
                return Ok(Tried::Later(format!("{missing} messages behind the served view")));
            }
            tokio::time::sleep(LOOK).await;
        }
        // From here on the intake of the new generation waits for this transaction.
        new.hold(&transaction, self.topic).await?;
        self.tables.hand_over(&transaction).await?;
        self.tables.lock(&transaction).await?;
        if !self.tables.are_alike(&transaction).await? {
            return Ok(Tried::Changed);
        }
        if !self.tables.is_indexed(&transaction).await? {
            return Ok(Tried::Later("the served view has just got another index".to_owned()));
        }
        let (aggregates, such_as) = self.tables.go_back(&transaction, GENERATION).await?;
        if let Some(such_as) = such_as {
            return Ok(Tried::GoesBack { aggregates, such_as });
        }
        let parked = self.tables.parked(&transaction, GENERATION).await?;
        self.tables.replace(&transaction).await?;
        if serving.forget(&transaction).await? != held.offsets {
            return Ok(Tried::Later("an instance has just begun to fill the served view".to_owned()));
        }
        new.becomes(&transaction, SERVING).await?;
        // What is new may be ahead of what was told.
        let anything: Vec<_> = self.followed_by.iter().map(|kind| Change::Any(*kind)).collect();
        live::notify(&transaction, self.view.table(), anything.iter()).await?;
        // Before the commit: an intake that finds its offsets gone must not begin anew.
        self.stop.cancel();
        transaction.commit().await?;
        Ok(Tried::Swapped { parked })
    }
}

/// Whether another try can do better.
fn passes(error: &Error) -> bool {
    let code = error.code();
    let passing = [
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::UNIQUE_VIOLATION,
    ];
    code.is_some_and(|code| passing.contains(code))
}
