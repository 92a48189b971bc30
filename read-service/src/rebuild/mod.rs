//! `read-service rebuild`: views filled anew from Kafka, beside those that serve, and put in their place without a query failing
//! or going back.
//!
//! ```text
//! read     the topic's last version of each aggregate, in sorted runs on disk     spill, arena, runs, merge
//! load     the runs into a new table, then its indexes: one transaction           load, table
//! follow   the ordinary intake into the new table, as generation 2
//! swap     once that has come as far as the one that serves: one transaction      swap
//! ```
//!
//! What each stage has done is in the database or, while it reads, in the runs' manifest: whatever ends a rebuild, another one
//! goes on with it. One at a time does so for a view: an advisory lock of the connection that does all but the filling keeps
//! others away, and with that connection the rebuild ends. One that has not noticed yet does no harm: it fills the table of one
//! object id, which another one that cannot go on with its runs has replaced, and holds its directory.

mod arena;
mod args;
mod directory;
mod error;
mod load;
mod merge;
mod progress;
mod running;
mod runs;
mod spill;
mod swap;
mod table;

use std::time::{Duration, UNIX_EPOCH};

use contracts::Topic;
use deadpool_postgres::{Object, Pool};
use inbox::{Generation, Intake, Reached};
use telemetry::{CancellationToken, backoff::Backoff, health::Health, metrics::Metrics};
use tokio::time::Instant;

use self::{
    error::{is_of_the_data, said},
    progress::Progress,
    running::{LOOK, Running},
    runs::{Origin, Runs},
    spill::{Spill, Spilling},
    swap::{Swap, Tried},
    table::{Stage, Tables},
};
use crate::{
    projection::{Anew, GENERATION},
    view::{SCHEMA, View},
};

pub use args::{RebuildArgs, RebuildSettings};
pub use error::Error;

/// Messages are read and their rows sorted by two intakes and a third thread: more would only wait for PostgreSQL's cores.
const READERS: usize = 2;
/// Nothing but the offsets goes to the database with a batch.
const BATCH: usize = 4_000;
/// How often it is said why there is no swap yet.
const SAY: Duration = Duration::from_secs(5);
/// How long the connection that holds the lock may leave a question unanswered.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the lock is waited for: PostgreSQL may not have noticed yet that an earlier rebuild was killed.
const LOCK: Duration = Duration::from_secs(2);
/// Nothing may end what takes long, but the loss of the connection, where the server can notice that.
const SESSION: [&str; 6] = [
    "SET client_min_messages = warning",
    "SET statement_timeout = 0",
    "SET lock_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
    "SET idle_session_timeout = 0",
    "SET client_connection_check_interval = '500ms'",
];

/// Rebuilds the views, one after another, until the token is cancelled.
///
/// # Errors
/// When one could not be; those before it have been.
pub async fn rebuild(settings: RebuildSettings, shutdown: CancellationToken) -> Result<(), (View, Error)> {
    for view in &settings.views {
        let work = async { Rebuild::begin(&settings, *view, shutdown.clone()).await?.run().await };
        work.await.map_err(|error| (*view, error))?;
    }
    Ok(())
}

/// The object id of the table that is filled, and what was read for it, until that is loaded.
type Begun = (u32, Option<Runs>);

/// The rebuild of one view.
struct Rebuild<'a> {
    settings: &'a RebuildSettings,
    view: View,
    tables: Tables,
    /// The topic's name on the cluster.
    topic: String,
    directory: directory::Held,
    /// The connection that holds the lock.
    client: Object,
    /// The intake's connections.
    pool: Pool,
    progress: Progress,
    shutdown: CancellationToken,
}

impl<'a> Rebuild<'a> {
    /// Connects and takes the lock.
    async fn begin(settings: &'a RebuildSettings, view: View, shutdown: CancellationToken) -> Result<Self, Error> {
        let owner = settings.database.clone().pool_size(1).pool().map_err(Error::Settings)?;
        let pool = settings.database.clone().pool_size(2).pool().map_err(Error::Settings)?;
        let client = owner.get().await?;
        for setting in SESSION {
            // Servers before the 14th know nothing of the last two.
            let _ = client.batch_execute(setting).await;
        }
        let table = view.table();
        lock(&client, table).await?;
        let sql = "SELECT (SELECT system_identifier FROM pg_control_system())::text || '-' || oid, to_regclass($1) IS NOT NULL
             FROM pg_database WHERE datname = current_database()";
        let row = client.query_one(sql, &[&format!("view.{table}")]).await?;
        if !row.try_get::<_, bool>(1)? {
            return Err(Error::NoView(table));
        }
        let tables = Tables::of(view);
        let dependents = tables.dependents(&client).await?;
        if !dependents.is_empty() {
            return Err(Error::Dependents(table, dependents.join(", ")));
        }
        let directory = directory::Held::take(&settings.directory, row.try_get(0)?, table).map_err(Error::Runs)?;
        let directory = directory.ok_or(Error::InUse(table))?;
        let topic: &Topic = view.topic();
        let topic = settings.kafka.topic(topic.name);
        Ok(Self { settings, view, tables, topic, directory, client, pool, progress: Progress::of(view), shutdown })
    }

