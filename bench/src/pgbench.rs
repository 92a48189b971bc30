//! The floor: pgbench with the statements that a service sends, prepared, on as many connections.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use servers::Postgres;
use tokio::process::Command;

use crate::round::Round;

/// Where pgbench works, and as whom.
pub(crate) struct Pgbench<'a> {
    pub(crate) postgres: &'a Postgres,
    pub(crate) url: String,
    pub(crate) role: &'static str,
}

impl Pgbench<'_> {
    /// Runs a script for so long on so many connections.
    pub(crate) async fn run(&self, script: &str, connections: u32, duration: Duration) -> Result<Round> {
        let folder = std::env::temp_dir().join(format!("waybill-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).context("cannot make a folder for pgbench")?;
        let done = self.run_in(&folder, script, connections, duration).await;
        std::fs::remove_dir_all(&folder).ok();
        done
    }

    async fn run_in(&self, folder: &Path, script: &str, connections: u32, duration: Duration) -> Result<Round> {
        let file = folder.join("script.sql");
        std::fs::write(&file, script).context("cannot write pgbench's script")?;
        let seconds = duration.as_secs().max(1).to_string();
        let (connections, prefix) = (connections.to_string(), folder.join("log"));
        let mut pgbench = Command::new(self.postgres.program("pgbench"));
        pgbench
            .args([
                "--no-vacuum",
                "--protocol=prepared",
                "--jobs=2",
                "--log",
                "--client",
                &connections,
                "--time",
                &seconds,
            ])
            .arg("--log-prefix")
            .arg(&prefix)
            .arg("--file")
            .arg(&file)
            .arg(&self.url)
            .env("PGOPTIONS", format!("-c role={}", self.role))
            .stdin(Stdio::null());
        let output = pgbench.output().await.context("cannot run pgbench")?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "pgbench failed: {said}{}", String::from_utf8_lossy(&output.stderr));
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        Ok(Round { rate: rate.context("pgbench tells no rate")?, latencies: latencies(folder)? })
    }
}

/// What each transaction took, in milliseconds: the third column of pgbench's logs, in microseconds.
fn latencies(folder: &Path) -> Result<Vec<f64>> {
    let mut latencies = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("log.") {
            let text = std::fs::read_to_string(entry.path())?;
            let column = |line: &str| line.split(' ').nth(2)?.parse::<f64>().ok();
            latencies.extend(text.lines().filter_map(column).map(|micros| micros / 1000.0));
        }
    }
    Ok(latencies)
}
