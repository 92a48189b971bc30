//! A batch of one partition whose effect is a single `INSERT`, and what makes it take a transaction after all; and batches that wait
//! for more.

use std::time::Duration;

use inbox::Intake;

use crate::fixture::{DEADLINE, Fixture, ONE, Recorder, connect, record};

impl Fixture {
    /// In how many transactions the effects came.
    async fn transactions(&self) -> i64 {
        self.number(r#"SELECT count(DISTINCT xmin::text) FROM "the view".effect"#, &[]).await
    }
}

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

/// Given a handler for which nobody waits, when one event comes after the other, then they are applied together.
#[tokio::test(flavor = "multi_thread")]
async fn events_are_gathered_until_the_batch_is_full() {
    let fixture = Fixture::new("gathered", ONE).await;
    let recorder = Recorder { gathers_for: Duration::from_secs(3600), ..Recorder::of(ONE) };
    let mut read = recorder.read.subscribe();
    let intake = Intake { batch: 2, ..fixture.intake("service") };
    let instance = Fixture::start_with(intake, recorder);
    fixture.produce(&ONE[0], vec![record("a", 1)]).await;
    tokio::time::timeout(DEADLINE, read.wait_for(|read| *read == 1)).await.expect("it is read").unwrap();
    fixture.produce(&ONE[0], vec![record("a", 2)]).await;
    fixture.await_effects(2).await;
    assert_eq!(instance.stop().await, Ok(()));
    assert_eq!(fixture.transactions().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_nothing_follows_is_gathered_for_no_longer_than_said() {
    let fixture = Fixture::new("alone", ONE).await;
    let recorder = Recorder { gathers_for: Duration::from_millis(50), ..Recorder::of(ONE) };
    let instance = fixture.start(recorder);
    fixture.produce(&ONE[0], vec![record("a", 1)]).await;
    fixture.await_effects(1).await;
    assert_eq!(instance.stop().await, Ok(()));
}
