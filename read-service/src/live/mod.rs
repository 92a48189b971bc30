//! Telling those who have subscribed what has changed, from the moment of its commit, whichever instance applied it.
//!
//! ```text
//! change     what a batch has changed -> NOTIFY, right after its commit
//! commits    who waits until something is visible is woken
//! listener   LISTEN on a connection of its own -> the hub; after a reconnect everything is looked at again
//! hub        who follows what: those who ask the same thing share one feed
//! feed       one subscription's look at the views: after a change, one query; its answer is written once, for all
//! log        what a feed has told, bounded; each subscriber has a place in it and no queue of its own
//! budget     the memory that all feeds share
//! ```
//!
//! A feed's queries come one after the other, and whoever subscribes waits for one that begins after that, so that no subscriber
//! sees a version go back; what changes, and who comes, while one is under way makes one more, not many.

mod budget;
mod change;
mod commits;
mod feed;
mod hub;
mod listener;
mod log;
mod metrics;

use std::{sync::Arc, time::Duration};

use telemetry::CancellationToken;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use crate::graphql::Code;

pub use change::{Change, Kind};
pub(crate) use change::{notify, tell};
pub use commits::Commits;
pub(crate) use feed::Watched;
pub use hub::Hub;
pub use listener::Listener;
pub use log::{Subscription, Told};
pub use metrics::Meters;

/// What subscribers may take.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many connections may be open for subscriptions at once, websockets and event streams.
    pub connections: usize,
    /// From which origins a browser's page may open a websocket, beside this service's own: `https://console.example.org`.
    pub origins: Vec<String>,
    /// How long a websocket may be open before it says who asks.
    pub init_timeout: Duration,
    /// How long a websocket's client may take to receive one message.
    pub send_timeout: Duration,
    /// What may be kept of all that is followed, in bytes.
    pub memory: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 10_000,
            origins: Vec::new(),
            init_timeout: Duration::from_secs(10),
            send_timeout: Duration::from_secs(10),
            memory: 256 * 1024 * 1024,
        }
    }
}

/// The connections of subscribers, whatever their transport. Cheap to clone; all clones share it.
#[derive(Clone)]
pub struct Subscribers {
    /// Where they subscribe.
    pub hub: Hub,
    /// What they may take.
    pub options: Arc<Options>,
    /// Cancelled when they are to be sent away.
    pub shutdown: CancellationToken,
    /// Those that are there.
    pub tasks: TaskTracker,
    places: Arc<Semaphore>,
    meters: Meters,
}

/// A connection's place.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    _open: metrics::Open,
}

impl Subscribers {
    /// Nobody yet.
    pub fn new(hub: Hub, options: Options, meters: Meters, shutdown: CancellationToken) -> Self {
        let places = Arc::new(Semaphore::new(options.connections));
        Self { hub, options: Arc::new(options), shutdown, tasks: TaskTracker::new(), places, meters }
    }

    /// A place for one more connection, if there is one.
    pub(crate) fn place(&self) -> Option<Place> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Place { _permit: permit, _open: self.meters.connection() })
    }

    /// Counts a subscription that has begun, or was refused with this code.
    pub(crate) fn begun(&self, refused: Option<Code>) {
        self.meters.begun(refused);
    }

    /// Waits until they are gone, once they have been sent away.
    pub async fn gone(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
