//! What happens when something breaks: nothing is lost, and the health report says what it is.

use contracts::envelope::Position;
use servers::{Kafka, KafkaOptions, eventually, topics};

use crate::outbox::{Outbox, Relay, SOON};

#[tokio::test]
async fn a_relay_that_is_killed_again_and_again_loses_nothing() {
    const ROWS: i64 = 20_000;
    let outbox = Outbox::create("killed").await;
    let writing = async {
        for n in (0..ROWS).step_by(20) {
            outbox.insert("k", n..n + 20).await;
        }
    };
    let killing = async {
        for _ in 0..8 {
            let relay = outbox.start_ready().await;
            let before = outbox.confirmed().await;
            eventually("it has confirmed something", SOON, async || outbox.confirmed().await > before).await;
            relay.kill().await;
        }
    };
    tokio::join!(writing, killing);
    let relay = outbox.start_ready().await;
    outbox.drained().await;
    relay.stop().await;
    let repeated = outbox.assert_all_there("k", ROWS).await;
    println!("{repeated} of {ROWS} were repeated");
}

#[tokio::test]
async fn a_walsender_that_is_terminated_is_replaced() {
    let outbox = Outbox::create("terminated").await;
    let relay = outbox.start_ready().await;
    for round in 0..3 {
        outbox.insert("k", round * 100..round * 100 + 100).await;
        let terminate = format!(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{}'",
            outbox.slot
        );
        outbox.execute(&terminate).await;
        eventually("it came back", SOON, async || relay.metric("capture_reconnects_total") > round as f64).await;
        relay.until("ready again", |report| report.ready).await;
    }
    outbox.drained().await;
    relay.stop().await;
    outbox.assert_all_there("k", 300).await;
}

#[tokio::test]
async fn a_broker_that_is_absent_at_the_start_and_lost_later_is_waited_for() {
    let mut broker = Kafka::start_with(KafkaOptions::default()).await.unwrap();
    let outbox = Outbox::create_with("broker", &broker.bootstrap_servers()).await;
    broker.stop().await.unwrap();

    let relay = outbox.start();
    relay.until_part_says("kafka", "Kafka: ").await;
    outbox.insert("k", 0..100).await;
    broker.start_again().await.unwrap();
    relay.until("ready", |report| report.ready).await;
    outbox.drained().await;

    broker.kill().await.unwrap();
    outbox.insert("k", 100..200).await;
    let written = outbox.wal_position().await;
    relay.until_part_says("kafka", "Kafka: ").await;
    // Word goes to the server all the same, and never of what Kafka has not acknowledged.
    let reply = format!(
        "SELECT reply_time::text FROM pg_stat_replication WHERE application_name = 'cdc-capture'
        AND pid = (SELECT active_pid FROM pg_replication_slots WHERE slot_name = '{}')",
        outbox.slot
    );
    let before: String = outbox.client.query_one(&reply, &[]).await.unwrap().get(0);
    eventually("a status went out", SOON, async || {
        let now = outbox.client.query_opt(&reply, &[]).await.unwrap().map(|row| row.get::<_, String>(0));
        now.filter(|now| *now != before)
    })
    .await;
    assert!(outbox.confirmed().await < written);
    broker.start_again().await.unwrap();
    relay.until("ready again", |report| report.ready).await;
    outbox.drained().await;
    relay.stop().await;
    outbox.assert_all_there("k", 200).await;
}

#[tokio::test]
async fn a_broker_that_says_nothing_is_told_and_holds_reading_back() {
    let broker = Kafka::start_with(KafkaOptions::default()).await.unwrap();
    let outbox = Outbox::create_with("silent", &broker.bootstrap_servers()).await;
    let mut settings = outbox.settings();
    settings.kafka.properties.push(("queue.buffering.max.kbytes".to_owned(), "1024".to_owned()));
    let relay = Relay::start(settings);
    relay.until("ready", |report| report.ready).await;
    outbox.insert("k", 0..10).await;
    outbox.drained().await;
    broker.pause().unwrap();
    outbox.insert("k", 10..20_000).await;
    relay.until_part_says("kafka", "none acknowledged for").await;
    assert!(relay.metric("capture_in_flight_events") < 4_000.0);
    assert!(outbox.slot_is_active().await, "and the slot is kept");
    broker.resume().unwrap();
    relay.until("ready again", |report| report.ready).await;
    outbox.drained().await;
    relay.stop().await;
    outbox.assert_all_there("k", 20_000).await;
}

