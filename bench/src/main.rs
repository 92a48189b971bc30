//! Benchmarks of the pipeline's programs, on a PostgreSQL and a Kafka that are started for them.

mod capture;
mod cards;
mod commands;
mod effort;
mod http;
mod pace;
mod peer;
mod pgbench;
mod process;
mod producer;
mod read;
mod reader;
mod report;
mod round;
mod services;
mod stats;
mod warm;

use std::process::ExitCode;

use clap::Parser;

/// Benchmarks, on servers that are started for them and thrown away. Every figure has its floor from the same run.
#[derive(Parser)]
enum Benchmark {
    /// The outbox relay: how fast, how late, how much memory.
    Capture(capture::Args),
    /// The write service: commands and documents over HTTP.
    Commands(commands::Args),
    /// The two ways by which Payments comes by a card, side by side.
    Cards(cards::Args),
    /// The read service: queries over GraphQL.
    Read(read::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Benchmark::parse() {
        Benchmark::Capture(args) => capture::run(&args).await,
        Benchmark::Commands(args) => commands::run(&args).await,
        Benchmark::Cards(args) => cards::run(&args).await,
        Benchmark::Read(args) => read::run(&args).await,
    };
    match result {
        Ok(report) => {
            report.print();
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
