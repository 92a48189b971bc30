//! Starting without what the service depends on, or with settings that cannot work; and ending.

use std::{process::Command, time::Duration};

use contracts::{Cleanup, Topic, accounts::ACCOUNT, direct_booking::BOOKING};
use servers::{TempDatabase, shared, topics, unique_prefix};
use telemetry::{database::Database, kafka::Kafka};
use write_service::Settings;

use crate::fixture::{DEADLINE, Hotel, ROLES, Service, account, surroundings};

/// A port on which nobody listens: it was given to a listener that is gone.
async fn closed_port() -> u16 {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

fn reason(report: &telemetry::health::Report, part: &str) -> String {
    report.parts.get(part).and_then(|state| state.reason.clone()).unwrap_or_default()
}

#[tokio::test]
async fn without_its_servers_it_is_alive_but_not_ready_and_says_why() {
    let port = closed_port().await;
    let database = Database::parse(&format!("postgres://nobody@127.0.0.1:{port}/nothing")).unwrap();
    let service =
        Service::start(Settings::all_in(&database, Kafka::at(format!("127.0.0.1:{port}")), surroundings())).await;
    service
        .report_when("reasons", |report| {
            reason(report, "topics").contains("Kafka")
                && reason(report, "database.accounts").contains("PostgreSQL")
                && reason(report, "database.direct-booking").contains("PostgreSQL")
        })
        .await;
    assert_eq!(service.get("/healthz").await.status, 200);
    let readyz = reqwest::get(format!("{}/readyz", service.url)).await.unwrap();
    assert_eq!(readyz.status(), 503);
    assert_eq!(reqwest::get(format!("{}/metrics", service.url)).await.unwrap().status(), 200);
    let refused = service.post("/accounts/accounts", &account("ada")).await.expect_problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), "1");
    service.get("/accounts/accounts/ada").await.expect_problem(503, "unavailable");
}

#[tokio::test]
async fn it_waits_for_its_schema_and_goes_on_when_it_is_there() {
    // Roles belong to the cluster; this makes sure that they exist before the login joins them.
    let _other = Hotel::open("roles").await;
    let database = TempDatabase::create("no schema yet").await;
    let login = database.create_login("writer", ROLES).await.unwrap();
    let kafka = Kafka { topic_prefix: unique_prefix("no schema yet"), ..Kafka::at(&shared::kafka().bootstrap_servers) };
    let service = Service::start(Settings::all_in(&Database::parse(&login.url).unwrap(), kafka, surroundings())).await;
    service
        .report_when("the hint", |report| reason(report, "database.accounts").contains("write-service migrate"))
        .await;
    service.post("/accounts/accounts", &account("ada")).await.expect_problem(503, "unavailable");
    write_service::migrate(&Database::parse(&database.url()).unwrap()).await.unwrap();
    service.report_when("readiness", |report| report.ready).await;
    service.post("/accounts/accounts", &account("ada")).await.expect(201);
}

#[tokio::test]
async fn topics_are_made_as_the_contract_has_them() {
    let hotel = Hotel::open("topics").await;
    hotel.service.report_when("readiness", |report| report.ready).await;
    // Made again: they are there already, with exactly these partitions.
    for topic in contracts::topics() {
        let again = topics::create(&hotel.kafka.bootstrap_servers, &hotel.kafka.topic(topic.name), 1, &[]).await;
        assert!(again.is_err(), "{} was not there", topic.name);
    }
    assert!(
        topics::consume_all(&hotel.kafka.bootstrap_servers, &hotel.kafka.topic(BOOKING.name)).await.unwrap().is_empty()
    );
}

#[tokio::test]
async fn a_topic_with_another_number_of_partitions_is_not_accepted() {
    let prefix = unique_prefix("partitions");
    let kafka = Kafka { topic_prefix: prefix, ..Kafka::at(&shared::kafka().bootstrap_servers) };
    let Topic { name, cleanup: Cleanup::Collection, .. } = ACCOUNT else { panic!("accounts are a collection") };
    topics::create(&kafka.bootstrap_servers, &kafka.topic(name), 3, &[]).await.unwrap();
    let hotel = Hotel::open_with("partitions", |settings| Settings { kafka, ..settings }).await;
    hotel
        .service
        .report_when("the reason", |report| {
            !report.ready && reason(report, "topics").contains("has 3 partitions, the contract fixes 4")
        })
        .await;
    // Commands are taken all the same: their events wait in the outbox.
    hotel.service.post("/accounts/accounts", &account("ada")).await.expect(201);
}

#[tokio::test]
async fn a_subset_of_the_contexts_can_be_run() {
    let hotel = Hotel::open_with("subset", |mut settings| {
        settings.contexts.retain(|(context, _)| context.name == "accounts");
        settings
    })
    .await;
    hotel.service.post("/accounts/accounts", &account("ada")).await.expect(201);
    hotel.service.get("/direct-booking/bookings/1").await.expect_problem(404, "not-found");
    hotel.service.report_when("readiness", |report| report.ready).await;
}

#[tokio::test]
async fn it_ends_when_it_is_told_to() {
    let mut hotel = Hotel::open("ending").await;
    hotel.service.report_when("readiness", |report| report.ready).await;
    hotel.service.shutdown.cancel();
    let ended = tokio::time::timeout(DEADLINE, &mut hotel.service.running).await;
    ended.expect("it ends").unwrap().unwrap();
}

#[test]
fn every_problem_of_the_settings_is_told_at_once_with_exit_code_2() {
    let program = env!("CARGO_BIN_EXE_write-service");
    let run = |args: &[&str]| {
        let output = Command::new(program).args(args).env_clear().output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, message) = run(&["serve", "--clock", "sun", "--context", "minibar", "--database-connections", "0"]);
    assert_eq!(code, Some(2), "{message}");
    for setting in ["CLOCK", "CONTEXTS", "KAFKA_BOOTSTRAP_SERVERS", "DATABASE_CONNECTIONS"] {
        assert!(message.contains(setting), "{setting} is not in: {message}");
    }
    let (code, message) = run(&["migrate"]);
    assert_eq!(code, Some(2), "{message}");
    assert!(message.contains("MIGRATION_DATABASE_URL: is required"), "{message}");
}

#[tokio::test]
async fn the_program_serves_until_sigterm() {
    let hotel = Hotel::open("program").await;
    let port = closed_port().await;
    let process = servers::Process::spawn(
        "write-service",
        ["serve"],
        &[
            ("LISTEN", &format!("127.0.0.1:{port}")),
            ("DATABASE_URL", &hotel.login.url),
            ("KAFKA_BOOTSTRAP_SERVERS", &hotel.kafka.bootstrap_servers),
            ("TOPIC_PREFIX", &hotel.kafka.topic_prefix),
        ],
    )
    .unwrap();
    servers::eventually("readiness", DEADLINE, async || {
        let ready =
            reqwest::get(format!("http://127.0.0.1:{port}/readyz")).await.is_ok_and(|answer| answer.status() == 200);
        if ready { Ok(Some(())) } else { Err(process.log()) }
    })
    .await;
    assert!(process.terminate(Duration::from_secs(15)).await.unwrap().success(), "{}", process.log());
}
