//! A topic must keep its number of partitions: by it a key has its partition, and only there its events are in order.

use cdc_capture::{TopicPartitions, check::Verdict};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewPartitions},
    client::DefaultClientContext,
};
use servers::eventually;

use crate::outbox::{Outbox, Relay, SOON};

async fn give_it_eight(outbox: &Outbox) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &outbox.kafka.bootstrap_servers).create().unwrap();
    let topic = outbox.kafka.topic("order");
    let more = admin.create_partitions([&NewPartitions::new(&topic, 8)], &AdminOptions::new()).await.unwrap();
    assert_eq!(more, [Ok(topic)]);
}

/// Given partitions that are added while the relay runs, when the stream starts again, then nothing is sent to another partition
/// than before: the relay says why, and waits.
#[tokio::test]
async fn partitions_that_are_added_while_it_runs_stop_it() {
    let outbox = Outbox::create("more").await;
    let relay = outbox.start_ready().await;
    outbox.insert("k", 0..10).await;
    outbox.drained().await;
    give_it_eight(&outbox).await;
    outbox.insert("k", 10..20).await;
    outbox.drained().await;
    let streams = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = ";
    outbox.execute(&format!("{streams} '{}'", outbox.slot)).await;
    outbox.insert("k", 20..30).await;
    relay.until_part_says("kafka", "it has 8 partitions and had 4").await;
    relay.stop().await;
    assert_eq!(outbox.numbers().await["k"], (0..20).collect::<Vec<_>>());
}

/// Given a number that was said, when the topic was given another while no relay ran, then nothing is sent, and `check` says it too.
#[tokio::test]
async fn partitions_that_were_added_while_it_was_away_stop_it_where_the_number_was_said() {
    let outbox = Outbox::create("away").await;
    let mut settings = outbox.settings();
    settings.topic_partitions = TopicPartitions::of([(outbox.kafka.topic("order"), 4)]);
    let relay = Relay::start(settings.clone());
    outbox.insert("k", 0..10).await;
    outbox.drained().await;
    relay.stop().await;
    give_it_eight(&outbox).await;
    outbox.insert("k", 10..20).await;

    let says = "it has 8 partitions, and by --topic-partitions 4";
    let report = cdc_capture::check(&settings).await;
    let found = report.lines().iter().any(|line| line.verdict == Verdict::Problem && line.text.contains(says));
    assert!(found, "{report}");
    let relay = Relay::start(settings.clone());
    relay.until_part_says("kafka", says).await;
    relay.stop().await;
    assert_eq!(outbox.numbers().await["k"], (0..10).collect::<Vec<_>>());

    settings.topic_partitions = TopicPartitions::of([(outbox.kafka.topic("order"), 8)]);
    let relay = Relay::start(settings);
    eventually("the rest is there", SOON, async || outbox.numbers().await["k"].len() == 20).await;
    relay.stop().await;
}
