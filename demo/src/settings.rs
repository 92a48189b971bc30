//! The demo's flags.

use std::{net::SocketAddr, path::PathBuf};

use telemetry::{database::Database, logs::LogArgs, settings::Problems};

/// Runs the whole pipeline in one process and tells one guest's story through it.
///
/// Without flags it needs nothing but PostgreSQL's binaries: it starts a private server of them and a broker in memory,
/// both of which are gone when it ends.
#[derive(clap::Parser)]
#[command(version, mut_arg("log_filter", |filter| filter.default_value("warn")))]
pub(crate) struct Args {
    /// End when the story has ended: with 0 when every answer in it was right, else with 1.
    #[arg(long)]
    once: bool,

    /// Instead of the story, post every row of this hotel bookings file (CSV, may be gzipped), and compare the books of
    /// every context, of the third parties and of the read side with it.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,

    /// A real Kafka to use, as `host:port`. The demo's topics get a prefix of their own, and stay when it ends.
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,

    /// A real PostgreSQL to use, as the URL of a superuser; it needs `wal_level=logical`. The demo makes databases and
    /// logins of its own there and drops them when it ends.
    #[arg(long, value_name = "URL", env = "DATABASE", hide_env_values = true)]
    database: Option<String>,

    /// Where the write service listens. Port 0 takes any that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    write_listen: String,

    /// Where the read service listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    read_listen: String,

    /// Where capture's health and metrics are.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8082")]
    capture_listen: String,

    #[command(flatten)]
    pub(crate) logs: LogArgs,
}

/// What the demo is to do.
pub(crate) struct Settings {
    pub(crate) once: bool,
    pub(crate) replay: Option<PathBuf>,
    pub(crate) kafka: Option<String>,
    /// A superuser's URL.
    pub(crate) database: Option<String>,
    pub(crate) write_listen: SocketAddr,
    pub(crate) read_listen: SocketAddr,
    pub(crate) capture_listen: SocketAddr,
    /// Whether spans are exported.
    pub(crate) traced: bool,
}

impl Args {
    /// Checks the flags.
    ///
    /// # Errors
    /// All problems at once.
    pub(crate) fn check(self) -> Result<Settings, Problems> {
        let mut problems = Problems::new();
        self.logs.check(&mut problems);
        if let Some(file) = &self.replay
            && let Err(error) = std::fs::File::open(file)
        {
            problems.add("--replay", format!("{}: {error}", file.display()));
        }
        if let Some(Err(reason)) = self.database.as_deref().map(Database::parse) {
            problems.add("--database / DATABASE", reason);
        }
        let write_listen = problems.parse("--write-listen", &self.write_listen);
        let read_listen = problems.parse("--read-listen", &self.read_listen);
        let capture_listen = problems.parse("--capture-listen", &self.capture_listen);
        let settings = (|| {
            Some(Settings {
                once: self.once,
                replay: self.replay,
                kafka: self.kafka,
                database: self.database,
                write_listen: write_listen?,
                read_listen: read_listen?,
                capture_listen: capture_listen?,
                traced: self.logs.otlp_endpoint().is_some(),
            })
        })();
        problems.finish(settings)
    }
}
