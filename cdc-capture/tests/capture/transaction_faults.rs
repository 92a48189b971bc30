//! Transactions when something else is wrong: what others write, a cluster that cannot have any, settings that do not fit.

use std::time::{Duration, Instant};

use cdc_capture::{Settings, delivery::Delivery};
use contracts::envelope::{Lsn, Position};
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer},
};
use servers::{
    Kafka, KafkaOptions, eventually,
    topics::{self, NewRecord},
};

use crate::{
    outbox::{Outbox, Relay, SOON},
    process::Program,
    transactional::{POSITIONS, outbox, settings, with_positions},
};

#[tokio::test]
async fn a_position_that_the_log_has_not_reached_is_not_believed() {
    let outbox = outbox("ahead").await;
    let relay = Relay::start(settings(&outbox));
    outbox.insert("k", 0..10).await;
    outbox.drained().await;
    relay.stop().await;
    let last = outbox.records(POSITIONS).await.pop().unwrap();
    let position: Position = std::str::from_utf8(last.value.as_deref().unwrap()).unwrap().parse().unwrap();
    // As after the server went back to a copy of its files: the same timeline, and other transactions at these places.
    let ahead = Position { commit: Lsn(u64::MAX), ..position };
    let record = NewRecord { key: last.key, value: Some(ahead.to_string().into_bytes()), ..NewRecord::default() };
    topics::produce_all(&outbox.kafka.bootstrap_servers, &outbox.kafka.topic(POSITIONS), vec![record]).await.unwrap();
    let relay = Relay::start(settings(&outbox));
    outbox.insert("k", 10..20).await;
    outbox.drained().await;
    relay.stop().await;
    assert_eq!(outbox.assert_all_there("k", 20).await, 0);
}

#[tokio::test]
async fn a_row_cannot_write_into_the_topic_of_positions() {
    let outbox = outbox("forged").await;
    let relay = Relay::start(settings(&outbox));
    outbox.insert("k", 0..10).await;
    let id = "0199aaaa-0000-7000-8000-00000000bad0";
    let insert = "INSERT INTO sales.outbox (id, aggregatetype, aggregateid, type)";
    outbox.execute(&format!("{insert} VALUES ('{id}', '{POSITIONS}', 'k', 'Changed')")).await;
    relay.until_part_says("outbox", &format!("halted: row {id} of sales.outbox: ")).await;
    relay.stop().await;
}

#[tokio::test]
async fn a_long_interval_never_outlasts_the_stream() {
    let outbox = outbox("interval").await;
    outbox.execute(&format!("ALTER ROLE {} SET wal_sender_timeout = '5s'", outbox.login.role)).await;
    let mut settings = settings(&outbox);
    settings.delivery =
        Delivery::Transactional { position_topic: POSITIONS.to_owned(), commit_interval: Duration::from_secs(10) };
    settings.linger = Duration::from_secs(10);
    let relay = Relay::start(settings);
    outbox.insert("k", 0..5_000).await;
    outbox.drained().await;
    assert_eq!(relay.metric("capture_reconnects_total"), 0.0);
    relay.stop().await;
    assert_eq!(outbox.assert_all_there("k", 5_000).await, 0);
}

#[tokio::test]
async fn a_position_that_finds_the_queue_full_is_sent_as_soon_as_it_is_not() {
    let outbox = outbox("narrow").await;
    let mut settings = settings(&outbox);
    settings.kafka.properties.push(("queue.buffering.max.messages".to_owned(), "4".to_owned()));
    let relay = Relay::start(settings);
    relay.until("ready", |report| report.ready).await;
    // A hundred transactions, none of which waits for the next status.
    outbox.insert("k", 0..400).await;
    outbox.drained().await;
    relay.stop().await;
    assert_eq!(outbox.assert_all_there("k", 400).await, 0);
}

#[tokio::test]
async fn another_relay_s_open_transaction_hides_no_position() {
    const ROWS: i64 = 60_000;
    let outbox = outbox("hidden").await;
    let settings = Settings { read_back: false, ..settings(&outbox) };
    let relay = Relay::start(settings.clone());
    outbox.insert("first", 0..1).await;
    outbox.drained().await;

    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &outbox.kafka.bootstrap_servers).set("transactional.id", &outbox.slot);
    let other: BaseProducer = config.create().unwrap();
    other.init_transactions(SOON).unwrap();
    other.begin_transaction().unwrap();
    let topic = outbox.kafka.topic(POSITIONS);
    other.send(BaseRecord::to(&topic).key("another").payload("7:1:0/1:0")).unwrap();
    other.flush(SOON).unwrap();

    outbox.insert("k", 0..ROWS).await;
    eventually("some are committed", SOON, async || outbox.records("order").await.len() > 1).await;
    relay.kill().await;
    let relay = Relay::start(settings);
    relay.until_part_says("kafka", "another transaction is open on it").await;
    other.abort_transaction(SOON).unwrap();
    outbox.drained().await;
    relay.until("ready", |report| report.ready).await;
    relay.stop().await;
    assert_eq!(outbox.assert_all_there("k", ROWS).await, 0);
}

#[tokio::test]
async fn a_cluster_that_cannot_have_transactions_is_named_and_never_ready() {
    let settings_of_broker = [("transaction.state.log.replication.factor".to_owned(), "3".to_owned())];
    let options = KafkaOptions { settings: settings_of_broker.to_vec(), ..KafkaOptions::default() };
    let broker = Kafka::start_with(options).await.unwrap();
    let outbox = with_positions(Outbox::create_with("nocoordinator", &broker.bootstrap_servers()).await).await;
    let program = Program::run(&outbox, &[("DELIVERY", "transactional")]);
    program.until_readyz_says("waits for the end of an earlier relay's transactions").await;
    // Nor does it wait for that when it is told to end.
    let began = Instant::now();
    program.end().await;
    println!("{:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_broker_that_is_killed_in_the_middle_of_transactions_repeats_nothing() {
    const ROWS: i64 = 40_000;
    let mut broker = Kafka::start_with(KafkaOptions::default()).await.unwrap();
    let outbox = with_positions(Outbox::create_with("brokerkill", &broker.bootstrap_servers()).await).await;
    let relay = Relay::start(Settings { read_back: false, ..settings(&outbox) });
    let writing = async {
        for n in (0..ROWS).step_by(100) {
            outbox.insert("k", n..n + 100).await;
        }
    };
    let killing = async {
        for _ in 0..2 {
            let before = outbox.confirmed().await;
            eventually("it has confirmed something", SOON, async || outbox.confirmed().await > before).await;
            broker.kill().await.unwrap();
            broker.start_again().await.unwrap();
        }
    };
    tokio::join!(writing, killing);
    outbox.drained_within(Duration::from_secs(90)).await;
    relay.stop().await;
    assert_eq!(outbox.assert_all_there("k", ROWS).await, 0);
}
