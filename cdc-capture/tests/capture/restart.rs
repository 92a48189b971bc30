//! What is repeated when a relay starts again, or another takes over: what was in flight at most, and never so that an
//! older document comes last.

use cdc_capture::{Settings, settings::OtherHistory};
use contracts::envelope::Position;
use servers::{Process, eventually, topics};

use crate::outbox::{Outbox, Relay, SOON};

/// A second slot at the position of the first, by its name.
async fn copy_of_the_slot(outbox: &Outbox) -> String {
    let (slot, copy) = (&outbox.slot, format!("{}_copy", &outbox.slot[..50.min(outbox.slot.len())]));
    outbox.execute(&format!("SELECT pg_copy_logical_replication_slot('{slot}', '{copy}')")).await;
    copy
}

#[tokio::test]
async fn a_slot_that_went_back_repeats_nothing() {
    let outbox = Outbox::create("wentback").await;
    let (slot, copy) = (&outbox.slot, copy_of_the_slot(&outbox).await);
    let relay = outbox.start_ready().await;
    outbox.insert("k", 0..3_000).await;
    for n in 3_000..3_050 {
        outbox.insert("k", n..n + 1).await;
    }
    outbox.drained().await;
    relay.stop().await;
    // As after a crash of the server, which writes a slot's position to disk only now and then.
    outbox
        .execute(&format!(
            "SELECT pg_drop_replication_slot('{slot}');
             SELECT pg_copy_logical_replication_slot('{copy}', '{slot}'); SELECT pg_drop_replication_slot('{copy}')"
        ))
        .await;
    outbox.insert("k", 3_050..3_100).await;
    let relay = outbox.start_ready().await;
    outbox.drained().await;
    eventually("the metrics say so", SOON, async || relay.metric("capture_left_out_events_total") == 3_050.0).await;
    relay.stop().await;
    assert_eq!(outbox.numbers().await["k"], (0..3_100).collect::<Vec<_>>());
}

#[tokio::test]
async fn without_reading_back_what_was_not_confirmed_is_repeated() {
    let outbox = Outbox::create("norecall").await;
    let copy = copy_of_the_slot(&outbox).await;
    let relay = outbox.start_ready().await;
    outbox.insert("k", 0..100).await;
    outbox.drained().await;
    relay.stop().await;
    let mut settings = outbox.settings();
    settings.slot = copy.parse().unwrap();
    settings.read_back = false;
    let relay = Relay::start(settings);
    eventually("all came again", SOON, async || outbox.numbers().await["k"].len() == 200).await;
    relay.stop().await;
    assert_eq!(outbox.assert_all_there("k", 100).await, 100);
}

