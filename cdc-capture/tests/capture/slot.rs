//! `slot show` and `slot drop`, by the program, as the relay's role.

use std::process::{Command, Output};

use crate::outbox::Outbox;

fn slot(outbox: &Outbox, args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_cdc-capture"))
        .env_clear()
        .env("DATABASE_URL", &outbox.login.url)
        .arg("slot")
        .args(args)
        .args(["--slot", &outbox.slot])
        .output()
        .unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

#[tokio::test]
async fn a_slot_is_shown_and_dropped_only_when_it_is_confirmed_and_free() {
    let outbox = Outbox::create("slot").await;
    let relay = outbox.start_ready().await;
    let (code, shown) = slot(&outbox, &["show"]);
    assert_eq!(code, Some(0), "{shown}");
    let pid: i32 = outbox
        .client
        .query_one("SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1", &[&outbox.slot])
        .await
        .unwrap()
        .get(0);
    for line in [
        format!("name        {}", outbox.slot),
        "plugin      pgoutput".to_owned(),
        format!("database    {}", outbox.database.name()),
        format!("active      yes, process {pid}"),
        "wal_status  reserved".to_owned(),
        "retained    ".to_owned(),
        "lag         ".to_owned(),
    ] {
        assert!(shown.contains(&line), "{line:?} in {shown}");
    }
    let (code, refused) = slot(&outbox, &["drop", "--yes"]);
    assert_eq!(code, Some(1));
    assert!(refused.contains(&format!("is in use by the process {pid} ")), "{refused}");
    relay.stop().await;

    let (code, refused) = slot(&outbox, &["drop"]);
    assert_eq!(code, Some(1));
    assert!(refused.contains("nothing was dropped") && refused.contains("--yes"), "{refused}");
    let confirmed = outbox.confirmed().await;
    let (code, dropped) = slot(&outbox, &["drop", "--yes"]);
    assert_eq!(code, Some(0), "{dropped}");
    assert!(dropped.starts_with(&format!("replication slot {}: dropped at {confirmed}", outbox.slot)), "{dropped}");

    for args in [&["show"][..], &["drop", "--yes"]] {
        let (code, missing) = slot(&outbox, args);
        assert_eq!(code, Some(1));
        assert!(missing.contains(&format!("replication slot {} does not exist", outbox.slot)), "{missing}");
    }
}
