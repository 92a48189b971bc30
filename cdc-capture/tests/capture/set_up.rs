//! `setup`, what `run` finds wrong, and what the relay's role may do.

use cdc_capture::setup::Error;
use servers::{TempDatabase, shared};

use crate::outbox::{Outbox, connect};

#[tokio::test]
async fn a_database_that_is_not_set_up_is_waited_for_with_the_remedy() {
    let outbox = Outbox::bare("bare", &shared::kafka().bootstrap_servers).await;
    outbox.create_topic("order", 1).await;
    let relay = outbox.start();
    relay.until_part_says("postgres", "publication waybill does not exist: run `cdc-capture setup`").await;
    relay.until_part_says("postgres", &format!("replication slot {} does not exist", outbox.slot)).await;
    outbox.set_up().await.unwrap();
    relay.until("it goes on by itself", |report| report.ready).await;
    outbox.insert("k", 0..3).await;
    outbox.drained().await;
    relay.stop().await;
    outbox.assert_all_there("k", 3).await;
}

#[tokio::test]
async fn a_wrong_set_up_is_named_with_its_remedy() {
    let outbox = Outbox::create("wrong").await;
    outbox.execute("ALTER PUBLICATION waybill SET (publish = 'update', publish_via_partition_root = false)").await;
    outbox.execute("CREATE TABLE sales.notes (id uuid PRIMARY KEY, text text)").await;
    outbox.execute("ALTER PUBLICATION waybill ADD TABLE sales.notes").await;
    let relay = outbox.start();
    for words in [
        "does not publish inserts: ALTER PUBLICATION \"waybill\" SET (publish = 'insert')",
        "SET (publish_via_partition_root = true)",
        "sales.notes: the table is no outbox: column aggregatetype is missing",
        "DROP TABLE sales.notes",
    ] {
        relay.until_part_says("postgres", words).await;
    }
    outbox.execute("ALTER PUBLICATION waybill DROP TABLE sales.notes").await;
    outbox.set_up().await.unwrap();
    relay.until("repaired", |report| report.ready).await;
    relay.stop().await;
}

#[tokio::test]
async fn a_slot_of_another_kind_is_refused() {
    let outbox = Outbox::bare("slot", &shared::kafka().bootstrap_servers).await;
    outbox.execute(&format!("SELECT pg_create_logical_replication_slot('{}', 'test_decoding')", outbox.slot)).await;
    let Err(Error::Problems(problems)) = outbox.set_up().await else { panic!("refused") };
    assert!(problems[0].contains("another plugin than pgoutput"), "{problems:?}");
    let relay = outbox.start();
    relay.until_part_says("postgres", "has the plugin test_decoding, not pgoutput").await;
    relay.stop().await;
}

#[tokio::test]
async fn a_role_without_replication_and_a_wrong_password_are_told() {
    let outbox = Outbox::create("role").await;
    outbox.execute(&format!("ALTER ROLE {} NOREPLICATION", outbox.login.role)).await;
    let relay = outbox.start();
    relay.until_part_says("postgres", "ALTER ROLE").await;
    outbox.execute(&format!("ALTER ROLE {} REPLICATION PASSWORD 'another'", outbox.login.role)).await;
    relay.until_part_says("postgres", "check the user, its password").await;
    relay.stop().await;
}

#[tokio::test]
async fn setup_can_be_repeated_and_extended() {
    let outbox = Outbox::bare("setup", &shared::kafka().bootstrap_servers).await;
    let first = outbox.set_up().await.unwrap();
    for line in [
        "publication waybill: created for sales.outbox",
        &format!("replication slot {}: created at ", outbox.slot),
        &format!("role {}: granted USAGE on schema sales", outbox.login.role),
        &format!("role {}: granted SELECT on sales.outbox", outbox.login.role),
    ] {
        assert!(first.iter().any(|done| done.starts_with(line)), "{line:?} in {first:?}");
    }
    let again = outbox.set_up().await.unwrap();
    assert!(again.len() == 4 && again.iter().all(|line| line.contains("already")), "{again:?}");
    outbox.execute("CREATE TABLE sales.\"More\" (LIKE sales.outbox)").await;
    let extended = cdc_capture::setup(outbox.setup_settings(&["sales.outbox", "sales.More"])).await.unwrap();
    assert!(extended.iter().any(|line| line.contains("extended by sales.More")), "{extended:?}");
}

#[tokio::test]
async fn setup_names_all_problems_and_changes_nothing() {
    let outbox = Outbox::bare("problems", &shared::kafka().bootstrap_servers).await;
    outbox.execute("CREATE TABLE sales.notes (id bytea)").await;
    let mut settings = outbox.setup_settings(&["sales.notes", "sales.none", "sales.outbox"]);
    settings.role = Some("nobody_of_this_name".parse().unwrap());
    let Err(Error::Problems(problems)) = cdc_capture::setup(settings).await else { panic!("refused") };
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].contains("column id must be uuid or") && problems[0].contains("payload is missing"));
    assert!(problems[1].contains("no table sales.none") && problems[2].contains("CREATE ROLE"));
    let count = "SELECT (SELECT count(*) FROM pg_publication) + (SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1)";
    assert_eq!(outbox.client.query_one(count, &[&outbox.slot]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn the_relay_s_role_reads_its_outbox_and_nothing_else() {
    let outbox = Outbox::create("least").await;
    outbox.execute("CREATE TABLE sales.secret (n int)").await;
    let relay = connect(&outbox.login.url).await;
    relay.query("SELECT * FROM sales.outbox", &[]).await.unwrap();
    for refused in ["SELECT * FROM sales.secret", "DELETE FROM sales.outbox", "CREATE TABLE sales.mine (n int)"] {
        let error = relay.batch_execute(refused).await.unwrap_err();
        assert_eq!(error.code(), Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE), "{refused}");
    }
}

#[tokio::test]
async fn a_slot_of_another_database_is_refused() {
    let outbox = Outbox::create("mine").await;
    let other = TempDatabase::create("theirs").await;
    let mut settings = outbox.setup_settings(&["sales.outbox"]);
    settings.database = telemetry::database::Database::parse(&other.url()).unwrap();
    let Err(Error::Problems(problems)) = cdc_capture::setup(settings).await else { panic!("refused") };
    let words = format!("belongs to the database {}", outbox.database.name());
    assert!(problems.iter().any(|problem| problem.contains(&words)), "{problems:?}");
}
