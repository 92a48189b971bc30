//! The hub: who follows what. One task owns all of it; whoever wants something of it sends a message.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use telemetry::CancellationToken;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
};

use super::{
    Watched,
    budget::Budget,
    change::Notification,
    feed::{Feed, Look},
    log::Subscription,
    metrics::Meters,
};
use crate::graphql::{Code, Error};

/// How many different things may be followed at once.
const MOST_FEEDS: usize = 20_000;

/// How many feeds look at the same time: a few for each connection, so that queries are not kept waiting for long.
const LOOKING: usize = 24;

/// How many messages wait for the hub; more wait where they come from.
const WAITING: usize = 1_024;

/// What the hub is told.
enum Message {
    Subscribe(Box<Look>, oneshot::Sender<Result<Subscription, Error>>),
    Changed(Notification),
    /// Nobody knows what has changed.
    LookAgain,
}

/// The hub, to those who subscribe. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    messages: mpsc::Sender<Message>,
}

/// The hub itself, to be run.
pub struct Running {
    messages: mpsc::Receiver<Message>,
    budget: Budget,
    meters: Meters,
}

impl Hub {
    /// A hub whose feeds keep at most so many bytes, and what has to run so that it does something.
    pub fn new(memory: usize, meters: Meters) -> (Self, Running) {
        let (messages, received) = mpsc::channel(WAITING);
        let budget = Budget::new(memory, meters.bytes());
        (Self { messages }, Running { messages: received, budget, meters })
    }

    /// Follows something.
    ///
    /// # Errors
    /// When too much is followed already, or the service is shutting down.
    pub(crate) async fn subscribe(&self, look: Look) -> Result<Subscription, Error> {
        let (reply, answer) = oneshot::channel();
        let gone = || Error::new(Code::Unavailable, "the service is shutting down");
        self.messages.send(Message::Subscribe(Box::new(look), reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    pub(super) async fn changed(&self, notification: Notification) {
        let _ = self.messages.send(Message::Changed(notification)).await;
    }

    /// Has every feed look again.
    pub(super) async fn look_again(&self) {
        let _ = self.messages.send(Message::LookAgain).await;
    }
}

#[derive(Default)]
struct Feeds {
    by_key: HashMap<[u8; 32], Arc<Feed>>,
    /// Who follows what, by their keys.
    followers: HashMap<Watched, HashSet<[u8; 32]>>,
}

impl Running {
    /// Runs until it is told to stop; who has subscribed is told no more then.
    pub async fn run(mut self, stop: CancellationToken) {
        let (mut feeds, mut tasks) = (Feeds::default(), JoinSet::new());
        let places = Arc::new(Semaphore::new(LOOKING));
        loop {
            let message = tokio::select! {
                () = stop.cancelled() => return,
                Some(ended) = tasks.join_next() => {
                    if let Ok(feed) = ended {
                        feeds.remove(&feed);
                        self.meters.feeds(feeds.by_key.len());
                    }
                    continue;
                }
                message = self.messages.recv() => message,
            };
            match message {
                None => return,
                Some(Message::Subscribe(look, reply)) => {
                    let subscribed = feeds.subscribe(*look, &self.budget).map(|(subscription, new)| {
                        if let Some(feed) = new {
                            tasks.spawn(feed.run(Arc::clone(&places)));
                        }
                        subscription
                    });
                    self.meters.feeds(feeds.by_key.len());
                    let _ = reply.send(subscribed);
                }
                Some(Message::Changed(notification)) => feeds.changed(notification),
                Some(Message::LookAgain) => feeds.by_key.values().for_each(|feed| feed.look_again()),
            }
        }
    }
}

impl Feeds {
    /// A place in a feed, and the feed itself where it is new.
    fn subscribe(&mut self, look: Look, budget: &Budget) -> Result<(Subscription, Option<Arc<Feed>>), Error> {
        let key = *look.key();
        if let Some(subscription) = self.by_key.get(&key).and_then(|feed| feed.subscribe()) {
            return Ok((subscription, None));
        }
        if self.by_key.len() >= MOST_FEEDS {
            return Err(Error::new(Code::Unavailable, "too much is followed here already; try again"));
        }
        let (feed, subscription) = Feed::new(look, budget)?;
        for watched in feed.look.watched() {
            self.followers.entry(watched.clone()).or_default().insert(key);
        }
        self.by_key.insert(key, Arc::clone(&feed));
        Ok((subscription, Some(feed)))
    }

    fn remove(&mut self, feed: &Arc<Feed>) {
        let key = feed.look.key();
        // Another may have taken the place of one that has ended.
        if !self.by_key.get(key).is_some_and(|known| Arc::ptr_eq(known, feed)) {
            return;
        }
        self.by_key.remove(key);
        for watched in feed.look.watched() {
            if let Some(keys) = self.followers.get_mut(watched) {
                keys.remove(key);
                if keys.is_empty() {
                    self.followers.remove(watched);
                }
            }
        }
    }

    fn changed(&self, Notification { kind, ids, .. }: Notification) {
        let Some(kind) = kind else { return };
        let look_again = |keys: &HashSet<[u8; 32]>| {
            keys.iter().filter_map(|key| self.by_key.get(key)).for_each(|feed| feed.look_again());
        };
        match ids {
            Some(ids) => {
                ids.into_iter().filter_map(|id| self.followers.get(&(kind, id))).for_each(look_again);
            }
            None => self.followers.iter().filter(|((of, _), _)| *of == kind).for_each(|(_, keys)| look_again(keys)),
        }
    }
}
