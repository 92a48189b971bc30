//! `check`: a good set-up passes, and of a bad one all is said at once.

use std::process::{Command, Output};

use cdc_capture::check::{Report, Verdict};
use servers::topics;

use crate::outbox::Outbox;

async fn check(outbox: &Outbox) -> Report {
    cdc_capture::check(&outbox.settings()).await
}

fn assert_says(report: &Report, verdict: Verdict, words: &str) {
    let found = report.lines().iter().any(|line| line.verdict == verdict && line.text.contains(words));
    assert!(found, "{verdict:?} {words:?} in\n{report}");
}

fn problems(report: &Report) -> usize {
    report.lines().iter().filter(|line| line.verdict == Verdict::Problem).count()
}

#[tokio::test]
async fn a_good_set_up_passes_and_the_program_says_what_it_looked_at() {
    let outbox = Outbox::create("good").await;
    outbox.insert("k", 0..3).await;
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_cdc-capture"))
        .env_clear()
        .envs([("DATABASE_URL", &outbox.login.url), ("SLOT", &outbox.slot)])
        .envs([("KAFKA_BOOTSTRAP_SERVERS", &outbox.kafka.bootstrap_servers)])
        .envs([("TOPIC_PREFIX", &outbox.kafka.topic_prefix)])
        .arg("check")
        .output()
        .unwrap();
    let said = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert_eq!(status.code(), Some(0), "{said}");
    for line in [
        "ok PostgreSQL 15",
        "ok wal_level is logical",
        "ok wal_sender_timeout is 60000 ms",
        "warning max_slot_wal_keep_size is unlimited",
        "ok publication waybill: publishes inserts and only them",
        "ok publication waybill: publishes via the partition root",
        "ok table sales.outbox: an outbox that the role may read",
        &format!("ok replication slot {}: free", outbox.slot),
        "ok replication connection: system ",
        &format!("ok Kafka at {} answers", outbox.kafka.bootstrap_servers),
        &format!("ok topic {}: 4 partitions, 1 replicas", outbox.kafka.topic("order")),
        &format!("warning topic {} has one replica", outbox.kafka.topic("order")),
    ] {
        assert!(said.lines().any(|said| said.starts_with(line)), "{line:?} in {said}");
    }
    assert!(!said.contains("problem"), "{said}");
    let relay = outbox.start_ready().await;
    assert_says(&check(&outbox).await, Verdict::Ok, "in use by the process");
    relay.stop().await;
}

#[tokio::test]
async fn what_setup_has_not_made_is_named_all_at_once() {
    let outbox = Outbox::bare("unmade", &servers::shared::kafka().bootstrap_servers).await;
    outbox.execute(&format!("ALTER ROLE {} NOREPLICATION", outbox.login.role)).await;
    let report = check(&outbox).await;
    for words in ["publication waybill does not exist", "replication slot", "lacks REPLICATION: ALTER ROLE"] {
        assert_says(&report, Verdict::Problem, words);
    }
    assert_says(&report, Verdict::Warning, "which topics are needed is not known");
    assert!(!report.passed());
}

#[tokio::test]
async fn grants_columns_topics_and_limits_are_named_all_at_once() {
    let outbox = Outbox::create("faults").await;
    let (kafka, role) = (&outbox.kafka, &outbox.login.role);
    outbox.execute("CREATE TABLE sales.notes (LIKE sales.outbox); ALTER TABLE sales.notes DROP COLUMN type").await;
    outbox.execute("ALTER TABLE sales.notes ALTER COLUMN payload TYPE bytea USING NULL").await;
    outbox.execute("CREATE SCHEMA hidden; CREATE TABLE hidden.outbox (LIKE sales.outbox)").await;
    outbox.execute("ALTER PUBLICATION waybill ADD TABLE sales.notes, hidden.outbox").await;
    outbox.execute("ALTER PUBLICATION waybill SET (publish = 'insert, update')").await;
    topics::create(&kafka.bootstrap_servers, &kafka.topic("small"), 1, &[("max.message.bytes", "1000")]).await.unwrap();
    for aggregate_type in ["order", "small", "absent", "not a topic"] {
        let insert = format!(
            "INSERT INTO sales.outbox (aggregatetype, aggregateid, type) VALUES ('{aggregate_type}', 'k', 'Changed')"
        );
        outbox.execute(&insert).await;
    }
    let report = check(&outbox).await;
    for words in [
        "sales.notes: the table is no outbox: column payload must be json or jsonb or text or varchar; column type is",
        &format!("role {role} lacks SELECT on sales.notes: GRANT SELECT ON TABLE \"sales\".\"notes\" TO \"{role}\""),
        &format!("role {role} lacks USAGE on schema hidden: GRANT USAGE ON SCHEMA \"hidden\""),
        &format!("role {role} lacks SELECT on hidden.outbox"),
        &format!("topic {}: does not exist: create it", kafka.topic("absent")),
        "\"not a topic\", which is no topic's name",
    ] {
        assert_says(&report, Verdict::Problem, words);
    }
    assert_eq!(problems(&report), 6, "{report}");
    let limit = format!("topic {}: max.message.bytes is 1000, below the producer's", kafka.topic("small"));
    assert_says(&report, Verdict::Warning, &limit);
    assert_says(&report, Verdict::Warning, "publishes more than inserts");
}

#[tokio::test]
async fn in_transactions_the_topic_of_positions_is_looked_at() {
    let outbox = Outbox::create("positions").await;
    let (kafka, settings) = (&outbox.kafka, crate::transactional::settings(&outbox));
    let topic = kafka.topic(crate::transactional::POSITIONS);
    let report = cdc_capture::check(&settings).await;
    assert_says(&report, Verdict::Problem, &format!("topic {topic}: does not exist: create it"));
    outbox.create_topic(crate::transactional::POSITIONS, 2).await;
    let report = cdc_capture::check(&settings).await;
    assert_says(&report, Verdict::Warning, &format!("position topic {topic} has several partitions"));
    assert_says(&report, Verdict::Warning, &format!("position topic {topic} is not compacted"));
    assert!(report.passed(), "{report}");
    assert!(!cdc_capture::check(&outbox.settings()).await.to_string().contains(&topic), "without them it is not");
}

#[tokio::test]
async fn settings_that_do_not_fit_each_other_and_servers_that_do_not_answer_are_named() {
    let outbox = Outbox::create("unfit").await;
    let mut settings = outbox.settings();
    settings.kafka.bootstrap_servers = "127.0.0.1:1".to_owned();
    outbox.execute(&format!("ALTER ROLE {} SET wal_sender_timeout = '1s'", outbox.login.role)).await;
    let report = cdc_capture::check(&settings).await;
    assert_says(&report, Verdict::Problem, "wal_sender_timeout is 1000 ms, within two thirds of which");
    assert_says(&report, Verdict::Problem, "Kafka at 127.0.0.1:1 cannot be reached");

    let password = outbox.login.url.split([':', '@']).nth(2).unwrap();
    let mut settings = outbox.settings();
    let wrong = outbox.login.url.replace(password, "anothersecret");
    settings.database = telemetry::database::Database::parse(&wrong).unwrap();
    let report = cdc_capture::check(&settings).await;
    assert_says(&report, Verdict::Problem, "password authentication failed");
    assert!(!report.to_string().contains("anothersecret"));
    assert_says(&report, Verdict::Ok, "answers");
}