#[tokio::test]
async fn nothing_behind_an_event_that_the_broker_refuses_comes_before_it() {
    let outbox = Outbox::create("gap").await;
    for (name, refused) in [("first", 0), ("small", 5)] {
        let topic = outbox.kafka.topic(name);
        let bootstrap = &outbox.kafka.bootstrap_servers;
        topics::create(bootstrap, &topic, 1, &[("max.message.bytes", "2000")]).await.unwrap();
        // Batches of one event each, so that those behind the refused one are on their way already.
        let mut settings = outbox.settings();
        settings.kafka.properties.push(("batch.num.messages".to_owned(), "1".to_owned()));
        let relay = Relay::start(settings);
        relay.until("ready", |report| report.ready).await;
        let insert = format!(
            "INSERT INTO sales.outbox (aggregatetype, aggregateid, type, payload)
             SELECT '{name}', 'k' || n % 3, 'Changed',
                 json_build_object('n', n, 'text', repeat('x', CASE n WHEN {refused} THEN 5000 ELSE 10 END))
             FROM generate_series(0, 29) n"
        );
        outbox.execute(&insert).await;
        relay.until_part_says("outbox", "was not delivered to").await;
        relay.stop().await;
        let numbers = async || outbox.records(name).await.iter().map(crate::outbox::number).collect::<Vec<_>>();
        assert_eq!(numbers().await, (0..refused).collect::<Vec<_>>());
        topics::configure(bootstrap, &topic, &[("max.message.bytes", "100000")]).await.unwrap();

        let relay = outbox.start_ready().await;
        outbox.drained().await;
        relay.stop().await;
        assert_eq!(numbers().await, (0..30).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_stopped_relay_that_wakes_up_after_another_took_over_breaks_no_order() {
    let outbox = Outbox::create("zombie").await;
    let repeated = take_over_from_a_stopped_one(&outbox, &outbox.environment(), outbox.settings()).await;
    println!("{repeated} were repeated");
}

/// Stops a process under load, starts another relay when the server gives the slot away, wakes the first one up. Gives
/// how many events are on the topic more than once.
pub(crate) async fn take_over_from_a_stopped_one(
    outbox: &Outbox,
    environment: &[(&str, &str)],
    settings: Settings,
) -> usize {
    const ROWS: i64 = 40_000;
    // So that the server gives the slot away soon.
    outbox.execute(&format!("ALTER ROLE {} SET wal_sender_timeout = '6s'", outbox.login.role)).await;
    let zombie = Process::spawn("cdc-capture", ["run"], environment).unwrap();
    let before = outbox.confirmed().await;
    let half_way = tokio::sync::Notify::new();
    let writing = async {
        for n in (0..ROWS).step_by(100) {
            outbox.insert("k", n..n + 100).await;
            if n == ROWS / 4 {
                half_way.notify_one();
            }
        }
    };
    let taking_over = async {
        half_way.notified().await;
        eventually("it relays", SOON, async || outbox.confirmed().await > before).await;
        zombie.pause().unwrap();
        let relay = Relay::start(settings);
        relay.until("another has taken over", |report| report.ready).await;
        zombie.resume().unwrap();
        eventually("it knows", SOON, async || zombie.log().contains("standby: ")).await;
        relay
    };
    let ((), relay) = tokio::join!(writing, taking_over);
    outbox.drained().await;
    relay.stop().await;
    zombie.kill().await.unwrap();
    outbox.assert_all_there("k", ROWS).await
}

#[tokio::test]
async fn events_of_another_timeline_are_told_by_their_ids_or_halt() {
    let outbox = Outbox::create("timeline").await;
    let relay = outbox.start_ready().await;
    outbox.insert("k", 0..1).await;
    outbox.drained().await;
    relay.stop().await;
    // As if the server had sent the next ones before a failover, and lost the last.
    let records = outbox.records("order").await;
    let mut position: Position = records[0].header("position").unwrap().parse().unwrap();
    position.timeline = 0;
    position.commit.0 += 1 << 40;
    let ids: Vec<String> = (1..4).map(|n| format!("0199aaaa-0000-7000-8000-00000000000{n}")).collect();
    let sent_before = ids.iter().enumerate().map(|(n, id)| topics::NewRecord {
        partition: Some(records[0].partition),
        key: Some(b"k".to_vec()),
        value: Some(format!("{{\"n\": {}}}", n + 1).into_bytes()),
        headers: vec![
            ("ce_id".to_owned(), id.clone().into_bytes()),
            ("position".to_owned(), position.to_string().into_bytes()),
        ],
    });
    let topic = outbox.kafka.topic("order");
    topics::produce_all(&outbox.kafka.bootstrap_servers, &topic, sent_before.collect()).await.unwrap();
    for (n, id) in ids.iter().take(2).enumerate() {
        outbox
            .execute(&format!(
                "INSERT INTO sales.outbox (id, aggregatetype, aggregateid, type, payload)
                 VALUES ('{id}', 'order', 'k', 'Changed', '{{\"n\": {}}}')",
                n + 1
            ))
            .await;
    }
    outbox.insert("k", 3..5).await;

    let mut settings = outbox.settings();
    settings.other_history = OtherHistory::Halt;
    let relay = Relay::start(settings);
    relay.until_part_says("kafka", "it holds events of another server or timeline").await;
    relay.stop().await;
    assert_eq!(outbox.numbers().await["k"], [0, 1, 2, 3]);

    let relay = outbox.start_ready().await;
    outbox.drained().await;
    relay.stop().await;
    // The lost one's version was made again, under another id.
    assert_eq!(outbox.numbers().await["k"], [0, 1, 2, 3, 3, 4]);
}
