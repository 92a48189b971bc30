//! The settings: flags with environment variables behind them, checked all together.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use telemetry::{logs::LogArgs, settings::Problems};

const LEDGER: &str = "--ledger / LEDGER";

/// What [`crate::serve`] needs.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The ledger's file, made if there is none. In memory, if there is no path.
    pub ledger: Option<PathBuf>,
}

/// The flags, as they come in.
#[derive(Clone, Debug, clap::Args)]
pub struct ServeArgs {
    /// Where HTTP is served. There is no login: leave it on the loopback interface or in a private network.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8090", value_name = "ADDRESS:PORT")]
    listen: String,

    /// The file of the ledger, a line of JSON for each charge and refund; made if it is not there. An entry is on disk before it is
    /// answered. Unset: the ledger is in memory, and forgotten at the end.
    #[arg(long, env = "LEDGER", value_name = "FILE")]
    ledger: Option<PathBuf>,

    /// Logs and traces.
    #[command(flatten)]
    pub logs: LogArgs,
}

impl ServeArgs {
    /// Checks all flags.
    ///
    /// # Errors
    /// With every problem that was found.
    pub fn check(self) -> Result<(Settings, SocketAddr), Problems> {
        let mut problems = Problems::new();
        self.logs.check(&mut problems);
        let listen = problems.parse("--listen / LISTEN", &self.listen);
        // An empty variable is an unset one.
        let ledger = self.ledger.filter(|path| !path.as_os_str().is_empty());
        if let Some(path) = &ledger {
            check_path(path, &mut problems);
        }
        problems.finish(listen.map(|listen| (Settings { ledger }, listen)))
    }
}

fn check_path(path: &Path, problems: &mut Problems) {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if path.is_dir() {
        problems.add(LEDGER, format!("{} is a directory; name a file", path.display()));
    } else if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
        problems.add(LEDGER, format!("there is no directory {}; make it first", directory.display()));
    }
}
