//! The servers that whole chains run on: PostgreSQL with migrated views, of which each run gets a copy of its own, and Kafka with
//! the topics of all contracts.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use servers::{Kafka, KafkaOptions, Postgres, Process, topics};
use tokio_postgres::Client;

use crate::{effort::progress, process::peak_mib, services};

/// A database whose views are empty; others are copies of it.
pub(super) const EMPTY: &str = "views";

/// The servers.
pub(super) struct House {
    pub(super) postgres: Postgres,
    pub(super) kafka: Kafka,
    admin: Client,
    numbers: AtomicU32,
    peak: Mutex<f64>,
}

/// A database of its own for one run.
pub(super) struct Database {
    pub(super) name: String,
    pub(super) url: String,
}

/// Which views a read service fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Views {
    /// As it does unless told otherwise, the journal too.
    All,
    /// The bookings alone.
    Bookings,
}

impl Views {
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::All => &[],
            Self::Bookings => &["--views", "booking"],
        }
    }
}

/// A running read service. Dropping it kills it.
pub(super) struct ReadService {
    pub(super) process: Process,
    pub(super) address: String,
}

impl House {
    pub(super) async fn open() -> Result<Self> {
        let (postgres, kafka) =
            tokio::try_join!(services::postgres("1GB"), Kafka::start_with(KafkaOptions::default()))?;
        postgres.create_database(EMPTY).await?;
        services::migrate("read-service", &postgres.url(EMPTY)).await?;
        let admin = services::connect(&postgres.url("postgres")).await?;
        Ok(Self { postgres, kafka, admin, numbers: AtomicU32::new(0), peak: Mutex::default() })
    }

    /// Makes the topics of all contracts under a prefix of their own, and returns it.
    pub(super) async fn topics(&self) -> Result<String> {
        let prefix = format!("run-{}.", self.number());
        for topic in contracts::topics() {
            let name = format!("{prefix}{}", topic.name);
            topics::create(&self.kafka.bootstrap_servers(), &name, topic.partitions, topic.config()).await?;
        }
        Ok(prefix)
    }

    /// Makes an empty database.
    pub(super) async fn database(&self, name: &str) -> Result<Database> {
        self.postgres.create_database(name).await?;
        Ok(Database { url: self.postgres.url(name), name: name.to_owned() })
    }

    /// Drops a slot as soon as nobody reads it any more.
    pub(super) async fn drop_slot(&self, name: &str) {
        const PATIENCE: Duration = Duration::from_secs(30);
        servers::eventually("nobody reads the slot", PATIENCE, async || {
            self.admin.execute("SELECT pg_drop_replication_slot($1)", &[&name]).await.map(Some)
        })
        .await;
    }

    /// Copies a database to which nobody is connected, file by file: everything of it is on disk then.
    pub(super) async fn copy(&self, of: &str) -> Result<Database> {
        let name = format!("run_{}", self.number());
        let create = format!("CREATE DATABASE {name} TEMPLATE {of} STRATEGY file_copy");
        self.admin.batch_execute(&create).await.with_context(|| format!("cannot copy the database {of}"))?;
        Ok(Database { url: self.postgres.url(&name), name })
    }

    /// Removes a database.
    pub(super) async fn remove(&self, database: Database) -> Result<()> {
        let drop = format!("DROP DATABASE {} WITH (FORCE)", database.name);
        self.admin.batch_execute(&drop).await.context("cannot remove a database")
    }

    /// Where the server can write and read a file of this name.
    pub(super) async fn file(&self, name: &str) -> Result<String> {
        let row = self.admin.query_one("SELECT current_setting('data_directory')", &[]).await?;
        Ok(format!("{}/{name}", row.get::<_, String>(0)))
    }

    /// Starts the read service on a database, with these views to fill; it need not be ready yet.
    pub(super) fn read_service(&self, database: &Database, prefix: &str, views: Views) -> Result<ReadService> {
        let (address, bootstrap) = (services::free_address()?, self.kafka.bootstrap_servers());
        let args = ["serve", "--listen", &address, "--database-url", &database.url, "--topic-prefix", prefix];
        let args =
            args.into_iter().chain(["--kafka-bootstrap-servers", &bootstrap]).chain(views.flags().iter().copied());
        let process = Process::spawn("read-service", args, &[("RUST_LOG", "warn")])?;
        Ok(ReadService { process, address })
    }

    /// Notes how much memory a read service has needed, and ends it in good order.
    pub(super) async fn end(&self, service: ReadService) -> Result<()> {
        let peak = peak_mib(service.process.pid());
        if let Some(mib) = peak {
            progress(format_args!("that read service has had {mib:.0} MiB at most"));
        }
        self.note_peak(peak);
        services::end(service.process, "read-service").await
    }

    /// Notes how much memory a read service, or a rebuild, has needed, in MiB.
    pub(super) fn note_peak(&self, mib: Option<f64>) {
        let mut peak = self.peak.lock().unwrap_or_else(PoisonError::into_inner);
        *peak = peak.max(mib.unwrap_or_default());
    }

    /// The most memory that any of them has had resident, in MiB; nothing where that is not known.
    pub(super) fn peak_mib(&self) -> Option<f64> {
        let peak = *self.peak.lock().unwrap_or_else(PoisonError::into_inner);
        (peak > 0.0).then_some(peak)
    }

    fn number(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }
}
