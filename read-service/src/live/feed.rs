//! A feed: what all who have subscribed to the same thing are told.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use telemetry::backoff::Backoff;
use tokio::sync::{Notify, Semaphore, watch};

use super::{
    Kind,
    budget::Budget,
    log::{Log, Subscription, errors, no_memory},
};
use crate::graphql::{Code, Error, Live, Seen};

/// What is followed.
pub(crate) type Watched = (Kind, String);

/// Looks at the views.
pub(crate) type Look = Live;

/// One subscription, for all who share it.
pub(super) struct Feed {
    pub(super) look: Look,
    log: watch::Sender<Log>,
    changed: Notify,
    /// How many looks have begun.
    begun: AtomicU64,
    /// The number of the last look of which all is told.
    looks: watch::Sender<u64>,
}

impl Feed {
    /// A feed that has a follower.
    pub(super) fn new(look: Look, budget: &Budget) -> Result<(Arc<Self>, Subscription), Error> {
        let mut share = budget.share();
        if !share.take(look.size()) {
            return Err(no_memory());
        }
        let log = watch::Sender::new(Log::new(look.is_list(), share));
        let (begun, looks) = (AtomicU64::new(0), watch::Sender::new(0));
        let subscription = Subscription::new(log.subscribe(), looks.subscribe(), 1);
        Ok((Arc::new(Self { look, log, changed: Notify::new(), begun, looks }), subscription))
    }

    /// Something that it follows may have changed: it looks again, once, however often it is told so meanwhile.
    pub(super) fn look_again(&self) {
        self.changed.notify_one();
    }

    /// One more follower, unless it has ended. It looks again for it: a change may be seen before it is heard of, and what was
    /// told before may be older than what the follower knows.
    pub(super) fn subscribe(&self) -> Option<Subscription> {
        let log = self.log.subscribe();
        if log.borrow().has_ended() {
            return None;
        }
        let begun = self.begun.load(Ordering::Relaxed);
        if begun > 0 {
            self.look_again();
        }
        Some(Subscription::new(log, self.looks.subscribe(), begun + 1))
    }

    /// Tells until nobody listens any more, or it cannot be told. `places` bounds how many look at once.
    pub(super) async fn run(self: Arc<Self>, places: Arc<Semaphore>) -> Arc<Self> {
        let follow = async {
            let (mut backoff, mut known) = (Backoff::for_connecting(), None);
            loop {
                let Ok(place) = places.acquire().await else { return };
                let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
                let seen = self.look.look().await;
                drop(place);
                match seen {
                    Ok(seen) => {
                        backoff.reset();
                        if let Err(error) = self.tell(seen, &mut known) {
                            return self.fail(error);
                        }
                        self.looks.send_replace(number);
                        self.changed.notified().await;
                    }
                    Err(error) if matches!(error.code, Code::Unavailable | Code::Timeout) => {
                        tokio::time::sleep(backoff.next_wait()).await;
                    }
                    Err(error) => return self.fail(error),
                }
            }
        };
        tokio::select! {
            () = self.left() => {}
            () = follow => {}
        }
        self
    }

    /// Until nobody follows it. It has ended then: whoever comes after that follows another.
    async fn left(&self) {
        let mut is_left = false;
        while !is_left {
            self.log.closed().await;
            self.log.send_if_modified(|log| {
                is_left = self.log.receiver_count() == 0;
                if is_left {
                    log.end();
                }
                false
            });
        }
    }

    fn fail(&self, error: Error) {
        self.log.send_modify(|log| log.fail(errors(error)));
        self.looks.send_replace(u64::MAX);
    }

    /// Tells what is new. `known` is what was seen at the last look, if there was one.
    fn tell(&self, seen: Seen, known: &mut Option<HashSet<String>>) -> Result<(), Error> {
        let mut told = Ok(());
        match seen {
            Seen::State(state) => {
                let state = whole(state);
                self.log.send_if_modified(|log| {
                    let is_new = log.last() != Some(&state);
                    if is_new {
                        told = log.push(state);
                    }
                    is_new
                });
            }
            Seen::List { items, is_full } => {
                let ids: HashSet<_> = items.iter().map(|(id, _)| id.clone()).collect();
                if is_full && known.as_ref().is_some_and(|known| known.is_disjoint(&ids)) {
                    let message = "more events came at once than are looked at; subscribe again";
                    return Err(Error::new(Code::Timeout, message));
                }
                // What is not looked at any more does not come back: it was the oldest.
                let known = known.replace(ids).unwrap_or_default();
                let new: Vec<_> = items.into_iter().filter(|(id, _)| !known.contains(id)).collect();
                if !new.is_empty() {
                    self.log.send_modify(|log| {
                        told = new.into_iter().try_for_each(|(_, item)| log.push(whole(item)));
                    });
                }
            }
        }
        told
    }
}

/// As it is kept: without the room that was left for more.
fn whole(text: Vec<u8>) -> Bytes {
    text.into_boxed_slice().into()
}
