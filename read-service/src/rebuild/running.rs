//! The intake of the generation that a rebuild fills, under way.

use std::time::Duration;

use inbox::{Halt, Handler, Intake, Reached, run_alone};
use telemetry::{CancellationToken, health::Health};
use tokio::{sync::watch, task::JoinHandle};

use super::Error;

/// How often it is looked how far it is.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// An intake under way.
pub(super) struct Running {
    health: Health,
    reached: watch::Receiver<Reached>,
    /// Ends it.
    pub(super) stop: CancellationToken,
    task: JoinHandle<Result<(), Halt>>,
}

impl Running {
    /// Starts it by this handler.
    pub(super) fn start<H: Handler>(handler: H, intake: Intake) -> Self {
        let (health, stop) = (intake.health.clone(), CancellationToken::new());
        let (tell, reached) = watch::channel(Reached::default());
        let task = tokio::spawn(run_alone(handler, intake, tell, stop.clone()));
        Self { health, reached, stop, task }
    }

    /// How far it is, a moment later, or as soon as it is at the end.
    pub(super) async fn look(&mut self, shutdown: &CancellationToken) -> Result<Reached, Error> {
        let at_the_end = async {
            if self.reached.wait_for(|reached| reached.to_the_end).await.is_err() {
                // It has ended.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Err(Error::Stopped),
            ended = &mut self.task => {
                let halt = ended.map_or(Err(Halt::Crashed), |ended| ended).err();
                return Err(halt.map_or(Error::Stopped, Error::Halted));
            }
            () = at_the_end => {}
            () = tokio::time::sleep(LOOK) => {}
        }
        // Of its states, the one that does not end by itself.
        let standing = self
            .health
            .report()
            .parts
            .into_values()
            .find_map(|state| state.reason.filter(|reason| !state.ready && reason.starts_with("standing still")));
        standing.map_or_else(|| Ok(*self.reached.borrow()), |reason| Err(Error::Parked(reason)))
    }

    /// Ends it, once what it has under way is written.
    pub(super) async fn end(self) {
        self.stop.cancel();
        if !self.task.is_finished() {
            let _ = self.task.await;
        }
    }
}
