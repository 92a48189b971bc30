//! What PostgreSQL alone can do: `pg_recvlogical`, which reads a slot and throws everything away.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use super::stage::{PUBLICATION, Stage};
use crate::process;

/// What one run took.
pub(super) struct Floor {
    /// From the start of the process to its end.
    pub(super) elapsed: Duration,
    /// What the server's process for it has used, as last seen before it ended.
    pub(super) walsender: Duration,
}

/// Reads a slot up to `end`.
pub(super) async fn run(stage: &Stage, slot: &str, end: &str) -> Result<Floor> {
    let url = stage.url();
    let publication = format!("publication_names={PUBLICATION}");
    let mut command = Command::new(stage.postgres.program("pg_recvlogical"));
    command
        .args(["-d", &url, "-S", slot, "--start", "--no-loop", "-f", "/dev/null", "-E", end])
        .args(["-o", "proto_version=1", "-o", &publication])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let start = Instant::now();
    let mut child = command.spawn().context("cannot start pg_recvlogical")?;
    let mut walsender = Duration::ZERO;
    let watch = async {
        let mut pid = None;
        loop {
            match pid {
                None => pid = stage.walsender(slot).await.ok().flatten(),
                Some(pid) => walsender = process::cpu(pid).unwrap_or(walsender),
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let status = tokio::select! {
        status = child.wait() => status?,
        () = watch => bail!("a watch without end has ended"),
    };
    if !status.success() {
        bail!("pg_recvlogical ended with {status}");
    }
    Ok(Floor { elapsed: start.elapsed(), walsender })
}
