//! The `cdc-capture` program: reads the flags, wires, runs.

mod allocator;

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use cdc_capture::settings::{Cli, Command, RunSettings};
use clap::Parser;
use telemetry::{health::Health, logs, metrics::Metrics, settings::refuse, shutdown};
use tokio::net::TcpListener;

/// How long threads that wait for the cluster are waited for at the end. Nothing depends on them any more.
const STRAGGLERS: Duration = Duration::from_secs(1);

fn main() -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    let code = runtime.block_on(command());
    runtime.shutdown_timeout(STRAGGLERS);
    code
}

async fn command() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Run(args) => match args.check() {
            Ok(settings) => run(settings).await,
            Err(problems) => Ok(refuse(&problems)),
        },
        Command::Setup(args) => match args.check() {
            Ok(settings) => setup(settings).await,
            Err(problems) => Ok(refuse(&problems)),
        },
        Command::Check(args) => match args.check() {
            Ok(settings) => Ok(check(&settings.capture).await),
            Err(problems) => Ok(refuse(&problems)),
        },
        Command::Slot(args) => match args.check() {
            Ok(settings) => slot(settings).await,
            Err(problems) => Ok(refuse(&problems)),
        },
        Command::Resync(args) => match args.check() {
            Ok(settings) => resync(&settings).await,
            Err(problems) => Ok(refuse(&problems)),
        },
    }
}

async fn run(settings: RunSettings) -> anyhow::Result<ExitCode> {
    let _logs = logs::init("cdc-capture", &settings.logs).map_err(anyhow::Error::from_boxed)?;
    let shutdown = shutdown::on_signal().context("cannot listen to signals")?;
    let address = settings.admin_listen;
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    cdc_capture::serve(settings.capture, listener, Health::new(), Metrics::new(), shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

#[allow(clippy::print_stdout, reason = "what was done is the command's answer")]
async fn setup(settings: cdc_capture::SetupSettings) -> anyhow::Result<ExitCode> {
    for line in cdc_capture::setup(settings).await? {
        println!("{line}");
    }
    Ok(ExitCode::SUCCESS)
}

#[allow(clippy::print_stdout, reason = "it is the command's answer")]
async fn check(settings: &cdc_capture::Settings) -> ExitCode {
    let report = cdc_capture::check(settings).await;
    println!("{report}");
    if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[allow(clippy::print_stdout, reason = "it is the command's answer")]
async fn slot(settings: cdc_capture::slot::Settings) -> anyhow::Result<ExitCode> {
    println!("{}", cdc_capture::slot::slot(&settings).await?);
    Ok(ExitCode::SUCCESS)
}

#[allow(clippy::print_stdout, reason = "what was done is the command's answer")]
async fn resync(settings: &cdc_capture::resync::Settings) -> anyhow::Result<ExitCode> {
    let shutdown = shutdown::on_signal().context("cannot listen to signals")?;
    let done = cdc_capture::resync(settings, &|text| println!("{text}"), &shutdown).await?;
    println!("replication slot {}: {done}", settings.capture.slot);
    Ok(ExitCode::SUCCESS)
}
