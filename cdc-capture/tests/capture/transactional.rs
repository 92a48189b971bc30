//! Delivery in Kafka's transactions: a consumer of committed records sees each event once, whatever dies.

use std::time::Duration;

use cdc_capture::{Settings, delivery::Delivery, outbox::Preset};
use contracts::envelope::Position;
use servers::{Process, eventually, topics};

use crate::{
    outbox::{Outbox, Relay, SOON},
    restart::take_over_from_a_stopped_one,
};

pub(crate) const POSITIONS: &str = "cdc-capture-positions";

pub(crate) async fn outbox(purpose: &str) -> Outbox {
    with_positions(Outbox::create(purpose).await).await
}

pub(crate) async fn with_positions(outbox: Outbox) -> Outbox {
    let (bootstrap, topic) = (&outbox.kafka.bootstrap_servers, outbox.kafka.topic(POSITIONS));
    topics::create(bootstrap, &topic, 1, &[("cleanup.policy", "compact")]).await.unwrap();
    outbox
}

pub(crate) fn settings(outbox: &Outbox) -> Settings {
    let mut settings = outbox.settings();
    settings.delivery =
        Delivery::Transactional { position_topic: POSITIONS.to_owned(), commit_interval: Duration::from_millis(100) };
    settings
}

pub(crate) fn environment(outbox: &Outbox) -> Vec<(&str, &str)> {
    let mut environment = outbox.environment();
    environment.push(("DELIVERY", "transactional"));
    environment
}

#[tokio::test]
async fn a_process_that_is_killed_again_and_again_repeats_nothing() {
    const ROWS: i64 = 12_000;
    const KILLS: usize = 5;
    let outbox = outbox("exactly").await;
    let writing = async {
        for n in (0..ROWS).step_by(20) {
            outbox.insert("k", n..n + 20).await;
        }
    };
    let killing = async {
        for _ in 0..KILLS {
            let before = outbox.confirmed().await;
            let process = Process::spawn("cdc-capture", ["run"], &environment(&outbox)).unwrap();
            eventually("it has confirmed something", SOON, async || outbox.confirmed().await > before).await;
            process.kill().await.unwrap();
        }
    };
    tokio::join!(writing, killing);
    let relay = Relay::start(settings(&outbox));
    outbox.drained().await;
    relay.stop().await;
    assert_eq!(outbox.assert_all_there("k", ROWS).await, 0);
}

#[tokio::test]
async fn a_large_transaction_is_taken_up_in_its_middle() {
    const ROWS: i64 = 120_000;
    let outbox = outbox("middle").await;
    outbox.insert("k", 0..ROWS).await;
    let mut deaths_in_its_middle = 0;
    loop {
        let before = outbox.records(POSITIONS).await;
        // A fast one has committed all before it is killed.
        if before.last().is_some_and(|last| position(last).ordinal == ROWS as u32 - 1) {
            break;
        }
        deaths_in_its_middle += i32::from(!before.is_empty());
        if deaths_in_its_middle == 3 {
            break;
        }
        let process = Process::spawn("cdc-capture", ["run"], &environment(&outbox)).unwrap();
        let more = async || outbox.records(POSITIONS).await.len() > before.len();
        eventually("it has committed", SOON, more).await;
        process.kill().await.unwrap();
    }
    assert!(deaths_in_its_middle > 0, "the first one has committed all before it was killed");
    let relay = Relay::start(settings(&outbox));
    outbox.drained().await;
    relay.stop().await;
    assert_eq!(outbox.assert_all_there("k", ROWS).await, 0);
    let commits: Vec<Position> = outbox.records(POSITIONS).await.iter().map(position).collect();
    assert!(commits.windows(2).all(|pair| pair[0].commit == pair[1].commit && pair[0].ordinal < pair[1].ordinal));
    assert_eq!(commits.last().unwrap().ordinal, ROWS as u32 - 1);
}

fn position(record: &topics::Record) -> Position {
    std::str::from_utf8(record.value.as_deref().unwrap()).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_stopped_relay_that_wakes_up_after_another_took_over_writes_nothing() {
    let outbox = outbox("fenced").await;
    assert_eq!(take_over_from_a_stopped_one(&outbox, &environment(&outbox), settings(&outbox)).await, 0);
}

#[tokio::test]
async fn it_needs_no_position_on_the_events() {
    let outbox = outbox("plain").await;
    outbox.create_topic("outbox.event.order", 2).await;
    let mut settings = settings(&outbox);
    settings.format = cdc_capture::outbox::Format::of(Preset::Debezium);
    settings.format.position_header = false;
    for round in 0..5 {
        outbox.insert("k", round * 200..round * 200 + 200).await;
        let relay = Relay::start(settings.clone());
        let count = async || outbox.records("outbox.event.order").await.len() as i64 > round * 200;
        eventually("some are committed", SOON, count).await;
        relay.kill().await;
    }
    let relay = Relay::start(settings);
    outbox.drained().await;
    relay.stop().await;
    let numbers: Vec<i64> = outbox.records("outbox.event.order").await.iter().map(crate::outbox::number).collect();
    assert_eq!(numbers, (0..1_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_missing_topic_for_positions_is_named_and_waited_for() {
    let outbox = Outbox::create("nopositions").await;
    let relay = Relay::start(settings(&outbox));
    outbox.insert("k", 0..10).await;
    relay.until_part_says("kafka", &format!("topic {}", outbox.kafka.topic(POSITIONS))).await;
    outbox.create_topic(POSITIONS, 1).await;
    outbox.drained().await;
    relay.until("ready", |report| report.ready).await;
    relay.stop().await;
    assert_eq!(outbox.assert_all_there("k", 10).await, 0);
}

#[tokio::test]
async fn a_relay_can_change_from_one_delivery_to_the_other() {
    let outbox = outbox("change").await;
    for round in 0..6 {
        let relay = match round % 2 {
            0 => outbox.start(),
            _ => Relay::start(settings(&outbox)),
        };
        outbox.insert("k", round * 500..round * 500 + 500).await;
        outbox.drained().await;
        relay.stop().await;
    }
    assert_eq!(outbox.assert_all_there("k", 3_000).await, 0);
}

#[tokio::test]
async fn a_lost_slot_is_replaced_in_transactions_too() {
    const ROWS: i64 = 80_000;
    let outbox = outbox("replaced").await;
    let relay = Relay::start(settings(&outbox));
    outbox.insert("k", 0..100).await;
    outbox.drained().await;
    relay.stop().await;
    outbox.execute(&format!("SELECT pg_drop_replication_slot('{}')", outbox.slot)).await;
    outbox.insert("k", 100..ROWS).await;
    // Once in the middle of it.
    let relay = Relay::start(settings(&outbox));
    eventually("some are published", SOON, async || outbox.records("order").await.len() > 100).await;
    relay.kill().await;
    let relay = Relay::start(settings(&outbox));
    relay.until("it streams", |report| report.ready).await;
    outbox.insert("k", ROWS..ROWS + 100).await;
    outbox.drained().await;
    assert_eq!(relay.metric("capture_resyncs_total"), 1.0);
    relay.stop().await;
    assert_eq!(outbox.assert_all_there("k", ROWS + 100).await, 0);
}
