//! The whole pipeline in one process, for the first five minutes: PostgreSQL, a broker and every service, then one
//! guest's story told through HTTP and GraphQL, and the URLs to go on from.

mod broker;
mod client;
mod databases;
mod lag;
mod millis;
mod replay;
mod settings;
mod stack;
mod story;
mod urls;

use std::process::ExitCode;

use clap::Parser;
use telemetry::{settings::refuse, shutdown};

use crate::{client::Client, settings::Settings, stack::Stack, urls::Urls};

#[tokio::main]
async fn main() -> ExitCode {
    let args = settings::Args::parse();
    let logs = args.logs.clone();
    let settings = match args.check() {
        Ok(settings) => settings,
        Err(problems) => return refuse(&problems),
    };
    match run(settings, &logs).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nThe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: Settings, logs: &telemetry::logs::LogArgs) -> anyhow::Result<()> {
    let _guard = telemetry::logs::init("waybill-demo", logs).map_err(anyhow::Error::from_boxed)?;
    let shutdown = shutdown::on_signal()?;
    let stack = tokio::select! {
        stack = Stack::start(&settings, shutdown.clone()) => stack?,
        () = shutdown.cancelled() => return Ok(()),
    };
    let client = Client::new(&stack.urls)?;
    let told = tokio::select! {
        told = tell(&settings, &client, &stack.urls) => told,
        () = shutdown.cancelled() => Ok(()),
    };
    if told.is_ok() {
        println!("\n{}", stack.urls);
        if !settings.once {
            println!("\nEverything stays up until Ctrl-C.");
            shutdown.cancelled().await;
        }
    }
    stack.stop().await.and(told)
}

async fn tell(settings: &Settings, client: &Client, urls: &Urls) -> anyhow::Result<()> {
    match &settings.replay {
        Some(file) => replay::run(file, client, urls).await,
        None => {
            let account = story::tell(client, urls).await?;
            lag::measure(client, &account).await
        }
    }
}
