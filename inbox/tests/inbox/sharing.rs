//! Several instances of one handler: what each does while another joins, leaves, dies or works on the same partitions.

use contracts::Topic;
use servers::eventually;

use crate::fixture::{DEADLINE, FOUR, Fixture, ONE, Recorder, records};

const ROUND: i64 = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn instances_join_and_leave_under_load() {
    joined_and_left("sharing", Recorder::of).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_need_a_single_statement_join_and_leave_under_load() {
    joined_and_left("sharing by statement", Recorder::inserting).await;
}

async fn joined_and_left(purpose: &str, recorder: fn(&'static [Topic]) -> Recorder) {
    let fixture = Fixture::new(purpose, FOUR).await;
    let first = fixture.start(recorder(FOUR));
    fixture.produce(&FOUR[0], records(0, ROUND)).await;
    let second = fixture.start(recorder(FOUR));
    fixture.produce(&FOUR[0], records(ROUND, ROUND)).await;
    let both_work = async || {
        let applied = [&first, &second].map(|it| it.metric("inbox_events_applied_total").unwrap_or_default());
        if applied.iter().all(|events| *events > 0.0) { Ok(Some(())) } else { Err(format!("{applied:?} events")) }
    };
    let mut produced = 2 * ROUND;
    // The second one gets its share when the first one has given up all: then there must still be work.
    eventually("both instances apply events", DEADLINE, async || {
        fixture.produce(&FOUR[0], records(produced, 100)).await;
        produced += 100;
        both_work().await
    })
    .await;
    assert_eq!(first.stop().await, Ok(()));
    fixture.produce(&FOUR[0], records(produced, ROUND)).await;
    produced += ROUND;
    let third = fixture.start(recorder(FOUR));
    fixture.produce(&FOUR[0], records(produced, ROUND)).await;
    produced += ROUND;
    second.kill().await;
    fixture.await_effects(produced).await;
    assert_eq!(third.stop().await, Ok(()));
    fixture.assert_once_and_in_order(produced).await;
    assert_eq!(fixture.next_offsets().await, produced);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_was_overtaken_rolls_back_and_goes_on() {
    overtaken("overtaken", Recorder::of).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_was_overtaken_by_a_single_statement_goes_on() {
    overtaken("overtaken by statement", Recorder::inserting).await;
}

/// Two services are two consumer groups: Kafka gives each of them every message. They share the handler's offsets.
async fn overtaken(purpose: &str, recorder: fn(&'static [Topic]) -> Recorder) {
    let fixture = Fixture::new(purpose, FOUR).await;
    fixture.produce(&FOUR[0], records(0, ROUND)).await;
    let instances = ["one", "two"].map(|service| fixture.start_as(service, recorder(FOUR)));
    fixture.produce(&FOUR[0], records(ROUND, ROUND)).await;
    fixture.await_effects(2 * ROUND).await;
    for instance in &instances {
        instance.await_state(true, "").await;
    }
    let mut produced = 2 * ROUND;
    for _ in 0..50 {
        fixture.produce(&FOUR[0], records(produced, 10)).await;
        produced += 10;
        fixture.await_effects(produced).await;
    }
    for instance in instances {
        assert_eq!(instance.stop().await, Ok(()));
    }
    fixture.assert_once_and_in_order(produced).await;
    assert_eq!(fixture.next_offsets().await, produced);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_without_partitions_is_a_ready_standby() {
    let fixture = Fixture::new("standby", ONE).await;
    let first = fixture.start(Recorder::of(ONE));
    first.await_state(true, "").await;
    let second = fixture.start(Recorder::of(ONE));
    let is_standby = |state: &telemetry::health::State| state.ready && state.reason.is_some();
    eventually("one of the two is a standby", DEADLINE, async || {
        let states = [first.state(), second.state()].map(Option::unwrap);
        let standbys = states.iter().filter(|state| is_standby(state)).count();
        if states.iter().all(|state| state.ready) && standbys == 1 { Ok(Some(())) } else { Err(format!("{states:?}")) }
    })
    .await;
    let (active, standby) = if is_standby(&first.state().unwrap()) { (second, first) } else { (first, second) };
    active.kill().await;
    fixture.produce(&ONE[0], records(0, 10)).await;
    fixture.await_effects(10).await;
    assert_eq!(standby.stop().await, Ok(()));
    fixture.assert_once_and_in_order(10).await;
}
