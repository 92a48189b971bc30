//! What surrounds the pure core of a context: its database, its clock, and word of what its reactors have applied.

use std::time::Duration;

use deadpool_postgres::Pool;
use inbox::Applied;

use crate::clock::Clock;

/// The state that a context's routes share.
#[derive(Clone)]
pub(crate) struct Shell {
    /// Connections in the context's role.
    pub(crate) pool: Pool,
    /// Where the time of a command comes from.
    pub(crate) clock: Clock,
    /// Rings when one of the context's reactors has committed.
    pub(crate) applied: Applied,
    /// How long a command waits for that.
    pub(crate) read_after_timeout: Duration,
}
