//! `card-processor`: parses its settings, wires, runs.

use std::{net::SocketAddr, process::ExitCode};

use anyhow::Context as _;
use card_processor::{Settings, settings::ServeArgs};
use clap::Parser;
use telemetry::{
    logs::{self, LogArgs},
    settings, shutdown,
};
use tokio::net::TcpListener;

const EXAMPLES: &str = "\
Charge a card; sent again under the same key, it is answered the same and not charged twice:
  curl -i localhost:8090/v1/charges -H 'Idempotency-Key: booking-1' --json \\
    '{\"cardToken\": \"tok_visa\", \"amountMinor\": 7500, \"currency\": \"EUR\", \"reference\": \"booking-1\"}'
A token that begins with tok_declined or tok_insufficient is declined (402); all others succeed (201).

Give it back, and see what was done:
  curl -i localhost:8090/v1/refunds -H 'Idempotency-Key: refund-1' --json \\
    '{\"chargeKey\": \"booking-1\", \"amountMinor\": 7500, \"currency\": \"EUR\"}'
  curl localhost:8090/v1/ledger?reference=booking-1

Misbehave, for the next three requests (without `times`: until told otherwise):
  curl -X PUT localhost:8090/v1/behaviour --json '{\"mode\": \"slow\", \"delayMs\": 2000, \"times\": 3}'
  normal              everything works
  fail                503, nothing is done
  hang                no answer, nothing is done
  slow                it is done, and answered after delayMs; until then the same key is under way (409)
  decline             every new charge is declined
  drop-after-commit   it is done, then the connection is closed without an answer
  drop-before-commit  the connection is closed without an answer, nothing is done";

/// The third party that charges cards: a stand-in for tests and demos, which moves no money. It keeps a durable ledger, does
/// each Idempotency-Key once, and misbehaves when told to.
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
        Ok((settings, listen)) => run(settings, listen, &log_args).await,
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

async fn run(settings: Settings, listen: SocketAddr, log_args: &LogArgs) -> anyhow::Result<()> {
    let _guard = logs::init("card-processor", log_args).map_err(anyhow::Error::from_boxed)?;
    let shutdown = shutdown::on_signal()?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    if settings.ledger.is_none() {
        tracing::warn!("no --ledger: what is charged is forgotten at the end");
    }
    tracing::info!(address = %listener.local_addr()?, "listening");
    card_processor::serve(settings, listener, shutdown).await?;
    Ok(())
}
