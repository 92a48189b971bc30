//! Runs a command with a private PostgreSQL and a private Apache Kafka around it, or just the two until Ctrl-C.

mod run;

use std::process::ExitCode;

use clap::Parser;

/// Private PostgreSQL and Apache Kafka servers, thrown away afterwards.
#[derive(Parser)]
enum Action {
    /// Start both, run a command with TEST_DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS set, stop both. A variable that is
    /// already set stays, and its server is not started.
    Run {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Start both, print the two variables, stop both at Ctrl-C.
    Up,
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Action::parse() {
        Action::Run { command } => run::around(&command).await,
        Action::Up => run::until_interrupted().await,
    };
    result.unwrap_or_else(|error| {
        eprintln!("servers: {error:#}");
        ExitCode::FAILURE
    })
}
