//! The program: its settings, and a kill in the middle of everything.

use std::{
    collections::HashMap,
    net::TcpListener,
    path::Path,
    process::{Command, Output},
};

use card_processor::Ledger;
use futures::future::join_all;
use servers::{Process, eventually};
use tokio::sync::mpsc;

use crate::shop::{Answer, Client, PATIENCE, answer, charge};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_card-processor")).args(arguments).env_clear().output().unwrap()
}

#[test]
fn every_problem_of_the_settings_is_in_one_message() {
    let output = run(&["--listen", "nowhere", "--ledger", "/no/such/ledger", "--log-format", "xml"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    for setting in ["3 problems", "LISTEN", "LEDGER", "LOG_FORMAT"] {
        assert!(message.contains(setting), "{setting} is not in {message}");
    }
}

#[test]
fn help_teaches_how_to_charge_and_to_misbehave() {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for said in ["--ledger", "in memory", "Idempotency-Key", "tok_declined", "drop-after-commit", "/v1/refunds"] {
        assert!(help.contains(said), "{said} is not in {help}");
    }
}

/// The program on this ledger, once it answers.
async fn start(ledger: &Path) -> (Process, Client) {
    // Free a moment ago. That another takes it meanwhile fails the test with the program's log.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let ledger = ledger.to_str().unwrap();
    let process = Process::spawn("card-processor", ["--listen", &address, "--ledger", ledger], &[]).unwrap();
    let client = Client::of(&address);
    eventually("it is ready", PATIENCE, async || {
        match answer(client.http.get(format!("{}/readyz", client.url))).await {
            Ok(answer) if answer.status == 200 => Ok(Some(())),
            _ => Err(process.log()),
        }
    })
    .await;
    (process, client)
}

/// Charges one after the other, and says which were answered, until nobody answers.
async fn keep_charging(client: Client, name: String, answers: mpsc::UnboundedSender<(String, Answer)>) -> String {
    for number in 0.. {
        let key = format!("{name}-{number}");
        match answer(client.charging(&key, &charge("tok_visa", &key))).await {
            Ok(answer) => answers.send((key, answer)).unwrap(),
            Err(_) => return key,
        }
    }
    unreachable!()
}

#[tokio::test]
async fn killed_in_the_middle_every_answered_charge_is_in_the_ledger_once() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.jsonl");
    let mut answered: HashMap<String, Answer> = HashMap::new();
    for life in 0..5 {
        let (process, client) = start(&ledger).await;
        // What was answered in an earlier life is answered the same.
        for (key, answer) in &answered {
            assert_eq!(client.charge(key, &charge("tok_visa", key)).await, *answer);
        }
        let (sender, mut answers) = mpsc::unbounded_channel();
        let clients = (0..8).map(|number| {
            tokio::spawn(keep_charging(client.clone(), format!("life-{life}-client-{number}"), sender.clone()))
        });
        let clients: Vec<_> = clients.collect();
        drop(sender);
        for _ in 0..40 {
            answered.extend(answers.recv().await);
        }
        process.kill().await.unwrap();
        let unanswered: Vec<_> = join_all(clients).await.into_iter().map(Result::unwrap).collect();
        while let Some(answer) = answers.recv().await {
            answered.extend([answer]);
        }

        let mut times: HashMap<String, usize> = HashMap::new();
        for entry in Ledger::read(&ledger).unwrap() {
            *times.entry(entry.key.to_string()).or_default() += 1;
        }
        assert!(times.values().all(|times| *times == 1), "{times:?}");
        assert!(answered.keys().all(|key| times.contains_key(key)), "{answered:?}");
        assert!(answered.values().all(|answer| answer.status == 201));

        // Whoever got no answer asks again, and is charged once whether or not it was before.
        let (process, client) = start(&ledger).await;
        for key in unanswered {
            let answer = client.charge(&key, &charge("tok_visa", &key)).await;
            answered.insert(key, answer);
        }
        assert_eq!(client.entries("").await.len(), answered.len());
        assert!(process.terminate(PATIENCE).await.unwrap().success(), "{}", process.log());
    }
}

#[tokio::test]
async fn two_programs_do_not_share_a_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.jsonl");
    let (_first, _) = start(&ledger).await;
    let second = run(&["--listen", "127.0.0.1:0", "--ledger", ledger.to_str().unwrap()]);
    let message = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{message}");
    assert!(message.contains("in use by another process"), "{message}");
}
