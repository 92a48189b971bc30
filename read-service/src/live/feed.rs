//! A feed: what all who have subscribed to the same thing are told.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use telemetry::backoff::Backoff;
use tokio::sync::{Notify, Semaphore, watch};

use super::{
    Kind,
    log::{Log, Subscription, errors},
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
}

impl Feed {
    pub(super) fn new(look: Look) -> Arc<Self> {
        let log = watch::Sender::new(Log::new(look.is_list()));
        Arc::new(Self { look, log, changed: Notify::new() })
    }

    /// Something that it follows may have changed: it looks again, once, however often it is told so meanwhile.
    pub(super) fn look_again(&self) {
        self.changed.notify_one();
    }

    pub(super) fn subscribe(&self) -> Subscription {
        Subscription::new(self.log.subscribe())
    }

    /// Whether anybody follows it, and it can still be followed.
    pub(super) fn is_followed(&self) -> bool {
        self.log.receiver_count() > 0
    }

    pub(super) fn has_failed(&self) -> bool {
        self.log.borrow().has_failed()
    }

    /// Tells until nobody listens any more, or it cannot be told. `places` bounds how many look at once.
    pub(super) async fn run(self: Arc<Self>, places: Arc<Semaphore>) -> Arc<Self> {
        let follow = async {
            let (mut backoff, mut known) = (Backoff::for_connecting(), HashSet::new());
            loop {
                let seen = match places.acquire().await {
                    Ok(_place) => self.look.look().await,
                    Err(_) => return,
                };
                match seen {
                    Ok(seen) => {
                        backoff.reset();
                        if let Err(error) = self.tell(seen, &mut known) {
                            return self.log.send_modify(|log| log.fail(errors(error)));
                        }
                        self.changed.notified().await;
                    }
                    Err(error) if matches!(error.code, Code::Unavailable | Code::Timeout) => {
                        tokio::time::sleep(backoff.next_wait()).await;
                    }
                    Err(error) => return self.log.send_modify(|log| log.fail(errors(error))),
                }
            }
        };
        tokio::select! {
            () = self.log.closed() => {}
            () = follow => {}
        }
        self
    }

    /// Tells what is new.
    fn tell(&self, seen: Seen, known: &mut HashSet<String>) -> Result<(), Error> {
        match seen {
            Seen::State(state) => {
                let state = Bytes::from(state);
                self.log.send_if_modified(|log| {
                    let is_new = log.last() != Some(&state);
                    if is_new {
                        log.push(state);
                    }
                    is_new
                });
            }
            Seen::List { items, is_full } => {
                let ids: HashSet<_> = items.iter().map(|(id, _)| id.clone()).collect();
                if is_full && !known.is_empty() && known.is_disjoint(&ids) {
                    let message = "more events came at once than are looked at; subscribe again";
                    return Err(Error::new(Code::Timeout, message));
                }
                let new: Vec<_> = items.into_iter().filter(|(id, _)| !known.contains(id)).collect();
                // What is not looked at any more does not come back: it was the oldest.
                *known = ids;
                if !new.is_empty() {
                    self.log.send_modify(|log| new.into_iter().for_each(|(_, item)| log.push(item.into())));
                }
            }
        }
        Ok(())
    }
}
