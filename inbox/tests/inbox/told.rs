//! What was committed is told to others at least once, though it is told after the commit.

use tokio::sync::watch;

use crate::fixture::{DEADLINE, Fixture, ONE, Recorder, record};

type Told = watch::Receiver<Vec<Option<usize>>>;

/// A handler that tells by these statements, and what it has told.
fn telling(statements: &[&'static str]) -> (Recorder, Told) {
    let recorder = Recorder::of(ONE);
    recorder.tells_by.lock().unwrap().extend(statements);
    let told = recorder.told.subscribe();
    (recorder, told)
}

async fn await_told(told: &mut Told, expected: &[Option<usize>]) {
    let in_time = tokio::time::timeout(DEADLINE, told.wait_for(|told| told.as_slice() == expected)).await.is_ok();
    assert!(in_time, "{:?}", told.borrow());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_told_and_who_begins_tells_that_anything_may_have_changed() {
    let fixture = Fixture::new("told", ONE).await;
    let (recorder, mut told) = telling(&[]);
    let instance = fixture.start(recorder);
    await_told(&mut told, &[None]).await;
    fixture.produce(&ONE[0], vec![record("a", 1)]).await;
    await_told(&mut told, &[None, Some(1)]).await;
    assert_eq!(instance.stop().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_told_is_told_as_soon_as_it_can() {
    let fixture = Fixture::new("not told", ONE).await;
    let (recorder, mut told) = telling(&["", "SELECT 1 / 0", "SELECT 1 / 0"]);
    let instance = fixture.start(recorder);
    await_told(&mut told, &[None]).await;
    fixture.produce(&ONE[0], vec![record("a", 1)]).await;
    await_told(&mut told, &[None, Some(1), None, None]).await;
    instance.await_state(true, "").await;
    assert_eq!(instance.stop().await, Ok(()));
    fixture.assert_once_and_in_order(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_by_one_who_died_is_told_by_who_goes_on() {
    let fixture = Fixture::new("died", ONE).await;
    let (recorder, mut told) = telling(&["", "SELECT pg_sleep(3600)"]);
    let instance = fixture.start(recorder);
    await_told(&mut told, &[None]).await;
    fixture.produce(&ONE[0], vec![record("a", 1)]).await;
    await_told(&mut told, &[None, Some(1)]).await;
    instance.kill().await;
    assert_eq!(fixture.effects().await, 1, "it was committed before it was to be told");
    let (recorder, mut told) = telling(&[]);
    let next = fixture.start(recorder);
    await_told(&mut told, &[None]).await;
    assert_eq!(next.stop().await, Ok(()));
    fixture.assert_once_and_in_order(1).await;
}
