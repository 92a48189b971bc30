//! The program `servers`: what its command gets, what its exit code is, and that nothing stays when it is killed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers included")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use servers::shared::{KAFKA_BOOTSTRAP_SERVERS, TEST_DATABASE_URL};
use servers::{Process, eventually};
use tokio::net::TcpStream;
use tokio_postgres::NoTls;

const ELSEWHERE: &str = "elsewhere";

/// The program with one server only: the other is said to be elsewhere.
fn servers_without(variable: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_servers"));
    command.env_remove(TEST_DATABASE_URL).env_remove(KAFKA_BOOTSTRAP_SERVERS).env(variable, ELSEWHERE);
    command
}

fn run(shell: &str) -> (ExitStatus, String) {
    let output = servers_without(KAFKA_BOOTSTRAP_SERVERS)
        .args(["run", "--", "bash", "-c", shell])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    (output.status, String::from_utf8(output.stdout).unwrap())
}

/// The program, killed at the latest when the test ends, whether or not it passes.
struct Owner(Child);

impl Owner {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts `servers up` and reads the value of a variable that it prints.
fn up(mut command: Command, variable: &str) -> (Owner, String) {
    let mut owner = Owner(command.arg("up").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let prefix = format!("export {variable}='");
    let value = BufReader::new(owner.0.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find_map(|line| Some(line.strip_prefix(&prefix)?.trim_end_matches('\'').to_owned()))
        .unwrap();
    (owner, value)
}

#[test]
fn a_command_gets_the_servers_and_its_exit_code_comes_back() {
    let (status, output) = run("echo $TEST_DATABASE_URL $KAFKA_BOOTSTRAP_SERVERS; exit 7");
    assert_eq!(status.code(), Some(7));
    assert!(output.starts_with("postgres://postgres:"), "{output}");
    assert!(output.ends_with("/postgres elsewhere\n"), "{output}");
    assert_eq!(run("kill -9 $$").0.code(), Some(137));
}

#[test]
fn an_interrupted_run_ends_with_the_commands_own_answer() {
    let child = servers_without(KAFKA_BOOTSTRAP_SERVERS)
        .args(["run", "--", "bash", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done"])
        .stdout(Stdio::piped())
        .spawn();
    let mut owner = Owner(child.unwrap());
    let mut line = String::new();
    BufReader::new(owner.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    // The shell's own: a small system has no program of that name.
    Command::new("bash").args(["-c", &format!("kill {}", owner.0.id())]).status().unwrap();
    assert_eq!(owner.0.wait().unwrap().code(), Some(3));
}

#[tokio::test]
async fn postgres_goes_with_the_program_that_is_killed() {
    let (mut owner, url) = up(servers_without(KAFKA_BOOTSTRAP_SERVERS), TEST_DATABASE_URL);
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute("SELECT 1").await.unwrap();
    owner.kill();
    eventually("PostgreSQL ends", Duration::from_secs(10), || async {
        tokio_postgres::connect(&url, NoTls).await.is_err() && client.is_closed()
    })
    .await;
    connection.await.unwrap().ok();
}

#[tokio::test]
async fn kafka_goes_with_the_program_that_is_killed() {
    let (mut owner, address) = up(servers_without(TEST_DATABASE_URL), KAFKA_BOOTSTRAP_SERVERS);
    TcpStream::connect(&address).await.unwrap();
    owner.kill();
    eventually("Kafka ends", Duration::from_secs(10), || async { TcpStream::connect(&address).await.is_err() }).await;
}

#[tokio::test]
async fn a_process_of_the_workspace_is_run_watched_and_ended() {
    let postgres_only = [(KAFKA_BOOTSTRAP_SERVERS, ELSEWHERE)];
    let process = Process::spawn("servers", ["up"], &postgres_only).unwrap();
    eventually("it says where its server is", Duration::from_secs(30), || async {
        process.log().contains(TEST_DATABASE_URL)
    })
    .await;
    assert!(process.status().is_none());
    assert!(process.terminate(Duration::from_secs(10)).await.unwrap().success());

    let process = Process::spawn("servers", ["up"], &postgres_only).unwrap();
    process.pause().unwrap();
    process.resume().unwrap();
    assert!(process.wait(Duration::from_millis(10)).await.is_err());
    assert!(!process.kill().await.unwrap().success());
    assert!(process.status().is_some());

    let usage = Process::spawn("servers", ["no-such-action"], &[]).unwrap();
    assert_eq!(usage.wait(Duration::from_secs(10)).await.unwrap().code(), Some(2));
    assert!(usage.log().contains("no-such-action"));
    let missing = Process::spawn("no-such-program", ["up"], &[]).unwrap_err();
    assert!(missing.to_string().contains("cargo build --workspace --bins"), "{missing:#}");
}
