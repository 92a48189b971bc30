//! What surrounds the pure core of a context: its database, its clock, and word of what its reactors have applied.

use std::{sync::Arc, time::Duration};

use deadpool_postgres::Pool;
use inbox::Applied;

use crate::{
    clock::Clock,
    context::{Context, Surroundings},
    idempotency::Answers,
};

/// The state that a context's routes share.
#[derive(Clone)]
pub(crate) struct Shell {
    /// The context.
    pub(crate) context: &'static Context,
    /// Connections in the context's role.
    pub(crate) pool: Pool,
    /// What its commands have answered.
    pub(crate) answers: Arc<Answers>,
    /// Where the time of a command comes from.
    pub(crate) clock: Clock,
    /// Rings when one of the context's reactors has committed.
    pub(crate) applied: Applied,
    /// How long a command waits for that.
    pub(crate) read_after_timeout: Duration,
    /// What is around the context.
    pub(crate) surroundings: Arc<Surroundings>,
}
