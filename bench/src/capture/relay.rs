//! The relays that are measured, each run as a process of its own.

use std::time::Duration;

use anyhow::{Result, bail};
use servers::Process;

use super::{
    peer,
    stage::{Stage, Target},
};
use crate::peer::{Peer, Worker};

/// Under which name our relay's memory is noted.
pub(super) const OURS: &str = "cdc-capture";
const END: Duration = Duration::from_secs(30);

/// Which relay, and how it is set.
#[derive(Clone, Copy, Debug)]
pub(super) enum Program {
    /// `cdc-capture run` with further flags.
    Ours(&'static [&'static str]),
    /// Another one.
    Peer(Peer),
}

impl Program {
    /// All defaults.
    pub(super) const OURS: Self = Self::Ours(&[]);
    /// By Kafka's transactions.
    pub(super) const OURS_TRANSACTIONAL: Self = Self::Ours(&["--delivery", "transactional"]);

    /// For progress.
    pub(super) fn name(self) -> String {
        match self {
            Self::Ours(flags) => [&[OURS], flags].concat().join(" "),
            Self::Peer(peer) => peer.name().to_owned(),
        }
    }

    /// Under which name its memory is noted; a transactional relay counts as ours.
    fn noted(self) -> &'static str {
        match self {
            Self::Ours(_) => OURS,
            Self::Peer(peer) => peer.name(),
        }
    }
}

/// A running relay. Dropping it kills it.
pub(super) struct Relay {
    program: Program,
    process: Running,
}

enum Running {
    Ours(Process),
    Peer(Worker),
}

impl Relay {
    pub(super) fn start(program: Program, stage: &Stage, slot: &str, target: &Target) -> Result<Self> {
        let process = match program {
            Program::Ours(flags) => {
                let (url, bootstrap) = (stage.url(), stage.kafka.bootstrap_servers());
                let args = ["run", "--admin-listen", "127.0.0.1:0", "--database-url", &url, "--slot", slot];
                let kafka = ["--kafka-bootstrap-servers", &bootstrap, "--topic-prefix", &target.prefix];
                Running::Ours(Process::spawn(OURS, args.iter().chain(&kafka).chain(flags), &[])?)
            }
            Program::Peer(peer) => Running::Peer(peer::start(peer, stage, slot, target)?),
        };
        Ok(Self { program, process })
    }

    pub(super) fn pid(&self) -> u32 {
        match &self.process {
            Running::Ours(process) => process.pid(),
            Running::Peer(worker) => worker.pid(),
        }
    }

    /// The end of what it has written, for an error's message.
    pub(super) fn log(&self) -> String {
        match &self.process {
            Running::Ours(process) => process.log(),
            Running::Peer(worker) => worker.log(),
        }
    }

    /// Notes how much memory it has needed and ends it in good order.
    pub(super) async fn stop(self, stage: &Stage) -> Result<()> {
        if let Some(mib) = crate::process::peak_mib(self.pid()) {
            stage.note_peak(self.program.noted(), mib);
        }
        match self.process {
            Running::Ours(process) => {
                let status = process.terminate(END).await?;
                if !status.success() {
                    bail!("cdc-capture ended with {status}; its log:\n{}", process.log());
                }
                Ok(())
            }
            Running::Peer(worker) => worker.stop().await,
        }
    }
}
