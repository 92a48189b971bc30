//! An intake that shares its work with nobody: every partition is its own, no group is joined. So a rebuild reads, which has to
//! know when it has read all that there is.
//!
//! Everything else is as in a group: where each partition goes on, what is set aside, offsets that move with the effects.

use telemetry::CancellationToken;
use tokio::sync::watch;

use crate::{Applied, Halt, Handler, Intake, intake};

/// How far an intake that works alone has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// How many offsets are still ahead, as far as is known; none before it has begun.
    pub ahead: Option<u64>,
    /// Every partition has been read to its end, at least once since the start, and all of that is applied. That holds
    /// whatever the last offsets are: what was compacted away, and the markers of transactions, come to nobody.
    pub to_the_end: bool,
}

/// Which of a topic's partitions an intake that works alone reads: several that divide them are as fast as there are cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which share, from 0.
    pub number: i32,
    /// How many there are.
    pub of: i32,
}

impl Share {
    pub(crate) fn has(self, partition: i32) -> bool {
        partition % self.of == self.number
    }
}

/// Runs a handler, of one topic, until the token is cancelled, as [`crate::run`] does, but alone. `reached` is told after each
/// commit.
///
/// Nobody else may fill the same share of the generation: whoever is overtaken only begins again.
///
/// # Errors
/// When going on would lose or repeat an effect.
pub fn run_alone<H: Handler>(
    handler: H,
    intake: Intake,
    share: Share,
    reached: watch::Sender<Reached>,
    shutdown: CancellationToken,
) -> impl Future<Output = Result<(), Halt>> + Send {
    intake::start(handler, intake, Applied::new(), Some((share, reached)), shutdown)
}
