//! What the health part says while something is not there, and what the metrics say.

use rdkafka::mocking::MockCluster;
use servers::eventually;
use telemetry::kafka::Kafka;

use crate::fixture::{DEADLINE, FOUR, Fixture, ONE, Recorder, records};

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_does_not_exist_yet_is_waited_for() {
    let fixture = Fixture::without_topics("missing").await;
    let instance = fixture.start(Recorder::of(FOUR));
    instance.await_state(false, &format!("topic {} does not exist yet", fixture.kafka.topic(FOUR[0].name))).await;
    fixture.create_topic(&FOUR[0], 4).await;
    fixture.produce(&FOUR[0], records(0, 10)).await;
    fixture.await_effects(10).await;
    instance.await_state(true, "").await;
    assert_eq!(instance.stop().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_said_and_does_not_hold_up_a_stop() {
    let mut fixture = Fixture::without_topics("away").await;
    // A port that nobody listens on: it is bound here, and not listened on.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    fixture.kafka = Kafka::at(socket.local_addr().unwrap().to_string());
    let instance = fixture.start(Recorder::of(ONE));
    instance.await_state(false, "Kafka: ").await;
    assert_eq!(instance.stop().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lag_is_told_while_nothing_can_be_applied() {
    let fixture = Fixture::new("lag", ONE).await;
    let instance = fixture.start(Recorder::of(ONE));
    instance.await_state(true, "").await;
    let rename = |from: &str, to: &str| format!(r#"ALTER TABLE "the view".{from} RENAME TO {to}"#);
    fixture.admin.batch_execute(&rename("effect", "elsewhere")).await.unwrap();
    fixture.produce(&ONE[0], records(0, 10)).await;
    instance.await_state(false, "PostgreSQL: ").await;
    fixture.produce(&ONE[0], records(10, 90)).await;
    lag(&instance, 100.0).await;
    fixture.admin.batch_execute(&rename("elsewhere", "effect")).await.unwrap();
    fixture.await_effects(100).await;
    lag(&instance, 0.0).await;
    assert!(instance.metric("inbox_last_applied_timestamp_seconds").unwrap_or_default() > 0.0);
    assert_eq!(instance.stop().await, Ok(()));
}

/// librdkafka's broker in memory, which the demo runs on, differs from a real one in many ways.
#[tokio::test(flavor = "multi_thread")]
async fn the_broker_in_memory_will_do() {
    let mut fixture = Fixture::without_topics("in memory").await;
    let broker = MockCluster::new(1).unwrap();
    fixture.kafka.bootstrap_servers = broker.bootstrap_servers();
    broker.create_topic(&fixture.kafka.topic(FOUR[0].name), 4, 1).unwrap();
    fixture.produce(&FOUR[0], records(0, 500)).await;
    let instance = fixture.start(Recorder::of(FOUR));
    fixture.await_effects(500).await;
    instance.await_state(true, "").await;
    fixture.produce(&FOUR[0], records(500, 500)).await;
    fixture.await_effects(1_000).await;
    assert_eq!(instance.stop().await, Ok(()));
    fixture.assert_once_and_in_order(1_000).await;
}

async fn lag(instance: &crate::fixture::Instance, messages: f64) {
    eventually(&format!("a lag of {messages}"), DEADLINE, async || match instance.metric("inbox_lag_messages") {
        Some(lag) if lag == messages => Ok(Some(())),
        other => Err(format!("{other:?}")),
    })
    .await;
}
