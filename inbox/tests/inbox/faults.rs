//! Faults that pass are waited out, and nothing is skipped.

use std::sync::Arc;

use servers::eventually;
use tokio::sync::Semaphore;

use crate::fixture::{DEADLINE, FOUR, Fixture, ONE, Recorder, records};

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_connection_is_replaced() {
    let fixture = Fixture::new("terminated", FOUR).await;
    fixture.produce(&FOUR[0], records(0, 5_000)).await;
    let permits = Arc::new(Semaphore::new(0));
    let (handler, mut entered) = Recorder::gated(FOUR, &permits);
    let instance = fixture.start(handler);
    for round in 1..=3 {
        // In the middle of a transaction each time.
        tokio::time::timeout(DEADLINE, entered.wait_for(|count| *count >= round)).await.unwrap().unwrap();
        let terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1";
        eventually("a connection was there", DEADLINE, async || fixture.number(terminate, &[&fixture.role]).await > 0)
            .await;
        permits.add_permits(1);
    }
    permits.add_permits(1_000_000);
    fixture.await_effects(5_000).await;
    instance.await_state(true, "").await;
    assert_eq!(instance.stop().await, Ok(()));
    fixture.assert_once_and_in_order(5_000).await;
    assert_eq!(fixture.reasons().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_must_mend_sets_nothing_aside() {
    let fixture = Fixture::new("operator", ONE).await;
    let rename = |from: &str, to: &str| format!(r#"ALTER TABLE "the view".{from} RENAME TO {to}"#);
    fixture.admin.batch_execute(&rename("effect", "elsewhere")).await.unwrap();
    fixture.produce(&ONE[0], records(0, 10)).await;
    let instance = fixture.start(Recorder::of(ONE));
    instance.await_state(false, "PostgreSQL: db error: ERROR: relation \"the view.effect\" does not exist").await;
    fixture.admin.batch_execute(&rename("elsewhere", "effect")).await.unwrap();
    fixture.await_effects(10).await;
    instance.await_state(true, "").await;
    assert_eq!(instance.stop().await, Ok(()));
    fixture.assert_once_and_in_order(10).await;
    assert_eq!(fixture.reasons().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_lets_nobody_in_is_waited_for() {
    let fixture = Fixture::new("nobody", ONE).await;
    let login = |can: &str| format!("ALTER ROLE {} {can}", fixture.role);
    fixture.admin.batch_execute(&login("NOLOGIN")).await.unwrap();
    fixture.produce(&ONE[0], records(0, 10)).await;
    let instance = fixture.start(Recorder::of(ONE));
    instance.await_state(false, "PostgreSQL: ").await;
    fixture.admin.batch_execute(&login("LOGIN")).await.unwrap();
    fixture.await_effects(10).await;
    instance.await_state(true, "").await;
    assert_eq!(instance.stop().await, Ok(()));
    fixture.assert_once_and_in_order(10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_database_that_is_away() {
    let fixture = Fixture::new("stop away", ONE).await;
    fixture.admin.batch_execute(&format!("ALTER ROLE {} NOLOGIN", fixture.role)).await.unwrap();
    let instance = fixture.start(Recorder::of(ONE));
    instance.await_state(false, "PostgreSQL: ").await;
    assert_eq!(instance.stop().await, Ok(()));
}

/// As while the database is away for long: the client is heard all the same, and what it had read is read again.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_for_long_is_held_and_then_goes_on() {
    let fixture = Fixture::new("held", FOUR).await;
    fixture.produce(&FOUR[0], records(0, 20_000)).await;
    let permits = Arc::new(Semaphore::new(0));
    let (handler, _entered) = Recorder::gated(FOUR, &permits);
    let instance = fixture.start(handler);
    instance.await_metric("inbox_held", 1.0).await;
    fixture.produce(&FOUR[0], records(20_000, 5_000)).await;
    permits.add_permits(1_000_000);
    fixture.await_effects(25_000).await;
    instance.await_metric("inbox_held", 0.0).await;
    assert_eq!(instance.stop().await, Ok(()));
    fixture.assert_once_and_in_order(25_000).await;
}

/// A member that has been held takes part in the group like any other.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_shared_while_one_instance_cannot_write() {
    let fixture = Fixture::new("held, shared", FOUR).await;
    fixture.produce(&FOUR[0], records(0, 20_000)).await;
    let permits = Arc::new(Semaphore::new(0));
    let (handler, _entered) = Recorder::gated(FOUR, &permits);
    let held = fixture.start(handler);
    held.await_metric("inbox_held", 1.0).await;
    let other = fixture.start(Recorder::of(FOUR));
    fixture.produce(&FOUR[0], records(20_000, 5_000)).await;
    permits.add_permits(1_000_000);
    fixture.await_effects(25_000).await;
    held.await_metric("inbox_held", 0.0).await;
    for instance in [held, other] {
        assert_eq!(instance.stop().await, Ok(()));
    }
    fixture.assert_once_and_in_order(25_000).await;
}
