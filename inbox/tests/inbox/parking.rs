//! What queues behind an event that cannot be applied, what passes it, and how an operator sees to it.

use std::sync::Arc;

use inbox::Parking;
use tokio::sync::Semaphore;

use crate::fixture::{Fixture, ONE, Recorder, connect, record, records};

const ALLOW_13: &str = r#"ALTER TABLE "the view".effect DROP CONSTRAINT effect_n_check"#;

impl Fixture {
    /// The numbers of a subject's effects, in their order.
    async fn numbers(&self, subject: &str) -> Vec<i64> {
        let sql = r#"SELECT n FROM "the view".effect WHERE subject = $1 ORDER BY place"#;
        self.admin.query(sql, &[&subject]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    async fn parked(&self) -> i64 {
        self.number(r#"SELECT count(*) FROM "the view".inbox_parked"#, &[]).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregates_later_events_queue_behind_a_poisoned_one_until_it_is_retried() {
    let fixture = Fixture::new("queue", ONE).await;
    let mut all = records(0, 50);
    all.extend([record("a", 1), record("a", 13), record("a", 14)]);
    fixture.produce(&ONE[0], all).await;
    let instance = fixture.start(Recorder::of(ONE));
    fixture.await_dead_letters_of("a", 2).await;
    fixture.produce(&ONE[0], vec![record("a", 15), record("b", 1)]).await;
    fixture.await_dead_letters_of("a", 3).await;
    fixture.await_effects(52).await;
    assert_eq!((fixture.numbers("a").await, fixture.numbers("b").await), (vec![1], vec![1]));
    instance.await_metric("inbox_parked_aggregates", 1.0).await;

    let (done, list) = fixture.command(Recorder::of(ONE), &["list"]).await.unwrap();
    assert!(done && list.contains("SQLSTATE 23514") && list.contains("waits behind"), "{list}");
    let (done, said) = fixture.command(Recorder::of(ONE), &["retry", "--all"]).await.unwrap();
    assert!(!done && said.contains("0 applied, 3 left") && said.contains("still refused"), "{said}");

    fixture.admin.batch_execute(ALLOW_13).await.unwrap();
    let (done, said) = fixture.command(Recorder::of(ONE), &["retry", "--aggregate", "a"]).await.unwrap();
    assert!(done && said.contains("3 applied, 0 left"), "{said}");
    assert_eq!((fixture.numbers("a").await, fixture.parked().await), (vec![1, 13, 14, 15], 0));
    // Though nothing comes that would be applied.
    instance.await_metric("inbox_parked_aggregates", 0.0).await;
    fixture.produce(&ONE[0], vec![record("a", 16)]).await;
    fixture.await_effects(56).await;
    assert_eq!(instance.stop().await, Ok(()));
    fixture.assert_once_and_in_order(56).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skipped_event_lets_the_rest_be_retried() {
    let fixture = Fixture::new("skip", ONE).await;
    fixture.produce(&ONE[0], vec![record("a", 13), record("a", 14)]).await;
    let instance = fixture.start(Recorder::of(ONE));
    fixture.await_dead_letters_of("a", 2).await;
    let skip = ["skip", "--handler", "recorder", "--aggregate", "a"];
    let refused = fixture.command(Recorder::of(ONE), &skip).await.unwrap_err();
    assert!(refused.contains("--yes"), "{refused}");
    let confirmed: Vec<&str> = skip.into_iter().chain(["--yes"]).collect();
    let (_, said) = fixture.command(Recorder::of(ONE), &confirmed).await.unwrap();
    assert!(said.contains("1 left"), "{said}");
    assert!(fixture.command(Recorder::of(ONE), &["retry", "--all"]).await.unwrap().0);
    assert_eq!((fixture.numbers("a").await, fixture.parked().await), (vec![14], 0));
    assert_eq!(instance.stop().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_passed_by_a_later_document() {
    let fixture = Fixture::new("passed", ONE).await;
    let view = || Recorder { parking: Parking::Replace, ..Recorder::of(ONE) };
    let instance = fixture.start(view());
    fixture.produce(&ONE[0], vec![record("a", 13), record("b", 13)]).await;
    fixture.await_dead_letters_of("b", 1).await;
    fixture.produce(&ONE[0], vec![record("a", 14)]).await;
    fixture.await_effects(1).await;
    assert_eq!(fixture.reasons().await.len(), 1, "that of a is obsolete, that of b is not");
    assert_eq!(fixture.parked().await, 1);
    assert_eq!(instance.stop().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_parked_aggregates_stop_the_partition_until_they_are_retried() {
    let mut fixture = Fixture::new("limit", ONE).await;
    fixture.max_parked = 2;
    let mut all: Vec<_> = ["a", "b", "c"].map(|subject| record(subject, 13)).into();
    all.push(record("d", 1));
    fixture.produce(&ONE[0], all).await;
    let instance = fixture.start(Recorder::of(ONE));
    instance.await_state(false, "inbox retry --all").await;
    assert_eq!((fixture.parked().await, fixture.effects().await, fixture.next_offsets().await), (2, 0, 2));
    fixture.admin.batch_execute(ALLOW_13).await.unwrap();
    assert!(fixture.command(Recorder::of(ONE), &["retry", "--all"]).await.unwrap().0);
    instance.await_state(true, "").await;
    fixture.await_effects(4).await;
    assert_eq!(instance.stop().await, Ok(()));
    fixture.assert_once_and_in_order(4).await;
}

/// A producer with a fault in its keys would have everything set aside, and nobody would notice.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_messages_without_a_usable_key_stop_the_partition_until_they_are_skipped() {
    let mut fixture = Fixture::new("keyless", ONE).await;
    fixture.max_parked = 2;
    let mut all: Vec<_> = (1..=4).map(|n| record("a", n)).collect();
    (all[0].key, all[1].key, all[2].key) = (None, Some(b"another".to_vec()), None);
    fixture.produce(&ONE[0], all).await;
    let instance = fixture.start(Recorder::of(ONE));
    instance.await_state(false, "messages without a usable key").await;
    assert_eq!((fixture.reasons().await.len(), fixture.effects().await, fixture.next_offsets().await), (2, 0, 2));

    let (done, said) = fixture.command(Recorder::of(ONE), &["retry", "--all"]).await.unwrap();
    assert!(!done && said.contains("2 set aside without a usable key, which cannot be retried"), "{said}");
    let (_, list) = fixture.command(Recorder::of(ONE), &["list"]).await.unwrap();
    assert!(list.contains("- (no key)") && list.contains("- (key another)"), "{list}");
    let topic = fixture.kafka.topic(ONE[0].name);
    let first = format!("{topic}/0/0");
    let skip = ["skip", "--handler", "recorder", "--message", &first, "--yes"];
    let (done, said) = fixture.command(Recorder::of(ONE), &skip).await.unwrap();
    assert!(done && said.contains(&format!("skipped {first}")), "{said}");
    let again = fixture.command(Recorder::of(ONE), &skip).await.unwrap_err();
    assert!(again.contains("has set aside no message"), "{again}");
    for malformed in ["1", "a/1", "a/b/1", "a/0/x"] {
        let line = ["skip", "--handler", "recorder", "--message", malformed, "--yes"];
        let refused = fixture.command(Recorder::of(ONE), &line).await.unwrap_err();
        assert!(refused.contains("is not TOPIC/PARTITION/OFFSET"), "{refused}");
    }

    instance.await_state(true, "").await;
    fixture.await_effects(1).await;
    assert_eq!((fixture.numbers("a").await, fixture.reasons().await.len()), (vec![4], 2));
    assert_eq!(instance.stop().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_good_again_in_the_same_batch_takes_no_room() {
    let mut fixture = Fixture::new("passed in a batch", ONE).await;
    fixture.max_parked = 2;
    let numbers = [("a", 13), ("b", 13), ("c", 13), ("b", 14), ("d", 1)];
    fixture.produce(&ONE[0], numbers.map(|(subject, n)| record(subject, n)).into()).await;
    let instance = fixture.start(Recorder { parking: Parking::Replace, ..Recorder::of(ONE) });
    fixture.await_effects(2).await;
    instance.await_state(true, "").await;
    assert_eq!((fixture.parked().await, fixture.next_offsets().await), (2, 5));
    assert_eq!(instance.stop().await, Ok(()));
}

/// Given an event that cannot be applied, when a later one of its aggregate comes, then that is applied, and the first one waits
/// still until it is retried.
#[tokio::test(flavor = "multi_thread")]
async fn events_that_do_not_build_on_each_other_pass_and_are_kept() {
    let fixture = Fixture::new("alone", ONE).await;
    let lines = || Recorder { parking: Parking::Alone, ..Recorder::of(ONE) };
    let instance = fixture.start(lines());
    fixture.produce(&ONE[0], vec![record("a", 13), record("a", 14)]).await;
    fixture.await_effects(1).await;
    fixture.produce(&ONE[0], vec![record("a", 15)]).await;
    fixture.await_effects(2).await;
    assert_eq!(
        (fixture.numbers("a").await, fixture.reasons().await.len(), fixture.parked().await),
        (vec![14, 15], 1, 1)
    );
    fixture.admin.batch_execute(ALLOW_13).await.unwrap();
    assert!(fixture.command(lines(), &["retry", "--all"]).await.unwrap().0);
    assert_eq!((fixture.numbers("a").await, fixture.parked().await), (vec![14, 15, 13], 0));
    assert_eq!(instance.stop().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_during_a_retry_is_applied_after_it() {
    comes_during_a_retry("behind retry", Recorder::of(ONE)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_needs_a_single_statement_and_comes_during_a_retry_is_applied_after_it() {
    comes_during_a_retry("statement behind retry", Recorder::inserting(ONE)).await;
}

/// Given a retry that has applied parked events and has not committed yet, when the next event of their aggregate comes, then that
/// waits, and finds nothing any more to queue behind.
async fn comes_during_a_retry(purpose: &str, recorder: Recorder) {
    let fixture = Fixture::new(purpose, ONE).await;
    fixture.produce(&ONE[0], vec![record("a", 13), record("a", 14)]).await;
    let instance = fixture.start(recorder);
    fixture.await_dead_letters_of("a", 2).await;
    fixture.admin.batch_execute(ALLOW_13).await.unwrap();

    let permits = Arc::new(Semaphore::new(0));
    let (gated, mut entered) = Recorder::gated(ONE, &permits);
    let meanwhile = async {
        entered.wait_for(|count| *count == 1).await.unwrap();
        fixture.produce(&ONE[0], vec![record("a", 15)]).await;
        fixture.await_waiting(1).await;
        assert_eq!(fixture.effects().await, 0, "neither has committed");
        permits.add_permits(2);
    };
    let (retried, ()) = tokio::join!(fixture.command(gated, &["retry", "--all"]), meanwhile);
    let (done, said) = retried.unwrap();
    assert!(done && said.contains("2 applied, 0 left"), "{said}");
    fixture.await_effects(3).await;
    assert_eq!((fixture.numbers("a").await, fixture.parked().await), (vec![13, 14, 15], 0));
    assert_eq!(instance.stop().await, Ok(()));
    fixture.assert_once_and_in_order(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_comes_while_an_event_is_parked_applies_that_too() {
    comes_while_an_event_is_parked("behind parking", Recorder::of(ONE)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_comes_while_one_is_parked_that_needs_a_single_statement_applies_that_too() {
    comes_while_an_event_is_parked("statement behind parking", Recorder::inserting(ONE)).await;
}

/// Given an event that is about to queue behind parked ones, when these are retried, then the retry waits, and applies it too.
async fn comes_while_an_event_is_parked(purpose: &str, recorder: Recorder) {
    let fixture = Fixture::new(purpose, ONE).await;
    fixture.produce(&ONE[0], vec![record("a", 13), record("a", 14)]).await;
    let instance = fixture.start(recorder);
    fixture.await_dead_letters_of("a", 2).await;
    fixture.admin.batch_execute(ALLOW_13).await.unwrap();

    // Whoever sets something aside waits for this, with the lock of what is parked in its hands.
    let mut owner = connect(&fixture.admin_url()).await;
    let gate = owner.transaction().await.unwrap();
    gate.batch_execute(r#"LOCK TABLE "the view".inbox_dead_letter IN SHARE MODE"#).await.unwrap();
    fixture.produce(&ONE[0], vec![record("a", 15)]).await;
    fixture.await_waiting(1).await;
    let meanwhile = async {
        fixture.await_waiting(2).await;
        gate.rollback().await.unwrap();
    };
    let (retried, ()) = tokio::join!(fixture.command(Recorder::of(ONE), &["retry", "--all"]), meanwhile);
    let (done, said) = retried.unwrap();
    assert!(done && said.contains("3 applied, 0 left"), "{said}");
    assert_eq!((fixture.numbers("a").await, fixture.parked().await), (vec![13, 14, 15], 0));
    fixture.produce(&ONE[0], vec![record("a", 16)]).await;
    fixture.await_effects(4).await;
    assert_eq!(instance.stop().await, Ok(()));
    fixture.assert_once_and_in_order(4).await;
}
