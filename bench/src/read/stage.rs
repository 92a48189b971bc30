//! PostgreSQL with filled views, and the read service in front of them.

use std::time::Duration;

use anyhow::Result;
use servers::{Postgres, Process};

use crate::{pgbench::Pgbench, round::Round, services};

const DATABASE: &str = "bench";
const START: Duration = Duration::from_secs(60);

/// How many bookings there are, by the names `1` and so on: of 5,000 accounts, each with a payment and three tasks.
pub(super) const BOOKINGS: u32 = 200_000;

const FILL: &str = "
    insert into view.account (id, version, erased, status, name, street, postal_code, city, country, email, changed_at, applied_at)
        select n::text, 1, false, 'OPEN', 'Guest ' || n, 'Meir 1', '2000', 'Antwerpen', 'BE', n || '@example.org', now(), now()
        from generate_series(1, 5000) as n;
    insert into view.room_type (id, version, erased, name, rooms, changed_at, applied_at)
        select n::text, 1, false, 'Room ' || n, '[]', now(), now() from generate_series(1, 50) as n;
    insert into view.booking (id, version, erased, status, account_id, room_type_id, room, check_in, check_out, adults, children, babies,
            nightly_rate_minor, nightly_rate_currency, total_minor, total_currency, made_at, changed_at, applied_at)
        select n::text, 1, false, 'CHECKED_IN', (n % 5000 + 1)::text, (n % 50 + 1)::text, (100 + n % 200)::text,
            date '2026-01-01' + (n * 7919 % 400), date '2026-01-03' + (n * 7919 % 400), 2, 0, 0, 7500, 'EUR', 15000, 'EUR',
            now() - n * interval '1 minute', now(), now()
        from generate_series(1, 200000) as n;
    insert into view.payment (id, version, erased, status, account_id, amount_minor, amount_currency, status_since, changed_at, applied_at)
        select n::text, 2, false, 'TAKEN', (n % 5000 + 1)::text, 15000, 'EUR', now(), now(), now()
        from generate_series(1, 200000) as n;
    insert into view.task (id, version, erased, kind, status, booking_id, room_type_id, room, day, changed_at, applied_at)
        select n || '-' || t, 1, false, 'DAILY_CLEANING', 'SCHEDULED', n::text, (n % 50 + 1)::text, (100 + n % 200)::text,
            date '2026-01-01' + (n * 7919 % 400) + t, now(), now()
        from generate_series(1, 200000) as n, generate_series(1, 3) as t;
    vacuum analyze;
    checkpoint";

/// All that runs.
pub(super) struct Stage {
    postgres: Postgres,
    service: Process,
    /// Where the read service listens.
    pub(super) address: String,
}

impl Stage {
    pub(super) async fn start() -> Result<Self> {
        let postgres = services::postgres("1GB").await?;
        postgres.create_database(DATABASE).await?;
        let url = postgres.url(DATABASE);
        services::migrate("read-service", &url).await?;
        services::execute(&services::connect(&url).await?, FILL).await?;

        let address = services::free_address()?;
        // Nothing arrives while queries are measured: nobody is there to be asked for it.
        let nobody = "127.0.0.1:1";
        let args = ["serve", "--listen", &address, "--database-url", &url, "--kafka-bootstrap-servers", nobody];
        let service = Process::spawn("read-service", args, &[("RUST_LOG", "error")])?;
        let stage = Self { postgres, service, address };
        stage.until_answering().await?;
        Ok(stage)
    }

    async fn until_answering(&self) -> Result<()> {
        servers::eventually("the read service answers", START, async || {
            let health = "GET /readyz HTTP/1.1\r\nhost: bench\r\n\r\n";
            match crate::http::send(&self.address, health).await {
                Ok(report) if report.contains("\"postgres\":{\"ready\":true") => Ok(Some(())),
                other => Err(format!("{other:?}; its log:\n{}", self.service.log())),
            }
        })
        .await;
        Ok(())
    }

    /// Runs a script for so long on so many connections.
    pub(super) async fn pgbench(&self, script: &str, connections: u32, duration: Duration) -> Result<Round> {
        let pgbench = Pgbench { postgres: &self.postgres, url: self.postgres.url(DATABASE), role: "read_service" };
        pgbench.run(script, connections, duration).await
    }

    /// The most memory that the service has had, in MiB.
    pub(super) fn peak_mib(&self) -> Option<f64> {
        crate::process::peak_mib(self.service.pid())
    }

    /// Ends the service in good order.
    pub(super) async fn stop(self) -> Result<()> {
        services::end(self.service, "read-service").await
    }
}
