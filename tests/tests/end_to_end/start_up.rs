//! Wrong settings, and servers that are not there yet.

use std::net::TcpListener;

use end_to_end::{PATIENCE, Service};
use servers::{Mode, Postgres, PostgresOptions, Process, eventually, shared};

#[tokio::test]
async fn every_problem_of_the_settings_is_in_one_message_and_the_exit_code_is_2() -> anyhow::Result<()> {
    for (program, command) in [("write-service", "serve"), ("read-service", "serve"), ("cdc-capture", "run")] {
        let wrong = [("DATABASE_URL", "mysql://me:secret@host/x"), ("LOG_FORMAT", "xml"), ("RUST_LOG", "a=b=c")];
        let process = Process::spawn(program, [command], &wrong)?;
        let status = process.wait(PATIENCE).await?;
        let log = process.log();
        assert_eq!(status.code(), Some(2), "{program}: {log}");
        for setting in ["DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "LOG_FORMAT", "RUST_LOG"] {
            assert!(log.contains(setting), "{program} does not name {setting}:\n{log}");
        }
        assert!(!log.contains("secret"), "{program} prints the password:\n{log}");
    }
    Ok(())
}

#[tokio::test]
async fn a_service_waits_for_servers_that_are_not_there_and_says_so() -> anyhow::Result<()> {
    let mut postgres = Postgres::start(PostgresOptions::default()).await?;
    postgres.create_database("view").await?;
    let url = postgres.url("view");
    let migrated = Process::spawn("read-service", ["migrate"], &[("MIGRATION_DATABASE_URL", &url)])?;
    assert!(migrated.wait(PATIENCE).await?.success(), "{}", migrated.log());
    postgres.stop(Mode::Fast).await?;

    let nobody = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let prefix = servers::unique_prefix("startup");
    let envs = |kafka: &str| {
        [("DATABASE_URL", url.as_str()), ("KAFKA_BOOTSTRAP_SERVERS", kafka), ("TOPIC_PREFIX", &prefix)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    };
    // Neither is there.
    let service = Service::start("read-service", &["serve"], "LISTEN", envs(&nobody))?;
    readyz_says(&service, 503, "PostgreSQL").await;
    service.kill().await?;

    // Only PostgreSQL is away; the topics are there.
    let kafka = &shared::kafka().bootstrap_servers;
    for (topic, partitions) in [
        ("hotel.accounts.account.v1", 4),
        ("hotel.direct-booking.guest.v1", 4),
        ("hotel.direct-booking.room-type.v2", 1),
        ("hotel.direct-booking.rate-plan.v1", 1),
        ("hotel.direct-booking.booking.v1", 8),
        ("hotel.payments.payment.v1", 8),
        ("hotel.housekeeping.task.v1", 8),
        ("hotel.channel-manager.site.v1", 1),
        ("hotel.channel-manager.site-booking.v1", 8),
    ] {
        servers::topics::create(kafka, &format!("{prefix}{topic}"), partitions, &[]).await?;
    }
    let service = Service::start("read-service", &["serve"], "LISTEN", envs(kafka))?;
    readyz_says(&service, 503, "PostgreSQL").await;
    postgres.start_again().await?;
    readyz_says(&service, 200, "").await;
    assert!(service.process.terminate(PATIENCE).await?.success(), "{}", service.process.log());
    Ok(())
}

async fn readyz_says(service: &Service, status: u16, reason: &str) {
    eventually(&format!("/readyz answers {status}"), PATIENCE, async || {
        let response = reqwest::get(format!("{}/readyz", service.url)).await.map_err(|error| error.to_string())?;
        let found = (response.status().as_u16(), response.text().await.unwrap_or_default());
        if found.0 == status && found.1.contains(reason) { Ok(Some(())) } else { Err(format!("{found:?}")) }
    })
    .await;
}
