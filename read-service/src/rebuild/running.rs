//! The intake of the generation that a rebuild fills, under way.

use std::time::Duration;

use inbox::{Halt, Handler, Intake, Reached, Share, run_alone};
use telemetry::{CancellationToken, health::Health};
use tokio::{sync::watch, task::JoinSet};

use super::Error;

/// How often it is looked how far it is.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// An intake under way.
pub(super) struct Running {
    shares: Vec<Part>,
    /// Ends it.
    pub(super) stop: CancellationToken,
    tasks: JoinSet<Result<(), Halt>>,
}

/// What is known of a share.
struct Part {
    health: Health,
    reached: watch::Receiver<Reached>,
}

impl Running {
    /// Starts it, divided among these handlers.
    pub(super) fn start<H: Handler>(handlers: Vec<(H, Intake)>) -> Self {
        let of = i32::try_from(handlers.len()).unwrap_or(i32::MAX);
        let mut running = Self { shares: Vec::new(), stop: CancellationToken::new(), tasks: JoinSet::new() };
        for ((handler, intake), number) in handlers.into_iter().zip(0..of) {
            let (tell, reached) = watch::channel(Reached::default());
            running.shares.push(Part { health: intake.health.clone(), reached });
            running.tasks.spawn(run_alone(handler, intake, Share { number, of }, tell, running.stop.clone()));
        }
        running
    }

    /// How far it is, a moment later, or as soon as it is at the end.
    pub(super) async fn look(&mut self, shutdown: &CancellationToken) -> Result<Reached, Error> {
        let at_the_end = async {
            for share in &mut self.shares {
                if share.reached.wait_for(|reached| reached.to_the_end).await.is_err() {
                    // It has ended.
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Err(Error::Stopped),
            Some(ended) = self.tasks.join_next() => {
                let halt = ended.map_or(Err(Halt::Crashed), |ended| ended).err();
                return Err(halt.map_or(Error::Stopped, Error::Halted));
            }
            () = at_the_end => {}
            () = tokio::time::sleep(LOOK) => {}
        }
        // Of its states, the one that does not end by itself.
        let states = self.shares.iter().flat_map(|share| share.health.report().parts.into_values());
        let mut reasons = states.filter(|state| !state.ready).filter_map(|state| state.reason);
        if let Some(reason) = reasons.find(|reason| reason.starts_with("standing still")) {
            return Err(Error::Parked(reason));
        }
        let reached = || self.shares.iter().map(|share| *share.reached.borrow());
        Ok(Reached {
            ahead: reached().map(|reached| reached.ahead).sum(),
            to_the_end: reached().all(|reached| reached.to_the_end),
        })
    }

    /// Ends it, once what it has under way is written.
    pub(super) async fn end(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}