#[tokio::test]
async fn a_missing_topic_is_named_and_waited_for() {
    let outbox = Outbox::create("topic").await;
    let relay = outbox.start_ready().await;
    outbox.execute("INSERT INTO sales.outbox (aggregatetype, aggregateid, type) VALUES ('refund', 'a', 'Made')").await;
    relay.until_part_says("kafka", &format!("topic {}", outbox.kafka.topic("refund"))).await;
    outbox.create_topic("refund", 1).await;
    outbox.drained().await;
    relay.until("ready again", |report| report.ready).await;
    relay.stop().await;
    assert_eq!(outbox.records("refund").await.len(), 1);
}

#[tokio::test]
async fn a_row_that_cannot_be_published_halts_everything_behind_it_and_is_named() {
    let outbox = Outbox::create("halt").await;
    let relay = outbox.start_ready().await;
    outbox.insert("k", 0..10).await;
    let id = "0199aaaa-0000-7000-8000-00000000bad0";
    outbox
        .execute(&format!(
            "INSERT INTO sales.outbox (id, aggregatetype, aggregateid, type, headers)
             VALUES ('{id}', 'order', 'k', 'Changed', '{{\"n\": 1}}')"
        ))
        .await;
    outbox.insert("k", 10..20).await;
    relay.until_part_says("outbox", &format!("halted: row {id} of sales.outbox: column headers: \"n\"")).await;
    let records = outbox.records("order").await;
    let last: Position = records.last().unwrap().header("position").unwrap().parse().unwrap();
    eventually("what came before is confirmed", SOON, async || outbox.confirmed().await > last.commit).await;
    relay.stop().await;
    assert_eq!(outbox.numbers().await["k"], (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_oversize_row_halts_until_the_limit_is_raised_and_then_all_is_there_in_order() {
    let outbox = Outbox::create("oversize").await;
    let topic = outbox.kafka.topic("big");
    topics::create(&outbox.kafka.bootstrap_servers, &topic, 1, &[("max.message.bytes", "4000000")]).await.unwrap();
    let insert = |n: i32, size: i32| {
        format!(
            "INSERT INTO sales.outbox (aggregatetype, aggregateid, type, payload)
             VALUES ('big', 'k', 'Changed', json_build_object('n', {n}, 'text', repeat('x', {size})))"
        )
    };
    let relay = outbox.start_ready().await;
    for (n, size) in [(0, 10), (1, 2_000_000), (2, 10)] {
        outbox.execute(&insert(n, size)).await;
    }
    relay.until_part_says("outbox", "over message.max.bytes").await;
    relay.stop().await;

    let mut settings = outbox.settings();
    settings.kafka.properties.push(("message.max.bytes".to_owned(), "3000000".to_owned()));
    let relay = Relay::start(settings.clone());
    outbox.drained().await;
    relay.until("ready", |report| report.ready).await;
    // Now one that only the broker refuses.
    topics::create(&outbox.kafka.bootstrap_servers, &outbox.kafka.topic("small"), 1, &[("max.message.bytes", "1000")])
        .await
        .unwrap();
    outbox.execute(&insert(3, 5000).replace("'big'", "'small'")).await;
    relay.until_part_says("outbox", &format!("was not delivered to {}", outbox.kafka.topic("small"))).await;
    relay.stop().await;
    let numbers: Vec<i64> = outbox.records("big").await.iter().map(crate::outbox::number).collect();
    assert_eq!(numbers, [0, 1, 2]);
}
