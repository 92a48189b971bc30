//! The ACLs that the contracts come to, on a broker that enforces them: they are enough for each, and too few for others.

use std::time::{Duration, Instant};

use contracts::{
    Topic,
    accounts::CARD,
    acl::{self, Acl, CAPTURE, Installation},
    direct_booking::BOOKING,
};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::RDKafkaErrorCode,
    producer::{FutureProducer, FutureRecord},
};
use servers::{Kafka, KafkaOptions};

use crate::fixture::{DEADLINE, Hotel};

/// Runs all contexts but Payments, in one process.
const HOTEL: &str = "hotel";
const PAYMENTS: &str = "payments";
const READ_SERVICE: &str = "read-service";

/// A Kafka that denies what no ACL allows to those who log in by its second listener.
async fn kafka() -> Kafka {
    let users = [CAPTURE, HOTEL, PAYMENTS, READ_SERVICE].map(|name| format!("user_{name}=\"secret\"")).join(" ");
    let settings = [
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned()),
        ("super.users", "User:ANONYMOUS".to_owned()),
        ("sasl.enabled.mechanisms", "PLAIN".to_owned()),
        (
            "listener.name.sasl_plaintext.plain.sasl.jaas.config",
            format!("org.apache.kafka.common.security.plain.PlainLoginModule required {users};"),
        ),
    ];
    let options = KafkaOptions {
        settings: settings.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        second_listener: Some("SASL_PLAINTEXT".to_owned()),
        ..KafkaOptions::default()
    };
    Kafka::start_with(options).await.unwrap()
}

fn login(name: &str) -> [(&str, &str); 4] {
    [
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", name),
        ("sasl.password", "secret"),
    ]
}

/// A client of the broker that is one of the principals.
struct Client<'a> {
    broker: &'a Kafka,
    prefix: &'a str,
    name: &'a str,
}

impl Client<'_> {
    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.broker.second_bootstrap_servers());
        for (key, value) in login(self.name) {
            config.set(key, value);
        }
        config
    }

    fn topic(&self, topic: Topic) -> String {
        format!("{}{}", self.prefix, topic.name)
    }

    async fn write(&self, topic: Topic) -> Result<(), Option<RDKafkaErrorCode>> {
        let producer: FutureProducer = self.config().set("message.timeout.ms", "30000").create().unwrap();
        let topic = self.topic(topic);
        let record = FutureRecord::to(&topic).key("k").payload("{}").partition(0);
        producer.send(record, Duration::ZERO).await.map(drop).map_err(|(error, _)| error.rdkafka_error_code())
    }

    /// Reads the first record of partition 0, in no group.
    fn read(&self, topic: Topic) -> Result<(), Option<RDKafkaErrorCode>> {
        // A name must be given, though no group is joined.
        let mut config = self.config();
        let consumer: BaseConsumer =
            config.set("group.id", "none").set("enable.auto.commit", "false").create().unwrap();
        let topic = self.topic(topic);
        let metadata = consumer.fetch_metadata(Some(&topic), DEADLINE).unwrap();
        if let Some(error) = metadata.topics()[0].error() {
            return Err(Some(error.into()));
        }
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(&topic, 0, Offset::Beginning).unwrap();
        consumer.assign(&from).unwrap();
        // The client asks after that group all the same.
        match Self::first(&consumer) {
            Err(Some(RDKafkaErrorCode::GroupAuthorizationFailed)) => Self::first(&consumer),
            read => read,
        }
    }

    /// Reads the first record as a member of a group.
    fn read_in(&self, group: &str, topic: Topic) -> Result<(), Option<RDKafkaErrorCode>> {
        let mut config = self.config();
        config.set("group.id", format!("{}{group}", self.prefix)).set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = config.set("enable.auto.commit", "false").create().unwrap();
        consumer.subscribe(&[&self.topic(topic)]).unwrap();
        Self::first(&consumer)
    }

    fn first(consumer: &BaseConsumer) -> Result<(), Option<RDKafkaErrorCode>> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    assert_eq!(message.payload(), Some(&b"{}"[..]));
                    return Ok(());
                }
                Some(Err(error)) => return Err(error.rdkafka_error_code()),
                None if Instant::now() > deadline => return Err(None),
                None => {}
            }
        }
    }
}

