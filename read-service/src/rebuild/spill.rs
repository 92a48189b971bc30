//! From the topic to runs on disk: the handler of a rebuild's first stage. The intake sees to everything else, as it does for
//! the view that serves: what cannot be read is set aside, and offsets move.
//!
//! Rows are in memory when their offsets have moved; so after a crash the runs say where reading goes on, unless the offsets
//! lie before that. What is read twice changes nothing.

use std::{io, mem, sync::Arc};

use contracts::Topic;
use deadpool_postgres::Transaction;
use inbox::{Delivery, Handler, Parking, Unapplied, Undecodable};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
};

use super::{
    arena::{Arena, Placed},
    runs::Runs,
};
use crate::projection::Anew;

/// One piece of memory is being filled, one waits, one is being sorted.
const PIECES: usize = 3;

/// Fills runs instead of a table.
pub(super) struct Spill {
    pub(super) of: Anew,
    pub(super) filling: Arc<Filling>,
}

/// Rows that are not in a run yet.
pub(super) struct Filling {
    arena: Mutex<Arena>,
    /// Whether this much is enough for a run.
    enough: usize,
    full: mpsc::Sender<Arena>,
}

/// What makes runs, on a thread of its own.
pub(super) struct Spilling {
    pub(super) filling: Arc<Filling>,
    pub(super) writing: JoinHandle<io::Result<Runs>>,
}

impl Spilling {
    /// Makes runs of what comes in, within so many bytes of memory.
    pub(super) fn start(runs: Runs, memory: usize) -> Self {
        let (full, mut arenas) = mpsc::channel::<Arena>(1);
        let writing = tokio::task::spawn_blocking(move || {
            let mut runs = runs;
            while let Some(arena) = arenas.blocking_recv() {
                runs.add(arena)?;
            }
            Ok(runs)
        });
        let enough = memory / PIECES;
        let filling = Filling { arena: Mutex::new(Arena::with_room(enough)), enough, full };
        Self { filling: Arc::new(filling), writing }
    }

    /// The runs, with all that has come in.
    pub(super) async fn finish(self) -> io::Result<Runs> {
        let rest = mem::take(&mut *self.filling.arena.lock().await);
        if !rest.is_empty() {
            // Who receives is gone when it has failed, and says so below.
            let _ = self.filling.full.send(rest).await;
        }
        drop(self.filling);
        self.writing.await.map_err(io::Error::other)?
    }
}

impl Filling {
    /// Waits while runs are made more slowly than rows come in.
    async fn add(&self, rows: &[Placed]) -> Result<(), Unapplied> {
        let mut arena = self.arena.lock().await;
        for row in rows {
            arena.push(row);
            if arena.size() >= self.enough {
                let gone = |_| Unapplied::Delayed("the runs cannot be written".to_owned());
                // Nothing is lost when it is given up while it waits for room: what is there stays, and all of it is read again.
                let room = self.full.reserve().await.map_err(gone)?;
                room.send(mem::replace(&mut arena, Arena::with_room(self.enough)));
            }
        }
        Ok(())
    }
}

impl Handler for Spill {
    type Event = Placed;

    fn name(&self) -> &'static str {
        Handler::name(&self.of)
    }

    fn generation(&self) -> i32 {
        self.of.generation()
    }

    fn topics(&self) -> &'static [Topic] {
        self.of.topics()
    }

    fn parking(&self) -> Parking {
        self.of.parking()
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<Placed>, Undecodable> {
        let row = self.of.read(delivery)?;
        Ok(Some(Placed { row, partition: delivery.partition, offset: delivery.offset }))
    }

    async fn apply(&self, transaction: &Transaction<'_>, events: &[Placed]) -> Result<(), Unapplied> {
        self.of.hold(transaction).await?;
        self.filling.add(events).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{projection::Row, rebuild::runs::Origin};

    /// Given fifty times as many rows as there is memory for, when they come in batches that are larger than it, then no piece
    /// grows beyond its share, runs are merged as they become many, and each id's last version comes out.
    #[tokio::test]
    async fn what_exceeds_the_memory_goes_to_disk_piece_by_piece() {
        const MEMORY: usize = 96 << 10;
        const IDS: usize = 1_000;
        const VERSIONS: i64 = 45;
        let directory = tempfile::tempdir().unwrap();
        let runs = Runs::begin(directory.path(), &Origin { table: 7, topic: "a".into() }).unwrap();
        let spilling = Spilling::start(runs, MEMORY);
        let row = |version, number| Row::of_text(version, &[&format!("id-{number:04}"), &"x".repeat(90)]);
        for version in 1..=VERSIONS {
            let offset = |number: usize| version * 1_000 + i64::try_from(number).unwrap();
            let placed = |number| Placed { row: row(version, number), partition: 0, offset: offset(number) };
            let batch: Vec<_> = (0..IDS).map(placed).collect();
            spilling.filling.add(&batch).await.unwrap();
            let held = spilling.filling.arena.lock().await.capacity();
            assert!(held < MEMORY / PIECES * 3 / 2, "{held} bytes");
        }
        let runs = spilling.finish().await.unwrap();
        let of_one_piece: Vec<_> = runs.sizes().filter(|(level, _)| *level == 0).map(|(_, bytes)| bytes).collect();
        assert!(of_one_piece.iter().all(|bytes| *bytes <= u64::try_from(MEMORY / PIECES).unwrap()), "{of_one_piece:?}");
        assert!(runs.sizes().any(|(level, _)| level > 0), "many have become one");
        assert!(runs.sizes().count() < 128, "few are open at once");
        let mut merge = runs.merge().unwrap();
        let versions: Vec<_> = std::iter::from_fn(|| merge.next().unwrap()).map(|record| record.version).collect();
        assert_eq!(versions, vec![VERSIONS; IDS]);
    }
}
