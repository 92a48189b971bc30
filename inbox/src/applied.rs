//! Telling those who wait that something was applied.

use std::time::Duration;

use tokio::{sync::watch, time::Instant};

use crate::behind::{Behind, Intakes};

/// Rings after each commit of an intake in this process. Cheap to clone; all clones share it.
#[derive(Clone)]
pub struct Applied {
    commits: watch::Sender<u64>,
    pub(crate) intakes: Intakes,
    /// How often a condition is looked at again without a ring: another process may have applied what is awaited.
    look_again: Duration,
}

/// What was found at a look, and whether it may still change by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<T> {
    /// It may.
    NotYet(T),
    /// It does not.
    Final(T),
}

/// Rings after each commit.
pub struct Bell(watch::Receiver<u64>);

impl Bell {
    /// From now on it rings anew. Before looking for what there is to do, so that a commit while looking is not missed.
    pub fn listen(&mut self) {
        self.0.mark_unchanged();
    }

    /// Waits until it has rung.
    pub async fn rung(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Default for Applied {
    fn default() -> Self {
        Self { commits: watch::Sender::new(0), intakes: Intakes::default(), look_again: Duration::from_millis(100) }
    }
}

impl Applied {
    /// Nothing applied yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A ring of its own, for some of the same process's intakes.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self { intakes: self.intakes.clone(), ..Self::default() }
    }

    /// Wakes all who wait.
    pub fn ring(&self) {
        self.commits.send_modify(|commits| *commits = commits.wrapping_add(1));
    }

    /// How far behind each of those intakes is that has partitions at the moment.
    pub fn behind(&self) -> Vec<Behind> {
        self.intakes.behind()
    }

    /// For who does something after each commit.
    pub fn bell(&self) -> Bell {
        Bell(self.commits.subscribe())
    }

    /// Waits until `condition` holds, looking at it at once and after each commit. `false` when it does not hold by the
    /// deadline.
    ///
    /// # Errors
    /// The condition's own.
    pub async fn wait_until<E, F>(&self, deadline: Instant, condition: impl Fn() -> F) -> Result<bool, E>
    where
        F: Future<Output = Result<bool, E>>,
    {
        let look = || async { Ok(if condition().await? { Seen::Final(true) } else { Seen::NotYet(false) }) };
        self.look_until(deadline, look).await
    }

    /// Looks at once and after each commit, until what is found is final or the deadline has come: what was found last.
    ///
    /// # Errors
    /// The look's own.
    pub async fn look_until<T, E, F>(&self, deadline: Instant, look: impl Fn() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<Seen<T>, E>>,
    {
        let mut commits = self.commits.subscribe();
        loop {
            // Marked as seen before looking, so that a commit while looking is not missed.
            commits.mark_unchanged();
            let found = match look().await? {
                Seen::Final(found) => return Ok(found),
                Seen::NotYet(found) => found,
            };
            if Instant::now() >= deadline {
                return Ok(found);
            }
            // The sender lives in self, so changed() cannot fail; and a time-out just means to look again.
            let _ = tokio::time::timeout_at(deadline.min(Instant::now() + self.look_again), commits.changed()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::Cell, convert::Infallible};

    fn only_rings() -> Applied {
        Applied { look_again: Duration::from_secs(3600), ..Applied::new() }
    }

    #[tokio::test]
    async fn a_commit_wakes_those_who_wait() {
        let (applied, done) = (only_rings(), Cell::new(false));
        let deadline = Instant::now() + Duration::from_secs(3600);
        let wait = applied.wait_until(deadline, async || Ok::<_, Infallible>(done.get()));
        let commit = async {
            tokio::task::yield_now().await;
            done.set(true);
            applied.ring();
        };
        assert_eq!(tokio::join!(wait, commit).0, Ok(true));
    }

    #[tokio::test]
    async fn the_wait_ends_at_the_deadline() {
        let deadline = Instant::now() + Duration::from_millis(20);
        assert_eq!(only_rings().wait_until(deadline, async || Ok::<_, Infallible>(false)).await, Ok(false));
        assert!(Instant::now() >= deadline);
    }

    #[tokio::test]
    async fn what_another_process_applied_is_seen_without_a_ring() {
        let (looks, deadline) = (Cell::new(0), Instant::now() + Duration::from_secs(3600));
        let applied = Applied { look_again: Duration::from_millis(1), ..Applied::new() };
        let condition = async || {
            looks.set(looks.get() + 1);
            Ok::<_, Infallible>(looks.get() == 3)
        };
        assert_eq!(applied.wait_until(deadline, condition).await, Ok(true));
    }
}