    async fn run(mut self) -> Result<(), Error> {
        let began = Instant::now();
        let (table, runs) = match self.earlier().await? {
            Some(begun) => begun,
            None => self.start_over().await?,
        };
        if let Some(runs) = runs {
            let runs = self.read(table, runs).await?;
            self.load(table, runs).await?;
        }
        self.directory.remove().map_err(Error::Runs)?;
        let parked = self.follow(table).await?;
        self.progress.say(&format!("rebuilt, and served, after {:.1} s", began.elapsed().as_secs_f64()));
        let view = self.view.table();
        self.progress.say(&match parked {
            0 => "nothing is parked".to_owned(),
            1 => format!("1 aggregate is parked: see `read-service inbox list --handler {view}`"),
            many => format!("{many} aggregates are parked: see `read-service inbox list --handler {view}`"),
        });
        Ok(())
    }

    /// What an earlier rebuild has begun, if this one can go on with it.
    async fn earlier(&mut self) -> Result<Option<Begun>, Error> {
        let stage = self.tables.stage(&self.client).await?;
        if stage == Stage::None || self.settings.start_over {
            return Ok(None);
        }
        let is_outdated = !self.tables.are_alike(&self.client).await?
            || self.tables.filled_by(&self.client).await?.is_none_or(|by| by != self.filler());
        if is_outdated {
            self.progress.say("the view or this program is another than when a rebuild began: starting over");
            return Ok(None);
        }
        let begun = match stage {
            Stage::None => None,
            Stage::Begun(table) => self.runs_of(table)?.map(|runs| (table, Some(runs))),
            Stage::Loaded(table) => Some((table, None)),
        };
        self.progress.say(match begun {
            Some(_) => "going on where an earlier rebuild was",
            None => "what an earlier rebuild has read is not in this directory: starting over",
        });
        Ok(begun)
    }

    fn origin(&self, table: u32) -> Origin {
        Origin { table, topic: self.topic.clone() }
    }

    fn runs_of(&self, table: u32) -> Result<Option<Runs>, Error> {
        Runs::found(self.directory.path(), &self.origin(table)).map_err(Error::Runs)
    }

