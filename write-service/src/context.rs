//! What a context is to the service that runs it.

use std::{str::FromStr, sync::Arc, time::Duration};

use contracts::Topic;
use deadpool_postgres::Pool;
use futures::future::BoxFuture;
use inbox::{AnyHandler, Applied};
use refinery::Runner;
use reqwest::Url;
use telemetry::CancellationToken;

use crate::{outbox::restate::Aggregate, read_after::Copy, routes::Routes, third_party::metrics::QueueMeters};

/// A context: all that the service needs to know of it in order to run it.
pub struct Context {
    /// Its name, which is the first segment of its paths: `direct-booking`.
    pub name: &'static str,
    /// Its schema, and the role that owns nothing but may work there: `direct_booking`.
    pub schema: &'static str,
    /// The setting that gives it a database of its own.
    pub database_url: Setting,
    /// The topics that it publishes, which it creates where they are missing.
    pub topics: &'static [Topic],
    /// The topics on which commands may be sent to it, which it creates too.
    pub command_topics: &'static [Topic],
    /// Its tables.
    pub(crate) migrations: fn() -> Runner,
    /// Its routes, below its name.
    pub(crate) routes: fn() -> Routes,
    /// What it can tell again.
    pub(crate) aggregates: &'static [Aggregate],
    /// Its copies of other contexts' aggregates, for commands to wait for.
    pub(crate) copies: &'static [Copy],
    /// Its reactions to the events of other contexts.
    pub(crate) reactors: &'static [Reactor],
    /// What it does by itself, when it is due.
    pub(crate) workers: &'static [Worker],
}

/// What is around the contexts, of which some need one thing and some another.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where the third party is that charges cards.
    pub card_processor: Url,
    /// How long a payment waits for a card.
    pub card_wait: Duration,
    /// How Payments comes by the cards of accounts.
    pub card_details: CardDetails,
    /// How long a booking waits for its payment.
    pub booking_expiry: Duration,
}

/// How Payments comes by the cards of accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CardDetails {
    /// It keeps its own copy of them, and charges bookings as they are made.
    #[default]
    Cache,
    /// It keeps none: Accounts passes each booking on with its card.
    Pipeline,
}

/// The text is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected cache or pipeline")]
pub struct UnknownCardDetails;

impl FromStr for CardDetails {
    type Err = UnknownCardDetails;

    fn from_str(text: &str) -> Result<Self, UnknownCardDetails> {
        match text {
            "cache" => Ok(Self::Cache),
            "pipeline" => Ok(Self::Pipeline),
            _ => Err(UnknownCardDetails),
        }
    }
}

/// What a worker works with.
#[derive(Clone)]
pub(crate) struct Workshop {
    /// Connections in the context's role.
    pub(crate) pool: Pool,
    /// Rings when one of the context's reactors has committed.
    pub(crate) applied: Applied,
    pub(crate) surroundings: Arc<Surroundings>,
    /// For its queues to third parties.
    pub(crate) meters: QueueMeters,
}

/// A setting's two names.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The flag, without its dashes.
    pub flag: &'static str,
    /// The environment variable.
    pub variable: &'static str,
}

/// Makes a handler that works in the schema, where these surroundings want it.
pub(crate) type Reactor = fn(&Arc<Surroundings>, &str) -> Option<Box<dyn AnyHandler>>;

/// Works until the token is cancelled.
pub(crate) type Worker = fn(Workshop, CancellationToken) -> BoxFuture<'static, ()>;
