//! The settings of `read-service rebuild`.

use std::path::PathBuf;

use inbox::command::ParkingArgs;
use telemetry::{
    database::Database,
    kafka::{Kafka, KafkaArgs},
    logs::LogArgs,
    settings::Problems,
};

use super::directory;
use crate::view::View;

/// The flags of `read-service rebuild`, as they come in.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub struct RebuildArgs {
    /// The views, one after another; all of them when none is named. The journal `event` cannot be rebuilt.
    #[arg(value_name = "VIEW")]
    views: Vec<String>,

    /// The read database, as the owner of the views' tables, as for `migrate`.
    #[arg(long, env = "MIGRATION_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    migration_database_url: Option<String>,

    /// Where sorted rows are kept while a rebuild reads, with room for one row of each aggregate and more. They hold personal
    /// data: the directory is made for its owner alone, and what is in it removed at the end.
    #[arg(long, env = "REBUILD_DIRECTORY", default_value = "/var/tmp/read-service-rebuild", value_name = "PATH")]
    directory: PathBuf,

    /// How much memory sorting may take, in MiB, from 1 to 1048576. Less means more files, not more time to speak of.
    #[arg(long, env = "REBUILD_MEMORY_MIB", default_value = "32", value_name = "MIB")]
    memory_mib: String,

    /// Forgets what an earlier rebuild of these views has done, instead of going on with it.
    #[arg(long)]
    start_over: bool,

    #[command(flatten)]
    parking: ParkingArgs,

    #[command(flatten)]
    kafka: KafkaArgs,

    /// Logs and traces.
    #[command(flatten)]
    pub logs: LogArgs,
}

const AFTER: &str = "\
Queries go on meanwhile, and so do the instances that serve them: the view is filled anew beside the one in use, and takes its \
place once it has come as far. None needs a restart.

Whatever ends it, run the same command again: it goes on where it was. Rebuild a view after a fault in its projection was \
mended, after its columns were changed, or when /readyz says so.

  read-service rebuild booking payment
  read-service rebuild                     all views, one after another";

/// What a rebuild needs.
pub struct RebuildSettings {
    pub(super) views: Vec<View>,
    pub(super) database: Database,
    pub(super) kafka: Kafka,
    pub(super) directory: PathBuf,
    /// In bytes.
    pub(super) memory: usize,
    pub(super) start_over: bool,
    pub(super) max_parked: usize,
}

impl RebuildArgs {
    /// Checks all flags at once.
    ///
    /// # Errors
    /// Every problem that there is.
    pub fn check(self) -> Result<RebuildSettings, Problems> {
        const MEMORY: &str = "--memory-mib / REBUILD_MEMORY_MIB";
        const MOST_MEMORY: usize = 1 << 20;
        let mut problems = Problems::new();
        self.logs.check(&mut problems);
        let url = self.migration_database_url.as_deref();
        let database = Database::check("--migration-database-url / MIGRATION_DATABASE_URL", url, &mut problems);
        let kafka = self.kafka.check(&mut problems);
        let max_parked = self.parking.check(&mut problems);
        let views = views(&self.views, &mut problems);
        let memory = problems.parse::<usize>(MEMORY, &self.memory_mib);
        if memory.is_some_and(|memory| !(1..=MOST_MEMORY).contains(&memory)) {
            problems.add(MEMORY, format!("must be from 1 to {MOST_MEMORY}"));
        }
        if let Err(reason) = directory::make(&self.directory) {
            problems.add("--directory / REBUILD_DIRECTORY", reason);
        }
        let settings = (|| {
            Some(RebuildSettings {
                views,
                database: database?.application_name("read-service rebuild"),
                kafka: kafka?,
                directory: self.directory,
                memory: memory? << 20,
                start_over: self.start_over,
                max_parked: max_parked?,
            })
        })();
        problems.finish(settings)
    }
}

/// The views of these names, each once; all of them when none is named.
fn views(names: &[String], problems: &mut Problems) -> Vec<View> {
    if names.is_empty() {
        return View::ALL.to_vec();
    }
    let mut views = Vec::new();
    for name in names {
        match View::ALL.iter().find(|view| view.table() == name) {
            Some(view) if views.contains(view) => {}
            Some(view) => views.push(*view),
            None if ["event", "journal"].contains(&name.as_str()) => problems.add(
                "VIEW",
                format!(
                    "{name}: the journal cannot be rebuilt, since it holds every event and the topics only the last of \
                     each aggregate"
                ),
            ),
            None => {
                let all: Vec<_> = View::ALL.iter().map(|view| view.table()).collect();
                problems.add("VIEW", format!("there is no view {name:?}; the views are {}", all.join(", ")));
            }
        }
    }
    views
}
