//! Where the cluster has ACLs: what the relay must be allowed to do, and that it says so when it is not.

use cdc_capture::{Settings, check::Verdict};
use servers::{Kafka, KafkaOptions, eventually};

use crate::{
    outbox::{Outbox, Relay, SOON},
    transactional::{self, POSITIONS},
};

/// A Kafka that denies what no ACL allows to those who log in by its second listener.
async fn kafka() -> Kafka {
    let settings = [
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
        ("super.users", "User:ANONYMOUS"),
        ("sasl.enabled.mechanisms", "PLAIN"),
        (
            "listener.name.sasl_plaintext.plain.sasl.jaas.config",
            "org.apache.kafka.common.security.plain.PlainLoginModule required user_relay=\"secret\";",
        ),
    ];
    let options = KafkaOptions {
        settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        second_listener: Some("SASL_PLAINTEXT".to_owned()),
        ..KafkaOptions::default()
    };
    Kafka::start_with(options).await.unwrap()
}

/// Runs `kafka-acls.sh` for the relay's principal.
async fn acls(broker: &Kafka, arguments: &[&str]) {
    let arguments = [arguments, &["--allow-principal", "User:relay", "--force"]].concat();
    broker.tool("org.apache.kafka.tools.AclCommand", &arguments).await.unwrap();
}

#[tokio::test]
async fn each_permission_that_is_missing_is_named_and_none_is_needed_beyond() {
    let broker = kafka().await;
    let outbox = Outbox::create_with("acls", &broker.bootstrap_servers()).await;
    outbox.create_topic("dead", 1).await;
    let mut settings = Settings { dead_letter_topic: Some("dead".to_owned()), ..outbox.settings() };
    settings.kafka.bootstrap_servers = broker.second_bootstrap_servers();
    let login = [
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", "relay"),
        ("sasl.password", "secret"),
    ];
    settings.kafka.properties.extend(login.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let topics = ["--topic", outbox.kafka.topic_prefix.as_str(), "--resource-pattern-type", "prefixed"];
    let with =
        |action: &'static str, operation: &'static str| [&[action, "--operation", operation][..], &topics].concat();

    let dead = &outbox.kafka.topic("dead");
    let with_dead = |action, operation| [action, "--operation", operation, "--topic", dead];

    outbox.insert("k", 0..10).await;
    let relay = Relay::start(settings.clone());
    relay.until_part_says("kafka", &format!("topic {dead}: TopicAuthorizationFailed")).await;
    assert_says(&settings, Verdict::Problem, &format!("topic {dead}: TopicAuthorizationFailed")).await;
    acls(&broker, &with("--add", "Describe")).await;
    relay.until_part_says("kafka", "(permit Write on the topics)").await;
    // With Write on any topic, an idempotent producer is permitted.
    acls(&broker, &with_dead("--add", "Write")).await;
    let topic = outbox.kafka.topic("order");
    let denied = format!("was not delivered to {topic}: Message production error: TopicAuthorizationFailed");
    relay.until_part_says("kafka", &denied).await;
    acls(&broker, &with("--add", "Read")).await;
    acls(&broker, &with("--add", "Write")).await;
    outbox.drained().await;
    relay.until("ready", |report| report.ready).await;
    outbox.execute("INSERT INTO sales.outbox (aggregatetype, aggregateid, type) VALUES ('no topic', 'k', 'C')").await;
    outbox.drained().await;
    relay.stop().await;
    // Either of the two permits Describe as well.
    acls(&broker, &with("--remove", "Describe")).await;
    acls(&broker, &with_dead("--remove", "Write")).await;
    outbox.insert("k", 10..20).await;
    let relay = Relay::start(settings.clone());
    outbox.drained().await;
    relay.stop().await;

    let unreadable = "its settings cannot be read";
    for what in ["broker 1".to_owned(), format!("topic {topic}")] {
        assert_says(&settings, Verdict::Warning, &format!("{what}: {unreadable}")).await;
    }
    acls(&broker, &with("--add", "DescribeConfigs")).await;
    acls(&broker, &["--add", "--operation", "DescribeConfigs", "--cluster"]).await;
    assert_says(&settings, Verdict::Ok, "broker 1: message.max.bytes is").await;
    let report = cdc_capture::check(&settings).await.to_string();
    assert!(!report.contains(unreadable), "{report}");

    // Without reading back, Write alone will do.
    acls(&broker, &with("--remove", "Read")).await;
    outbox.insert("k", 20..30).await;
    let relay = Relay::start(settings.clone());
    relay.until_part_says("kafka", "cannot be read back").await;
    relay.stop().await;
    let relay = Relay::start(Settings { read_back: false, ..settings.clone() });
    outbox.drained().await;
    relay.stop().await;

    // With transactions, Write on their id.
    acls(&broker, &with("--add", "Read")).await;
    outbox.create_topic(POSITIONS, 1).await;
    outbox.insert("k", 30..40).await;
    let settings = Settings { delivery: transactional::settings(&outbox).delivery, ..settings };
    let relay = Relay::start(settings);
    relay.until_part_says("kafka", "(permit Write on the transactional id").await;
    let id = ["--transactional-id", "cdc-capture-", "--resource-pattern-type", "prefixed"];
    acls(&broker, &[&["--add", "--operation", "Write"][..], &id].concat()).await;
    outbox.drained().await;
    relay.stop().await;
    outbox.assert_all_there("k", 40).await;
    assert_eq!(outbox.records("dead").await.len(), 1);
}

/// Waits until a check says it: a broker learns of an ACL a moment later.
async fn assert_says(settings: &Settings, verdict: Verdict, words: &str) {
    eventually(&format!("{verdict:?} {words:?}"), SOON, async || {
        let report = cdc_capture::check(settings).await;
        let found = report.lines().iter().any(|line| line.verdict == verdict && line.text.contains(words));
        if found { Ok(Some(())) } else { Err(report.to_string()) }
    })
    .await;
}
