//! Batches that wait for more.

use std::time::Duration;

use contracts::Topic;
use inbox::Intake;
use tokio::sync::watch;

use crate::fixture::{DEADLINE, FOUR, Fixture, ONE, Recorder, record, records};

impl Fixture {
    /// In how many transactions the effects came.
    async fn transactions(&self) -> i64 {
        self.number(r#"SELECT count(DISTINCT xmin::text) FROM "the view".effect"#, &[]).await
    }
}

/// Gathers until a batch is full. Gives also what tells how much it has read.
fn patient(topics: &'static [Topic]) -> (Recorder, watch::Receiver<usize>) {
    let recorder = Recorder { gathers_for: Duration::from_secs(3600), ..Recorder::of(topics) };
    let read = recorder.read.subscribe();
    (recorder, read)
}

async fn await_read(read: &mut watch::Receiver<usize>, count: usize) {
    tokio::time::timeout(DEADLINE, read.wait_for(|read| *read >= count)).await.expect("they are read").unwrap();
}

/// Given a handler for which nobody waits, when one event comes after the other, then they are applied together.
#[tokio::test(flavor = "multi_thread")]
async fn events_are_gathered_until_the_batch_is_full() {
    let fixture = Fixture::new("gathered", ONE).await;
    let (recorder, mut read) = patient(ONE);
    let intake = Intake { batch: 2, ..fixture.intake("service") };
    let instance = Fixture::start_with(intake, recorder);
    fixture.produce(&ONE[0], vec![record("a", 1)]).await;
    await_read(&mut read, 1).await;
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

/// Given events that wait for more, when the intake is stopped, then it does not wait, and they come again.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_gathered_at_a_stop_is_applied_by_the_next() {
    let fixture = Fixture::new("gathered, stopped", ONE).await;
    let (recorder, mut read) = patient(ONE);
    let instance = fixture.start(recorder);
    fixture.produce(&ONE[0], records(0, 10)).await;
    await_read(&mut read, 10).await;
    assert_eq!(instance.stop().await, Ok(()));
    assert_eq!(fixture.effects().await, 0);
    let next = fixture.start(Recorder::of(ONE));
    fixture.await_effects(10).await;
    assert_eq!(next.stop().await, Ok(()));
    fixture.assert_once_and_in_order(10).await;
}

/// Given events that wait for more, when another instance joins, then whoever has their partitions afterwards applies them.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_gathered_when_partitions_are_given_up_is_read_again() {
    let fixture = Fixture::new("gathered, revoked", FOUR).await;
    let (recorder, mut read) = patient(FOUR);
    let patient = fixture.start(recorder);
    fixture.produce(&FOUR[0], records(0, 100)).await;
    await_read(&mut read, 100).await;
    let other = fixture.start(Recorder::of(FOUR));
    fixture.await_effects(1).await;
    assert!(fixture.effects().await < 100, "the other instance has a share of them only");
    assert_eq!(patient.stop().await, Ok(()));
    fixture.await_effects(100).await;
    assert_eq!(other.stop().await, Ok(()));
    fixture.assert_once_and_in_order(100).await;
    assert_eq!(fixture.next_offsets().await, 100);
}