    fn generation(&self) -> Generation<'static> {
        Generation { schema: SCHEMA, handler: self.view.table(), number: GENERATION }
    }

    /// Who fills the new table, from where.
    fn filler(&self) -> String {
        format!("Being filled from {} by {}", self.topic, program())
    }

    /// A new table, and nothing that was read.
    async fn start_over(&mut self) -> Result<Begun, Error> {
        let (generation, filler) = (self.generation(), self.filler());
        let transaction = self.client.transaction().await?;
        // First: once it is gone, a rebuild that has lost its lock moves no offset any more.
        self.tables.drop(&transaction).await?;
        generation.forget(&transaction).await?;
        let table = self.tables.create(&transaction, &filler).await?;
        transaction.commit().await?;
        Ok((table, Some(Runs::begin(self.directory.path(), &self.origin(table)).map_err(Error::Runs)?)))
    }

    /// Fails unless the lock is held: with its connection it is gone, and PostgreSQL may give it to another rebuild.
    async fn is_locked(&self) -> Result<(), Error> {
        let answer = tokio::time::timeout(PATIENCE, self.client.batch_execute("")).await;
        if matches!(answer, Ok(Ok(()))) { Ok(()) } else { Err(Error::Unlocked(self.view.table())) }
    }

    /// Reads the topic to its end, into runs.
    async fn read(&mut self, table: u32, runs: Runs) -> Result<Runs, Error> {
        let (generation, topic) = (self.generation(), self.topic.clone());
        let transaction = self.client.transaction().await?;
        if runs.next().is_empty() {
            generation.forget(&transaction).await?;
        }
        generation.go_back(&transaction, &topic, runs.next()).await?;
        transaction.commit().await?;

        self.progress.begin("reading its topic", "messages");
        let spilling = Spilling::start(runs, self.settings.memory);
        let spill = |_| (Spill { of: Anew::of(self.view, table), filling: spilling.filling.clone() }, self.intake());
        let mut intake = Running::start((0..READERS).map(spill).collect());
        let mut most = 0;
        let ended = loop {
            let looked = async { self.is_locked().await.and(intake.look(&self.shutdown).await) };
            match looked.await {
                Err(error) => break Err(error),
                // Who writes the runs ends before its time when it has failed, and says why below.
                Ok(reached) if reached.to_the_end || spilling.writing.is_finished() => break Ok(()),
                Ok(Reached { ahead, .. }) => {
                    let ahead = ahead.unwrap_or_default();
                    most = ahead.max(most);
                    self.progress.at(most - ahead, most);
                }
            }
        };
        intake.end().await;
        // Also what has come so far of a topic that could not be read to its end.
        let runs = spilling.finish().await.map_err(Error::Runs)?;
        ended.map(|()| runs)
    }

    /// The runs into the table. Where the database refuses a row, it stays empty: the intake then fills it from the topic's
    /// beginning, and sets aside what is refused.
    async fn load(&mut self, table: u32, runs: Runs) -> Result<(), Error> {
        self.progress.begin("loading", "rows");
        let of = Anew::of(self.view, table);
        let (cancel, tls) = (self.client.cancel_token(), self.settings.database.tls().map_err(Error::Settings)?);
        let loaded = tokio::select! {
            loaded = load::load(&mut self.client, &self.tables, &of, &runs, &mut self.progress) => loaded,
            () = self.shutdown.cancelled() => {
                // Best effort: the server notices by itself too.
                let _ = cancel.cancel_query(tls).await;
                return Err(Error::Stopped);
            }
        };
        match loaded {
            Err(Error::Statement(error)) if is_of_the_data(&error) => {
                let why = said(&error);
                self.progress
                    .say(&format!("not all rows can be loaded at once ({why}): filling it message by message"));
                let generation = self.generation();
                let transaction = self.client.transaction().await?;
                generation.forget(&transaction).await?;
                self.tables.index(&transaction).await?;
                Ok(transaction.commit().await?)
            }
            Err(error) => Err(error),
            Ok(rows) => {
                self.progress.say(&format!("loaded {rows} rows"));
                Ok(())
            }
        }
    }

    /// The ordinary intake into the new table, until that serves. Gives how many aggregates are parked then.
    async fn follow(&mut self, table: u32) -> Result<i64, Error> {
        self.progress.begin("following its topic until it has come as far as the served view", "messages");
        let passed = Generation { number: swap::SERVING, ..self.generation() }.next(&self.client, &self.topic).await?;
        let of = Anew::of(self.view, table);
        let followed_by = of.followed_by.clone();
        let mut intake = Running::start(vec![(of, self.intake())]);
        let stop = intake.stop.clone();
        let swap = Swap {
            view: self.view,
            tables: &self.tables,
            topic: &self.topic,
            passed,
            followed_by: &followed_by,
            stop: &stop,
        };
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        let (mut next_try, mut said) = (Instant::now(), Instant::now());
        let mut most = 0;
        let ended = loop {
            let looked = async { self.is_locked().await.and(intake.look(&self.shutdown).await) };
            match looked.await {
                Err(error) => break Err(error),
                Ok(Reached { ahead, to_the_end: false }) => {
                    let ahead = ahead.unwrap_or_default();
                    most = ahead.max(most);
                    self.progress.at(most - ahead, most);
                    continue;
                }
                Ok(_) if Instant::now() < next_try => {
                    // What is at the end is so at once.
                    tokio::time::sleep(LOOK).await;
                    continue;
                }
                Ok(_) => {}
            }
            match swap.attempt(&mut self.client).await {
                Ok(Tried::Swapped { parked }) => break Ok(parked),
                Ok(Tried::Later(why)) => {
                    next_try = Instant::now() + backoff.next_wait();
                    if said.elapsed() > SAY {
                        said = Instant::now();
                        self.progress.say(&format!("not swapped yet: {why}; trying again"));
                    }
                }
                Ok(Tried::Changed) => break Err(Error::Changed(self.view.table())),
                Ok(Tried::GoesBack { aggregates, such_as }) => {
                    break Err(Error::GoesBack { view: self.view.table(), aggregates, such_as });
                }
                Err(error) => break Err(error.into()),
            }
        };
        intake.end().await;
        let parked = ended?;
        // In case it had begun anew just before it was ended.
        let generation = self.generation();
        let transaction = self.client.transaction().await?;
        generation.forget(&transaction).await?;
        transaction.commit().await?;
        Ok(parked)
    }

    /// What the intake of the new generation needs.
    fn intake(&self) -> Intake {
        Intake {
            kafka: self.settings.kafka.clone(),
            service: "read-service".to_owned(),
            schema: SCHEMA.to_owned(),
            pool: self.pool.clone(),
            health: Health::new(),
            metrics: Metrics::new(),
            max_parked: self.settings.max_parked,
            writers: 1,
            batch: BATCH,
            trace_messages: false,
        }
    }
}

/// Which program this is: its version, and which build of it as far as its file tells.
fn program() -> String {
    let file = std::env::current_exe().and_then(std::fs::metadata);
    let built = file.and_then(|file| Ok((file.len(), file.modified()?)));
    let built = built.ok().and_then(|(size, at)| Some((size, at.duration_since(UNIX_EPOCH).ok()?.as_secs())));
    let built = built.map(|(size, at)| format!(" ({size}-{at})")).unwrap_or_default();
    format!("read-service {}{built}", env!("CARGO_PKG_VERSION"))
}

/// Takes the view's lock for as long as the connection lasts.
async fn lock(client: &Object, view: &'static str) -> Result<(), Error> {
    let sql = "SELECT pg_try_advisory_lock(hashtext('read-service'), hashtext('rebuild ' || $1))";
    let deadline = Instant::now() + LOCK;
    while !client.query_one(sql, &[&view]).await?.try_get::<_, bool>(0)? {
        if Instant::now() > deadline {
            return Err(Error::UnderWay(view));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
