//! `resync`: the same by hand, also for a slot that could be streamed, as after a topic was lost.

use std::time::Duration;

use telemetry::{CancellationToken, settings::Problems};

use super::{Done, Error, Resync};
use crate::{
    publisher::LONGEST_DELIVERY,
    replication::{self, Endpoint},
    settings::RunArgs,
};

/// How long the cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The flags of `resync`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Really do it.
    #[arg(long)]
    yes: bool,

    /// Go on although events may be missing that neither Kafka nor the tables have.
    #[arg(long)]
    accept_gaps: bool,

    #[command(flatten)]
    run: RunArgs,
}

/// What is to be replaced, and how far that may go.
pub struct Settings {
    /// The relay's.
    pub capture: crate::Settings,
    /// It is confirmed.
    pub confirmed: bool,
    /// Events may be missing that nobody has.
    pub accept_gaps: bool,
}

impl Args {
    /// Checks all flags.
    ///
    /// # Errors
    /// All problems at once.
    pub fn check(self) -> Result<Settings, Problems> {
        let capture = self.run.check()?.capture;
        Ok(Settings { capture, confirmed: self.yes, accept_gaps: self.accept_gaps })
    }
}

/// Replaces the slot, whatever its state, unless somebody reads it. `tell` hears every few seconds how far it is.
///
/// # Errors
/// When it was not done. It can be repeated.
pub async fn resync(
    settings: &Settings,
    tell: &(dyn Fn(&str) + Send + Sync),
    shutdown: &CancellationToken,
) -> Result<Done, Error> {
    if !settings.confirmed {
        return Err(Error::Unconfirmed);
    }
    let capture = &settings.capture;
    let endpoints = Endpoint::all(&capture.database);
    let endpoints = endpoints.map_err(|error| replication::Error::Unavailable(error.to_string()))?;
    let publisher = capture.publisher(capture.linger, LONGEST_DELIVERY, None);
    let publisher = publisher.map_err(|error| Error::Kafka(error.to_string()))?;
    if let Err(trouble) = publisher.reach(PATIENCE).await {
        publisher.discard().await;
        return Err(Error::Kafka(trouble));
    }
    let accept_gaps = settings.accept_gaps;
    let resync = Resync { settings: capture, endpoints: &endpoints, even_if_free: true, accept_gaps, tell };
    resync.run(publisher, shutdown).await
}
