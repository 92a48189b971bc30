//! The settings: flags with environment variables behind them, checked all together.

use std::net::SocketAddr;

use telemetry::{logs::LogArgs, settings::Problems};

/// The flags, as they come in.
#[derive(Clone, Debug, clap::Args)]
pub struct ServeArgs {
    /// Where HTTP is served. There is no login: leave it on the loopback interface or in a private network.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8091", value_name = "ADDRESS:PORT")]
    listen: String,

    /// Logs and traces.
    #[command(flatten)]
    pub logs: LogArgs,
}

impl ServeArgs {
    /// Checks all flags. Gives where to listen.
    ///
    /// # Errors
    /// With every problem that was found.
    pub fn check(self) -> Result<SocketAddr, Problems> {
        let mut problems = Problems::new();
        self.logs.check(&mut problems);
        let listen = problems.parse("--listen / LISTEN", &self.listen);
        problems.finish(listen)
    }
}
