//! Several relays on one slot: one has it, the others wait and say so, and one of them takes over.

use std::time::{Duration, Instant};

use servers::eventually;
use tokio::sync::Notify;

use crate::{
    outbox::{Outbox, Relay, SOON},
    process::Program,
};

#[tokio::test]
async fn a_second_relay_waits_for_the_slot_and_takes_over() {
    let outbox = Outbox::create("standby").await;
    let first = outbox.start_ready().await;
    let second = outbox.start();
    second.until_part_says("postgres", "standby: ").await;
    second.until_part_says("postgres", "--standby if it is meant to wait").await;
    outbox.insert("k", 0..100).await;
    outbox.drained().await;
    first.kill().await;
    outbox.insert("k", 100..200).await;
    second.until("the second is ready", |report| report.ready).await;
    outbox.drained().await;
    second.stop().await;
    outbox.assert_all_there("k", 200).await;
}

#[tokio::test]
async fn a_standby_is_ready_as_long_as_it_could_take_over() {
    let outbox = Outbox::create("ready").await;
    let active = outbox.start_ready().await;
    assert_eq!(active.health.report().parts["postgres"].reason.as_deref(), Some("active"));
    assert_eq!(active.metric("capture_active"), 1.0);
    let mut settings = outbox.settings();
    settings.standby = true;
    let standby = Relay::start(settings);
    standby
        .until("it is a ready standby", |report| {
            let postgres = &report.parts["postgres"];
            report.ready && postgres.reason.as_ref().is_some_and(|reason| reason.starts_with("standby: "))
        })
        .await;
    assert_eq!(standby.metric("capture_active"), 0.0);

    outbox.execute("ALTER PUBLICATION waybill RENAME TO another").await;
    standby.until_part_says("postgres", "publication waybill does not exist").await;
    outbox.execute("ALTER PUBLICATION another RENAME TO waybill").await;
    standby.until("repaired", |report| report.ready).await;
    standby.stop().await;
    active.stop().await;
}

#[tokio::test]
async fn a_standby_takes_over_within_seconds_of_the_death_of_the_active_one() {
    const ROWS: i64 = 20_000;
    let outbox = Outbox::create("takeover").await;
    let active = Program::run(&outbox, &[("STANDBY", "true")]);
    active.until_readyz_says("active").await;
    let standby = Program::run(&outbox, &[("STANDBY", "true")]);
    standby.until_readyz_says("\"reason\":\"standby: ").await;
    standby.until_readyz_says("\"ready\":true,\"parts\"").await;
    let half_way = Notify::new();
    let writing = async {
        for n in (0..ROWS).step_by(20) {
            outbox.insert("k", n..n + 20).await;
            if n == ROWS / 2 {
                half_way.notify_one();
            }
        }
    };
    let dying = async {
        half_way.notified().await;
        active.process.kill().await.unwrap();
        let died = Instant::now();
        eventually("the standby has an event acknowledged", SOON, async || {
            let metrics = standby.get("/metrics").await?;
            let events = metrics.lines().find_map(|line| line.strip_prefix("capture_events_total "));
            Ok::<_, String>(events.filter(|events| *events != "0").map(drop))
        })
        .await;
        died.elapsed()
    };
    let ((), took) = tokio::join!(writing, dying);
    outbox.drained().await;
    standby.until_readyz_says("active").await;
    // One line for each thing that has changed, however long it waited.
    let told = standby.process.log().matches("standby: ").count();
    assert_eq!(told, 1, "{}", standby.process.log());
    standby.end().await;
    let repeated = outbox.assert_all_there("k", ROWS).await;
    println!("the standby's first acknowledged event came after {took:?}; {repeated} of {ROWS} were repeated");
    assert!(took < Duration::from_secs(5), "{took:?}");
}