async fn permit(broker: &Kafka, acl: &Acl, name: &str) {
    let arguments = acl.arguments(&format!("User:{name}"));
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    broker.tool("org.apache.kafka.tools.AclCommand", &arguments).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_may_do_what_it_must_and_nothing_beyond() {
    let broker = kafka().await;
    let hotel = Hotel::open_with("acls", |mut settings| {
        settings.kafka.bootstrap_servers = broker.second_bootstrap_servers();
        settings.kafka.properties = login(HOTEL).map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        settings.contexts.retain(|(context, _)| context.name != PAYMENTS);
        settings
    })
    .await;
    let prefix = hotel.kafka.topic_prefix.as_str();
    let readers = contracts::readers::readers().unwrap();
    let acls = acl::acls(&readers, &Installation { topic_prefix: prefix.to_owned(), relay_topics: Vec::new() });
    let services = [CAPTURE, PAYMENTS, READ_SERVICE];
    for acl in &acls {
        let name = services.into_iter().find(|name| *name == acl.who).unwrap_or(HOTEL);
        permit(&broker, acl, name).await;
    }
    // The topics of Payments, which does not run here.
    for topic in contracts::payments::TOPICS {
        let name = format!("{prefix}{}", topic.name);
        let bootstrap = broker.bootstrap_servers();
        servers::topics::create(&bootstrap, &name, topic.partitions, topic.config()).await.unwrap();
    }
    // Enough to create the topics and to read those of others.
    hotel.service.report_when("ready", |report| report.ready).await;

    let client = |name| Client { broker: &broker, prefix, name };
    let (capture, payments, read_service, hotel) =
        (client(CAPTURE), client(PAYMENTS), client(READ_SERVICE), client(HOTEL));
    let no_topic = Err(Some(RDKafkaErrorCode::TopicAuthorizationFailed));
    for topic in contracts::topics() {
        assert_eq!(capture.write(topic).await, Ok(()), "{}", topic.name);
    }
    for other in [&payments, &read_service, &hotel] {
        for topic in [BOOKING, CARD] {
            assert_eq!(other.write(topic).await, no_topic, "{} writes {}", other.name, topic.name);
        }
    }
    assert_eq!(capture.read(CARD), Ok(()));
    assert_eq!(payments.read(CARD), Ok(()));
    for other in [&read_service, &hotel] {
        assert_eq!(other.read(CARD), no_topic, "{} reads {}", other.name, CARD.name);
    }
    assert_eq!(payments.read(contracts::accounts::ACCOUNT), no_topic);
    // Each in its own groups.
    assert_eq!(payments.read_in("write-service.payments.cards", CARD), Ok(()));
    let no_group = Err(Some(RDKafkaErrorCode::GroupAuthorizationFailed));
    assert_eq!(read_service.read_in("write-service.payments.cards", BOOKING), no_group);
    assert_eq!(capture.read_in("cdc-capture", BOOKING), no_group);
}

#[tokio::test]
async fn the_script_is_for_a_shell() {
    let program = env!("CARGO_BIN_EXE_write-service");
    let run = |arguments: &[&str]| std::process::Command::new(program).arg("acls").args(arguments).output().unwrap();
    let output = run(&["--principal", "payments=User:CN=it's $PAY", "--topic-prefix", "staging."]);
    let script = String::from_utf8(output.stdout).unwrap();
    // A kafka-acls.sh that only shows what it was given.
    let show = "kafka-acls.sh() { printf '%s|' \"$@\"; echo; }";
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", &format!("{show}\n{script}"), "sh", "--bootstrap-server", "a:1"]);
    let output = shell.output().unwrap();
    let shown = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{output:?}");
    let expected = "--bootstrap-server|a:1|--add|--force|--allow-principal|User:CN=it's $PAY|--operation|Read|--group|\
        staging.write-service.payments.|--resource-pattern-type|prefixed|";
    assert!(shown.lines().any(|line| line == expected), "{shown}");
    assert!(shown.contains("|User:cdc-capture|"), "{shown}");

    let refused = run(&["--principal", "nobody=User:x"]);
    assert!(!refused.status.success());
    assert!(String::from_utf8(refused.stderr).unwrap().contains("nobody=User:x"));
}
