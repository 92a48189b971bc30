//! The servers, the write service with all its contexts, and what bookings need: accounts, room types, and bookings to be read.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use servers::{Kafka, KafkaOptions, Postgres, PostgresOptions, Process};
use tokio_postgres::{Client, NoTls};

use super::scripts::Script;
use crate::{pgbench::Pgbench, round::Round};

const DATABASE: &str = "bench";
const START: Duration = Duration::from_secs(60);
const END: Duration = Duration::from_secs(30);

/// How many there are of each: bookings seldom meet in a night of a type.
pub(super) const ROOM_TYPES: u32 = 50;
pub(super) const ACCOUNTS: u32 = 1_000;
/// Bookings that are only read, by the names `1` and so on.
pub(super) const BOOKINGS: u32 = 1_000;

const FILL: &str = "
    insert into direct_booking.account_copy select n::text, 1, true from generate_series(1, 1000) as n;
    insert into direct_booking.room_type (room_type_id, version, name, rooms)
        select n::text, 1, 'Double', array(select room::text from generate_series(1, 10000) as room)
        from generate_series(1, 50) as n;
    insert into direct_booking.booking (booking_id, version, status, account_id, room_type_id, check_in, check_out, adults,
            children, babies, nightly_rate, total, currency, made_at, cause_id, correlation_id)
        select n::text, 1, 'CONFIRMED', '1', '1', date '2030-01-01', date '2030-01-03', 2, 0, 0, 7500, 15000, 'EUR', now(),
            gen_random_uuid(), n::text
        from generate_series(1, 1000) as n;
    vacuum analyze;";

/// All that runs.
pub(super) struct Stage {
    postgres: Postgres,
    service: Process,
    /// Where the write service listens.
    pub(super) address: String,
    _kafka: Kafka,
    _session: Client,
}

impl Stage {
    pub(super) async fn start() -> Result<Self> {
        let settings =
            [("shared_buffers", "512MB"), ("max_wal_size", "4GB"), ("autovacuum", "off"), ("max_connections", "200")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let (postgres, kafka) = tokio::try_join!(
            Postgres::start(PostgresOptions { settings, fsync: true, ..PostgresOptions::default() }),
            Kafka::start_with(KafkaOptions::default())
        )?;
        postgres.create_database(DATABASE).await?;
        let url = postgres.url(DATABASE);
        let migrate = Process::spawn("write-service", ["migrate"], &[("MIGRATION_DATABASE_URL", &url)])?;
        let status = migrate.wait(START).await?;
        ensure!(status.success(), "write-service migrate: {status}\n{}", migrate.log());
        let (session, connection) =
            tokio_postgres::connect(&url, NoTls).await.context("cannot connect to PostgreSQL")?;
        tokio::spawn(connection);
        for statement in FILL.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
            session.batch_execute(statement).await.context("cannot fill the tables")?;
        }

        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let bootstrap = kafka.bootstrap_servers();
        let args = ["serve", "--listen", &address, "--database-url", &url, "--kafka-bootstrap-servers", &bootstrap];
        // No third party is asked for anything here.
        let service = Process::spawn("write-service", args, &[("RUST_LOG", "warn")])?;
        let stage = Self { postgres, service, address, _kafka: kafka, _session: session };
        stage.until_ready().await?;
        Ok(stage)
    }

    /// Runs a script for so long on so many connections.
    pub(super) async fn pgbench(&self, script: Script, connections: u32, duration: Duration) -> Result<Round> {
        let pgbench = Pgbench { postgres: &self.postgres, url: self.postgres.url(DATABASE), role: "direct_booking" };
        pgbench.run(&script.text(), connections, duration).await
    }

    async fn until_ready(&self) -> Result<()> {
        let url = self.address.clone();
        servers::eventually("the write service is ready", START, async || {
            match crate::http::get(&url, "/readyz").await {
                Ok(200) => Ok(Some(())),
                other => Err(format!("{other:?}; its log:\n{}", self.service.log())),
            }
        })
        .await;
        Ok(())
    }

    /// Ends the service in good order.
    pub(super) async fn stop(self) -> Result<()> {
        let status = self.service.terminate(END).await?;
        ensure!(status.success(), "the write service ended with {status}; its log:\n{}", self.service.log());
        Ok(())
    }
}
