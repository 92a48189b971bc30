//! The program: its settings and its migrations.

use std::process::{Command, Output};

use read_service::migrate;
use servers::TempDatabase;
use telemetry::database::Database;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_read-service")).args(arguments).env_clear().output().unwrap()
}

#[test]
fn every_problem_of_the_settings_is_in_one_message() {
    let output = run(&["serve", "--listen", "nowhere", "--read-after-timeout-ms", "soon", "--log-format", "xml"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    for setting in ["DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "LISTEN", "READ_AFTER_TIMEOUT_MS", "LOG_FORMAT"] {
        assert!(message.contains(setting), "{setting} is not in {message}");
    }
    assert!(message.contains("5 problems"), "{message}");
    let output = run(&["migrate", "--migration-database-url", "postgres://me:secret@x:y/z"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("MIGRATION_DATABASE_URL") && !message.contains("secret"), "{message}");
}

/// Whatever a process is to do, it is asked for the settings of that, and for no others.
#[test]
fn a_process_is_asked_for_the_settings_of_its_role() {
    let (project, serve) = ("KAFKA_BOOTSTRAP_SERVERS", "READ_AFTER_TIMEOUT_MS");
    let roles: [(&str, &[&str]); 4] = [
        ("project", &[project]),
        ("serve", &[serve]),
        ("project,serve", &[project, serve]),
        ("cook", &["cook: there are project, serve"]),
    ];
    for (role, asked) in roles {
        let output = run(&["serve", "--role", role, "--read-after-timeout-ms", "soon"]);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        let all = [project, serve, "cook: there are project, serve"];
        let found: Vec<_> = all.into_iter().filter(|part| message.contains(part)).collect();
        assert_eq!(found, asked, "{role}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_may_run_again_and_several_at_once() {
    let (first, second) = (TempDatabase::create("migrate").await, TempDatabase::create("migrate").await);
    let database = |database: &TempDatabase| Database::parse(&database.url()).unwrap();
    let runs = [database(&first), database(&first), database(&first), database(&second), database(&second)];
    let ended = futures::future::join_all(runs.iter().map(migrate)).await;
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
    migrate(&database(&first)).await.unwrap();
}

#[tokio::test]
async fn a_migration_without_its_database_fails_with_the_reason() {
    let nobody = Database::parse("postgres://nobody@127.0.0.1:1/nothing").unwrap();
    let error = migrate(&nobody).await.unwrap_err().to_string();
    assert!(error.contains("cannot connect") && error.contains("refused"), "{error}");
}
