//! `aggregator-site`: parses its settings, wires, runs.

use std::{net::SocketAddr, process::ExitCode};

use aggregator_site::settings::ServeArgs;
use anyhow::Context as _;
use clap::Parser;
use telemetry::{
    logs::{self, LogArgs},
    settings, shutdown,
};
use tokio::net::TcpListener;

const EXAMPLES: &str = "\
What the hotel tells it:
  curl -X PUT localhost:8091/availability/double --json '{\"nights\": [{\"night\": \"2026-03-01\", \"available\": 3, \"revision\": 1}]}'
  curl -X PUT localhost:8091/bookings/XY-1 --json '{\"status\": \"ACCEPTED\", \"bookingId\": \"1\", \"revision\": 2}'

What it was told, in order, and what it goes by now:
  curl localhost:8091/v1/ledger

Misbehave, for the next three requests (without `times`: until told otherwise):
  curl -X PUT localhost:8091/v1/behaviour --json '{\"mode\": \"fail\", \"times\": 3}'
  normal              everything works
  fail                503, and it is not kept
  refuse              422, and it is not kept
  hang                no answer, and it is not kept
  drop-before-commit  the connection is closed without an answer, and it is not kept
  drop-after-commit   it is kept, then the connection is closed without an answer";

/// A site that sells the hotel's rooms: a stand-in for tests and demos. It remembers, in memory, what it is told, and misbehaves
/// when told to.
#[derive(Parser)]
#[command(version, after_long_help = EXAMPLES)]
struct Line {
    #[command(flatten)]
    args: ServeArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Line::parse().args;
    let log_args = args.logs.clone();
    let ended = match args.check() {
        Ok(listen) => run(listen, &log_args).await,
        Err(problems) => return settings::refuse(&problems),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(listen: SocketAddr, log_args: &LogArgs) -> anyhow::Result<()> {
    let _guard = logs::init("aggregator-site", log_args).map_err(anyhow::Error::from_boxed)?;
    let shutdown = shutdown::on_signal()?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    Ok(aggregator_site::serve(listener, shutdown).await?)
}
