//! A batch of one partition whose effect is a single `INSERT`, and what makes it take a transaction after all.

use crate::fixture::{Fixture, ONE, Recorder, connect, record};

#[tokio::test(flavor = "multi_thread")]
async fn effect_and_offset_are_one_statement() {
    let fixture = Fixture::new("one statement", ONE).await;
    fixture.produce(&ONE[0], vec![record("a", 1), record("b", 2), record("a", 3)]).await;
    let recorder = Recorder::inserting(ONE);
    let entered = recorder.entered.subscribe();
    let instance = fixture.start(recorder);
    fixture.await_effects(3).await;
    assert_eq!(instance.stop().await, Ok(()));
    assert_eq!(*entered.borrow(), 0, "no transaction was begun for it");
    fixture.assert_once_and_in_order(3).await;
    assert_eq!(fixture.next_offsets().await, 3);
}

/// Given an offset that was moved by somebody else, when the next event comes, then that has no effect, and the one from which the
/// offset goes on has.
#[tokio::test(flavor = "multi_thread")]
async fn a_stale_offset_has_no_effect() {
    let fixture = Fixture::new("stale", ONE).await;
    let instance = fixture.start(Recorder::inserting(ONE));
    fixture.produce(&ONE[0], vec![record("a", 1)]).await;
    fixture.await_effects(1).await;
    fixture.admin.execute(r#"UPDATE "the view".inbox_offset SET next_offset = 2"#, &[]).await.unwrap();
    fixture.produce(&ONE[0], vec![record("a", 2)]).await;
    fixture.produce(&ONE[0], vec![record("a", 3)]).await;
    fixture.await_effects(2).await;
    assert_eq!(instance.stop().await, Ok(()));
    let skipped = fixture.number(r#"SELECT count(*) FROM "the view".effect WHERE n = 2"#, &[]).await;
    assert_eq!((fixture.effects().await, skipped, fixture.next_offsets().await), (2, 0, 3));
}

/// Given somebody who holds the offset and then wants the table, as a rebuild does that takes its place, when an event comes, then
/// neither waits for the other.
#[tokio::test(flavor = "multi_thread")]
async fn who_holds_the_offset_may_lock_the_table() {
    let fixture = Fixture::new("held", ONE).await;
    let instance = fixture.start(Recorder::inserting(ONE));
    fixture.produce(&ONE[0], vec![record("a", 1)]).await;
    fixture.await_effects(1).await;
    let mut holder = connect(&fixture.admin_url()).await;
    let holds = holder.transaction().await.unwrap();
    holds.batch_execute(r#"SELECT FROM "the view".inbox_offset FOR UPDATE"#).await.unwrap();
    fixture.produce(&ONE[0], vec![record("a", 2)]).await;
    fixture.await_waiting(1).await;
    let lock = r#"SET LOCAL lock_timeout = '1ms'; LOCK TABLE "the view".effect IN ACCESS EXCLUSIVE MODE"#;
    holds.batch_execute(lock).await.unwrap();
    holds.commit().await.unwrap();
    fixture.await_effects(2).await;
    assert_eq!(instance.stop().await, Ok(()));
    fixture.assert_once_and_in_order(2).await;
}

/// Given a statement that waits for longer than an end may take, when the intake is stopped and another one started, then the server
/// may still execute it, and what it has done is not done again.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_outlives_its_intake_has_its_effect_once() {
    let fixture = Fixture::new("outlived", ONE).await;
    let first = fixture.start(Recorder::inserting(ONE));
    fixture.produce(&ONE[0], vec![record("a", 1)]).await;
    fixture.await_effects(1).await;
    let mut holder = connect(&fixture.admin_url()).await;
    let holds = holder.transaction().await.unwrap();
    holds.batch_execute(r#"LOCK TABLE "the view".effect IN SHARE MODE"#).await.unwrap();
    fixture.produce(&ONE[0], vec![record("a", 2)]).await;
    fixture.await_waiting(1).await;
    assert_eq!(first.stop().await, Ok(()));
    let second = fixture.start(Recorder::inserting(ONE));
    fixture.await_waiting(2).await;
    holds.rollback().await.unwrap();
    fixture.produce(&ONE[0], vec![record("a", 3)]).await;
    fixture.await_effects(3).await;
    assert_eq!(second.stop().await, Ok(()));
    fixture.assert_once_and_in_order(3).await;
    assert_eq!(fixture.next_offsets().await, 3);
}

/// Given an aggregate that is parked, when events come, then its own queue and the others are applied; and once what is parked is
/// seen to, single statements do again.
#[tokio::test(flavor = "multi_thread")]
async fn while_something_is_parked_events_are_sorted() {
    let fixture = Fixture::new("sorted", ONE).await;
    let recorder = Recorder::inserting(ONE);
    let entered = recorder.entered.subscribe();
    let instance = fixture.start(recorder);
    fixture.produce(&ONE[0], vec![record("bad", 13)]).await;
    fixture.await_dead_letters_of("bad", 1).await;
    fixture.produce(&ONE[0], vec![record("bad", 14), record("good", 1)]).await;
    fixture.await_effects(1).await;
    fixture.await_dead_letters_of("bad", 2).await;
    let skip = ["skip", "--handler", "recorder", "--aggregate", "bad", "--yes"];
    fixture.command(Recorder::of(ONE), &skip).await.unwrap();
    fixture.command(Recorder::of(ONE), &["retry", "--all"]).await.unwrap();
    fixture.await_effects(2).await;
    instance.await_metric("inbox_parked_aggregates", 0.0).await;
    let before = *entered.borrow();
    assert!(before > 0, "what was parked was looked at");
    fixture.produce(&ONE[0], vec![record("bad", 15)]).await;
    fixture.await_effects(3).await;
    assert_eq!(instance.stop().await, Ok(()));
    assert_eq!(*entered.borrow(), before, "nothing is parked any more");
    fixture.assert_once_and_in_order(3).await;
}
