//! Each event has its effect once, whatever is delivered again and whoever dies.

use std::{sync::Arc, time::Instant};

use rdkafka::{
    ClientConfig,
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use tokio::sync::Semaphore;

use crate::fixture::{DEADLINE, FOUR, Fixture, ONE, Recorder, bootstrap, record, record_of, records};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_handler_reads_from_the_beginning_and_goes_on_where_it_was() {
    let fixture = Fixture::new("goes on", FOUR).await;
    fixture.produce(&FOUR[0], records(0, 5_000)).await;
    let first = fixture.start(Recorder::of(FOUR));
    fixture.await_effects(5_000).await;
    assert_eq!(first.stop().await, Ok(()));
    fixture.produce(&FOUR[0], records(5_000, 100)).await;
    let second = fixture.start(Recorder::of(FOUR));
    fixture.await_effects(5_100).await;
    assert_eq!(second.stop().await, Ok(()));
    fixture.assert_once_and_in_order(5_100).await;
    assert_eq!(fixture.next_offsets().await, 5_100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_effect_and_commit_loses_and_doubles_nothing() {
    let fixture = Fixture::new("crash", FOUR).await;
    fixture.produce(&FOUR[0], records(0, 20_000)).await;
    for crash in 0..3 {
        // As many transactions are let through, the next one is caught before its commit.
        let permits = Arc::new(Semaphore::new(crash));
        let (handler, mut entered) = Recorder::gated(FOUR, &permits);
        let instance = fixture.start(handler);
        tokio::time::timeout(DEADLINE, entered.wait_for(|count| *count > crash)).await.unwrap().unwrap();
        instance.kill().await;
    }
    assert!(fixture.effects().await < 20_000);
    let last = fixture.start(Recorder::of(FOUR));
    fixture.await_effects(20_000).await;
    assert_eq!(last.stop().await, Ok(()));
    fixture.assert_once_and_in_order(20_000).await;
}

/// Given a server that is set to answer commits before they are on the disk, when events are applied, then theirs wait for it, and a
/// setting that says more than that stays.
#[tokio::test(flavor = "multi_thread")]
async fn effects_are_on_the_disk_whatever_the_servers_setting() {
    let fixture = Fixture::new("synchronous", ONE).await;
    let note = r#"ALTER TABLE "the view".effect ADD COLUMN setting text DEFAULT current_setting('synchronous_commit')"#;
    fixture.admin.batch_execute(note).await.unwrap();
    for (at, setting) in (1..).zip(["off", "remote_apply"]) {
        let set = format!("ALTER ROLE {} SET synchronous_commit = {setting}", fixture.role);
        fixture.admin.batch_execute(&set).await.unwrap();
        fixture.produce(&ONE[0], vec![record("a", at)]).await;
        let instance = fixture.start(Recorder::of(ONE));
        fixture.await_effects(at).await;
        assert_eq!(instance.stop().await, Ok(()));
    }
    let settings = r#"SELECT setting FROM "the view".effect ORDER BY place"#;
    let settings: Vec<String> =
        fixture.admin.query(settings, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(settings, ["on", "remote_apply"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_the_batch_in_hand() {
    let fixture = Fixture::new("stop", ONE).await;
    fixture.produce(&ONE[0], records(0, 10)).await;
    let permits = Arc::new(Semaphore::new(0));
    let (handler, mut entered) = Recorder::gated(ONE, &permits);
    let instance = fixture.start(handler);
    tokio::time::timeout(DEADLINE, entered.wait_for(|count| *count == 1)).await.unwrap().unwrap();
    instance.shutdown.cancel();
    permits.add_permits(1);
    assert_eq!(instance.stop().await, Ok(()));
    let effects = fixture.effects().await;
    assert!(effects > 0);
    assert_eq!(fixture.next_offsets().await, effects);
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_in_the_offsets_are_no_loss() {
    let fixture = Fixture::new("gaps", ONE).await;
    let topic = fixture.kafka.topic(ONE[0].name);
    let produced = tokio::task::spawn_blocking(move || {
        let producer: ThreadedProducer<DefaultProducerContext> =
            ClientConfig::new().set("bootstrap.servers", bootstrap()).set("transactional.id", &topic).create().unwrap();
        producer.init_transactions(DEADLINE).unwrap();
        // Of 20 transactions with 5 messages and a marker each, every other one is aborted.
        for transaction in 0..20 {
            producer.begin_transaction().unwrap();
            for new in records(transaction * 5, 5) {
                let mut headers = rdkafka::message::OwnedHeaders::new();
                for (key, value) in &new.headers {
                    headers = headers.insert(rdkafka::message::Header { key, value: Some(value) });
                }
                let (key, value) = (new.key.unwrap(), new.value.unwrap());
                producer.send(BaseRecord::to(&topic).key(&key).payload(&value).headers(headers)).unwrap();
            }
            producer.flush(DEADLINE).unwrap();
            if transaction % 2 == 0 {
                producer.commit_transaction(DEADLINE).unwrap();
            } else {
                producer.abort_transaction(DEADLINE).unwrap();
            }
        }
    });
    produced.await.unwrap();
    let first = fixture.start(Recorder::of(ONE));
    fixture.await_effects(50).await;
    assert_eq!(first.stop().await, Ok(()));
    fixture.produce(&ONE[0], vec![record("last", 1_000)]).await;
    let second = fixture.start(Recorder::of(ONE));
    fixture.await_effects(51).await;
    assert_eq!(second.stop().await, Ok(()));
    fixture.assert_once_and_in_order(51).await;
    assert_eq!(fixture.next_offsets().await, 121);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_no_interest_only_moves_the_offset() {
    let fixture = Fixture::new("no interest", ONE).await;
    let dull = record_of("test.Uninteresting.v1", "dull", 1);
    fixture.produce(&ONE[0], vec![record("a", 1), dull, record("a", 2)]).await;
    let instance = fixture.start(Recorder::of(ONE));
    fixture.await_effects(2).await;
    assert_eq!(instance.stop().await, Ok(()));
    fixture.assert_once_and_in_order(2).await;
    assert_eq!((fixture.next_offsets().await, fixture.reasons().await.len()), (3, 0));
}

/// Each event is produced only when the one before is applied, so each must be applied without waiting for another one.
/// How long that takes is printed.
#[tokio::test(flavor = "multi_thread")]
async fn a_single_event_waits_for_nothing() {
    const EVENTS: i64 = 200;
    let fixture = Fixture::new("idle", FOUR).await;
    let instance = fixture.start(Recorder::of(FOUR));
    instance.await_state(true, "").await;
    let producer: ThreadedProducer<DefaultProducerContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap()).set("linger.ms", "0").create().unwrap();
    let topic = fixture.kafka.topic(FOUR[0].name);
    let mut waits = Vec::new();
    for new in records(0, EVENTS) {
        let mut headers = rdkafka::message::OwnedHeaders::new();
        for (key, value) in &new.headers {
            headers = headers.insert(rdkafka::message::Header { key, value: Some(value) });
        }
        let (key, value) = (new.key.unwrap(), new.value.unwrap());
        let before = instance.metric("inbox_events_applied_total").unwrap_or_default();
        let sent = Instant::now();
        producer.send(BaseRecord::to(&topic).key(&key).payload(&value).headers(headers)).unwrap();
        let applied = async || {
            Ok::<_, std::convert::Infallible>(
                instance.metric("inbox_events_applied_total").unwrap_or_default() > before,
            )
        };
        let deadline = tokio::time::Instant::now() + DEADLINE;
        assert_eq!(instance.applied.wait_until(deadline, applied).await, Ok(true));
        waits.push(sent.elapsed());
    }
    waits.sort();
    println!("produced to applied: p50 {:?}, p99 {:?}", waits[waits.len() / 2], waits[waits.len() * 99 / 100]);
    fixture.assert_once_and_in_order(EVENTS).await;
    assert_eq!(instance.metric("inbox_batches_total"), Some(200.0), "each was a batch of its own");
    assert_eq!(instance.stop().await, Ok(()));
}
