//! The servers, the write service with all its contexts, and what bookings need: accounts, room types, and bookings to be read.

use std::time::Duration;

use anyhow::Result;
use servers::{Kafka, KafkaOptions, Postgres, Process};

use super::scripts::Script;
use crate::{pgbench::Pgbench, round::Round, services};

const DATABASE: &str = "bench";

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
}

impl Stage {
    pub(super) async fn start() -> Result<Self> {
        let (postgres, kafka) =
            tokio::try_join!(services::postgres("512MB"), Kafka::start_with(KafkaOptions::default()))?;
        postgres.create_database(DATABASE).await?;
        let url = postgres.url(DATABASE);
        services::migrate("write-service", &url).await?;
        services::execute(&services::connect(&url).await?, FILL).await?;

        let address = services::free_address()?;
        let bootstrap = kafka.bootstrap_servers();
        let args = ["serve", "--listen", &address, "--database-url", &url, "--kafka-bootstrap-servers", &bootstrap];
        // No third party is asked for anything here.
        let service = Process::spawn("write-service", args, &[("RUST_LOG", "warn")])?;
        services::until_ready(&address, &service).await;
        Ok(Self { postgres, service, address, _kafka: kafka })
    }

    /// Runs a script for so long on so many connections.
    pub(super) async fn pgbench(&self, script: Script, connections: u32, duration: Duration) -> Result<Round> {
        let pgbench = Pgbench { postgres: &self.postgres, url: self.postgres.url(DATABASE), role: "direct_booking" };
        pgbench.run(&script.text(), connections, duration).await
    }

    /// Ends the service in good order.
    pub(super) async fn stop(self) -> Result<()> {
        services::end(self.service, "write-service").await
    }
}
