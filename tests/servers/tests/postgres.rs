//! A PostgreSQL server of one's own: it starts, stops, comes back with its data, and never outlives its owner.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers included")]

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use servers::{Mode, Postgres, PostgresOptions, Release, TempDatabase, eventually};
use tokio_postgres::{Client, NoTls};

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn setting(client: &Client, name: &str) -> String {
    client.query_one("SELECT current_setting($1)", &[&name]).await.unwrap().get(0)
}

#[tokio::test]
async fn it_is_ready_for_logical_replication_and_wants_a_password() {
    let settings = vec![("application_name".to_owned(), "it's own".to_owned())];
    let postgres = Postgres::start(PostgresOptions { settings, ..PostgresOptions::default() }).await.unwrap();
    let client = connect(&postgres.url("postgres")).await;
    assert_eq!(setting(&client, "wal_level").await, "logical");
    assert_eq!(setting(&client, "listen_addresses").await, "127.0.0.1");
    assert_eq!(setting(&client, "unix_socket_directories").await, "");
    assert_eq!(setting(&client, "fsync").await, "off");
    assert_eq!(setting(&client, "application_name").await, "it's own");
    let without_password = format!("postgres://postgres@127.0.0.1:{}/postgres", postgres.port());
    assert!(tokio_postgres::connect(&without_password, NoTls).await.is_err());
    let wrong_password = format!("postgres://postgres:wrong@127.0.0.1:{}/postgres", postgres.port());
    assert!(tokio_postgres::connect(&wrong_password, NoTls).await.is_err());
}

#[tokio::test]
async fn what_committed_is_there_after_a_crash_and_after_a_stop() {
    let mut postgres = Postgres::start(PostgresOptions { fsync: true, ..PostgresOptions::default() }).await.unwrap();
    postgres.create_database("hotel").await.unwrap();
    let (port, url) = (postgres.port(), postgres.url("hotel"));
    connect(&url).await.batch_execute("CREATE TABLE stay (n int); INSERT INTO stay VALUES (1)").await.unwrap();
    for (mode, expected) in [(Mode::Immediate, 1_i64), (Mode::Fast, 2)] {
        postgres.stop(mode).await.unwrap();
        assert_eq!(postgres.pid(), None);
        assert!(tokio_postgres::connect(&url, NoTls).await.is_err());
        postgres.start_again().await.unwrap();
        assert_eq!((postgres.port(), postgres.url("hotel")), (port, url.clone()));
        let client = connect(&url).await;
        let rows: i64 = client.query_one("SELECT count(*) FROM stay", &[]).await.unwrap().get(0);
        assert_eq!(rows, expected);
        client.batch_execute("INSERT INTO stay VALUES (2)").await.unwrap();
    }
}

#[tokio::test]
async fn it_is_gone_with_its_directory_once_dropped() {
    let postgres = Postgres::start(PostgresOptions::default()).await.unwrap();
    let client = connect(&postgres.url("postgres")).await;
    let data = setting(&client, "data_directory").await;
    assert!(Path::new(&data).exists());
    let port = postgres.port();
    drop(postgres);
    assert!(!Path::new(&data).parent().unwrap().exists());
    TcpListener::bind(("127.0.0.1", port)).unwrap();
}

#[tokio::test]
async fn it_outlives_the_thread_that_started_it() {
    let started = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(Postgres::start(PostgresOptions::default())).unwrap()
    });
    let postgres = tokio::task::spawn_blocking(move || started.join().unwrap()).await.unwrap();
    let client = connect(&postgres.url("postgres")).await;
    client.batch_execute("SELECT pg_sleep(0.2)").await.unwrap();
    assert!(postgres.pid().is_some());
}

#[tokio::test]
async fn a_standby_of_the_newer_release_follows_and_takes_its_place() {
    let options = || PostgresOptions { release: Release::Eighteen, ..PostgresOptions::default() };
    let mut primary = Postgres::start(options()).await.unwrap();
    let standby = primary.standby(options()).await.unwrap();
    let client = connect(&primary.url("postgres")).await;
    assert!(setting(&client, "server_version").await.starts_with("18."));
    client.batch_execute("CREATE TABLE stay (n int); INSERT INTO stay VALUES (1)").await.unwrap();
    let follower = connect(&standby.url("postgres")).await;
    let rows = async || follower.query_one("SELECT count(*) FROM stay", &[]).await.map(|row| row.get::<_, i64>(0));
    eventually("it follows", Duration::from_secs(10), async || rows().await.map(|rows| (rows == 1).then_some(())))
        .await;
    assert!(follower.batch_execute("INSERT INTO stay VALUES (2)").await.is_err());
    primary.kill().await.unwrap();
    follower.batch_execute("SELECT pg_promote()").await.unwrap();
    follower.batch_execute("INSERT INTO stay VALUES (2)").await.unwrap();
    assert_eq!(rows().await.unwrap(), 2);
}

#[tokio::test]
async fn a_setting_it_does_not_know_is_an_error_with_its_log() {
    let settings = vec![("no_such_setting".to_owned(), "1".to_owned())];
    let error = Postgres::start(PostgresOptions { settings, ..PostgresOptions::default() }).await.unwrap_err();
    assert!(format!("{error:#}").contains("no_such_setting"), "{error:#}");
}

#[tokio::test]
async fn a_test_database_goes_with_its_slots_its_logins_and_whoever_is_connected() {
    let postgres = Postgres::start(PostgresOptions::default()).await.unwrap();
    let admin_url = postgres.url("postgres");
    let database = TempDatabase::create_on(&admin_url, "Slots & logins").await.unwrap();
    let login = database.create_login("capture", "REPLICATION").await.unwrap();
    let connected = connect(&login.url).await;
    let who: String = connected.query_one("SELECT current_user::text", &[]).await.unwrap().get(0);
    assert_eq!(who, login.role);
    let session = connect(&database.url()).await;
    session.batch_execute("SELECT pg_create_logical_replication_slot('idle', 'pgoutput')").await.unwrap();
    session.batch_execute("BEGIN; CREATE TABLE unfinished ()").await.unwrap();
    // A slot is busy while its creation waits for the transactions of the others.
    let waiting = connect(&database.url()).await;
    let creation = tokio::spawn(async move {
        waiting.batch_execute("SELECT pg_create_logical_replication_slot('busy', 'pgoutput')").await
    });
    eventually("the busy slot is in use", Duration::from_secs(5), async || {
        connected.query_opt("SELECT 1 FROM pg_replication_slots WHERE slot_name = 'busy' AND active", &[]).await
    })
    .await;
    drop(database);
    let admin = connect(&admin_url).await;
    let left: i64 = admin
        .query_one(
            "SELECT (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_roles WHERE rolname = $1)
                  + (SELECT count(*) FROM pg_database WHERE datname LIKE 'test\\_%')",
            &[&login.role],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(left, 0);
    assert!(creation.await.unwrap().is_err());
    eventually("the connection to the dropped database ends", Duration::from_secs(5), || async {
        connected.is_closed()
    })
    .await;
}
