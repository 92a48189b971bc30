//! Rows that cannot be published, with a topic for dead letters: they and only they go there, once, and the others go on.

use std::{process::Command, time::Duration};

use cdc_capture::{Settings, check::Verdict, delivery::Delivery, outbox::Format};
use contracts::envelope::Position;
use servers::{Process, eventually, topics, topics::Record};

use crate::outbox::{Outbox, Relay, SOON, number};

const DEAD: &str = "dead";

fn settings(outbox: &Outbox) -> Settings {
    Settings { dead_letter_topic: Some(DEAD.to_owned()), ..outbox.settings() }
}

async fn start(settings: Settings) -> Relay {
    let relay = Relay::start(settings);
    relay.until("ready", |report| report.ready).await;
    relay
}

/// Inserts, in one transaction, rows of several keys, of which some are of another size.
async fn insert(outbox: &Outbox, topic: &str, rows: i64, large: &[i64]) {
    let large = large.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let statement = format!(
        "INSERT INTO sales.outbox (aggregatetype, aggregateid, type, payload)
         SELECT '{topic}', 'k' || n % 5, 'Changed',
             json_build_object('n', n, 'text', repeat('x', CASE WHEN n IN ({large}) THEN 60000 ELSE 10 END))
         FROM generate_series(0, {rows} - 1) n"
    );
    outbox.execute(&statement).await;
}

/// A topic whose limit is below the producer's.
async fn create_small_topic(outbox: &Outbox, name: &str, limit: &str) {
    let (bootstrap, topic) = (&outbox.kafka.bootstrap_servers, outbox.kafka.topic(name));
    topics::create(bootstrap, &topic, 2, &[("max.message.bytes", limit)]).await.unwrap();
}

/// Asserts that a topic has all rows but these, each key's in order, and none twice.
async fn assert_has_all_but(outbox: &Outbox, topic: &str, rows: i64, missing: &[i64]) {
    let records = outbox.records(topic).await;
    for key in 0..5 {
        let of_key = |record: &&Record| record.key.as_deref() == Some(format!("k{key}").as_bytes());
        let numbers: Vec<i64> = records.iter().filter(of_key).map(number).collect();
        let expected: Vec<i64> = (key..rows).step_by(5).filter(|n| !missing.contains(n)).collect();
        assert_eq!(numbers, expected, "k{key} on {topic}");
    }
}

/// The dead letters, in the order of the log.
async fn dead_letters(outbox: &Outbox) -> Vec<Record> {
    let mut records = outbox.records(DEAD).await;
    records.sort_by_key(position);
    records
}

fn position(record: &Record) -> Position {
    record.header("position").unwrap().parse().unwrap()
}

fn header<'a>(record: &'a Record, name: &str) -> &'a str {
    record.header(&format!("dead_letter_{name}")).unwrap_or_else(|| panic!("no {name} in {record:?}"))
}

#[tokio::test]
async fn what_the_relay_itself_refuses_is_set_aside_at_once_and_all_else_goes_on() {
    let outbox = Outbox::create("aside").await;
    outbox.create_topic(DEAD, 2).await;
    let mut settings = settings(&outbox);
    settings.format = Format { message_prefix: Some("outbox".to_owned()), ..Format::default() };
    settings.kafka.properties.push(("message.max.bytes".to_owned(), "100000".to_owned()));
    let relay = start(settings).await;

    let id = |n: i32| format!("0199aaaa-0000-7000-8000-00000000000{n}");
    let row = |n: i32, topic: &str, headers: &str, payload: &str| {
        format!(
            "INSERT INTO sales.outbox (id, aggregatetype, aggregateid, type, headers, payload)
             VALUES ('{}', '{topic}', 'k', 'Changed', '{headers}', {payload});",
            id(n)
        )
    };
    outbox.insert("k", 0..10).await;
    outbox.execute(&row(1, "order", r#"{"n": 1}"#, r#"'{"a": 1}'"#)).await;
    outbox.execute(&row(2, "no topic", "{}", "NULL")).await;
    outbox.execute(&row(3, "order", "{}", "to_json(repeat('x', 200000))")).await;
    outbox.insert("k", 10..20).await;
    outbox.execute("CREATE TABLE sales.odd (id int, aggregateid text, payload bytea)").await;
    outbox.execute("ALTER PUBLICATION waybill ADD TABLE sales.odd").await;
    outbox.execute(r"INSERT INTO sales.odd VALUES (4, 'odd-key', '\x01')").await;
    // The place of the message is that of the commit behind it.
    let message = r#"{"id": "m-5", "aggregateid": 7}"#;
    outbox
        .execute(&format!(
            "BEGIN; INSERT INTO sales.outbox (aggregatetype, aggregateid, type, payload)
                 VALUES ('order', 'k', 'Changed', '{{\"n\": 20}}');
             SELECT pg_logical_emit_message(false, 'outbox', '{message}'); COMMIT"
        ))
        .await;
    outbox.execute("SELECT pg_logical_emit_message(true, 'outbox', '{')").await;
    outbox.insert("k", 21..30).await;
    outbox.drained().await;
    relay.until("it stays ready", |report| report.ready).await;
    let classes = [("column", 1.0), ("topic", 1.0), ("too_large", 1.0), ("table", 1.0), ("not_transactional", 1.0)];
    for (class, count) in classes.into_iter().chain([("message", 1.0)]) {
        assert_eq!(relay.metric(&format!("capture_dead_letters_total{{reason=\"{class}\"}}")), count, "{class}");
    }
    relay.stop().await;
    assert_eq!(outbox.numbers().await["k"], (0..30).collect::<Vec<_>>());

    let letters = dead_letters(&outbox).await;
    let told: Vec<_> = letters
        .iter()
        .map(|letter| {
            let text = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| String::from_utf8(bytes.clone()).unwrap());
            (text(&letter.key).unwrap(), text(&letter.value), header(letter, "class"), header(letter, "table"))
        })
        .collect();
    let (table, messages) = ("sales.outbox", "messages \"outbox\"");
    let last = letters[5].header("position").unwrap().to_owned();
    let expected = [
        ("k".to_owned(), Some(r#"{"a": 1}"#.to_owned()), "column", table),
        ("k".to_owned(), None, "topic", table),
        ("k".to_owned(), None, "too_large", table),
        ("odd-key".to_owned(), Some(r"\x01".to_owned()), "table", "sales.odd"),
        ("7".to_owned(), Some(message.to_owned()), "not_transactional", messages),
        (last, Some("{".to_owned()), "message", messages),
    ];
    assert_eq!(told, expected);
    assert_eq!(header(&letters[0], "reason"), "column headers: \"n\" is not a text");
    assert_eq!((header(&letters[0], "id"), header(&letters[0], "topic")), (&*id(1), &*outbox.kafka.topic("order")));
    assert_eq!(header(&letters[2], "size"), "200002");
    assert_eq!(letters[1].header("dead_letter_topic"), None);
    for letter in &letters[..4] {
        assert_eq!(header(letter, "commit_lsn"), position(letter).commit.to_string());
        assert!(header(letter, "commit_time").ends_with('Z'));
    }
    assert_eq!(letters[4].header("dead_letter_commit_time"), None);
    let records = outbox.records("order").await;
    let event = position(records.iter().find(|record| number(record) == 20).unwrap());
    let message = position(&letters[4]);
    assert!(message.commit == event.commit && message.ordinal != event.ordinal, "{message} is not {event}");
}

#[tokio::test]
async fn the_one_row_that_the_broker_refuses_is_found_among_those_of_its_batch() {
    find_the_culprit(Outbox::create("culprit").await, Delivery::AtLeastOnce).await;
}

#[tokio::test]
async fn in_transactions_the_one_row_is_found_as_well() {
    let outbox = Outbox::create("intransactions").await;
    outbox.create_topic("positions", 1).await;
    let (position_topic, commit_interval) = ("positions".to_owned(), Duration::from_millis(20));
    find_the_culprit(outbox, Delivery::Transactional { position_topic, commit_interval }).await;
}

async fn find_the_culprit(outbox: Outbox, delivery: Delivery) {
    outbox.create_topic(DEAD, 1).await;
    create_small_topic(&outbox, "small", "50000").await;
    // The limit is that of the batch: so many good rows are within it.
    let mut settings = settings(&outbox);
    settings.delivery = delivery;
    settings.kafka.properties.push(("batch.num.messages".to_owned(), "100".to_owned()));
    let relay = start(settings).await;
    insert(&outbox, "small", 1_000, &[503]).await;
    outbox.insert("k", 0..100).await;
    outbox.drained().await;
    relay.until("ready", |report| report.ready).await;
    assert_eq!(relay.metric("capture_dead_letters_total{reason=\"refused\"}"), 1.0);
    let rounds = relay.metric("capture_reconnects_total");
    assert!(rounds <= 3.0, "{rounds}");
    relay.stop().await;

    let letters = dead_letters(&outbox).await;
    assert_eq!(letters.len(), 1);
    assert_eq!((number(&letters[0]), header(&letters[0], "class")), (503, "refused"));
    assert_eq!(header(&letters[0], "topic"), outbox.kafka.topic("small"));
    assert!(header(&letters[0], "reason").starts_with("the broker refused it: "), "{:?}", letters[0]);
    assert_has_all_but(&outbox, "small", 1_000, &[503]).await;
    assert_eq!(outbox.assert_all_there("k", 100).await, 0, "and nothing of other topics was repeated");
}

#[tokio::test]
async fn several_such_rows_on_several_topics_are_all_found_and_no_others() {
    let outbox = Outbox::create("culprits").await;
    outbox.create_topic(DEAD, 1).await;
    let large = [0, 7, 8, 299];
    let mut settings = settings(&outbox);
    settings.kafka.properties.push(("batch.num.messages".to_owned(), "50".to_owned()));
    let relay = start(settings).await;
    for topic in ["one", "two"] {
        create_small_topic(&outbox, topic, "50000").await;
        insert(&outbox, topic, 300, &large).await;
    }
    outbox.drained().await;
    relay.stop().await;
    let letters = dead_letters(&outbox).await;
    let topic = |letter: &Record| header(letter, "topic").rsplit('.').next().unwrap().to_owned();
    let found: Vec<_> = letters.iter().map(|letter| (topic(letter), number(letter))).collect();
    let of = |name: &str| large.map(|n| (outbox.kafka.topic(name).rsplit('.').next().unwrap().to_owned(), n));
    assert_eq!(found, [of("one"), of("two")].concat());
    assert_has_all_but(&outbox, "one", 300, &large).await;
    assert_has_all_but(&outbox, "two", 300, &large).await;
}

#[tokio::test]
async fn a_restart_repeats_no_dead_letter() {
    let outbox = Outbox::create("deadagain").await;
    outbox.create_topic(DEAD, 2).await;
    create_small_topic(&outbox, "small", "50000").await;
    let copy = format!("{}_c", &outbox.slot[..50.min(outbox.slot.len())]);
    outbox.execute(&format!("SELECT pg_copy_logical_replication_slot('{}', '{copy}')", outbox.slot)).await;
    let bad = "INSERT INTO sales.outbox (aggregatetype, aggregateid, type) VALUES ('no topic', 'k', 'Changed')";
    let relay = start(settings(&outbox)).await;
    insert(&outbox, "small", 50, &[20]).await;
    outbox.execute(bad).await;
    outbox.drained().await;
    relay.stop().await;
    // Everything comes again, then one thing more. The limit is no longer what it was: the row was set aside all the same.
    let topic = outbox.kafka.topic("small");
    topics::configure(&outbox.kafka.bootstrap_servers, &topic, &[("max.message.bytes", "100000")]).await.unwrap();
    outbox.execute(bad).await;
    let relay = start(Settings { slot: copy.parse().unwrap(), ..settings(&outbox) }).await;
    eventually("the last one is there", SOON, async || dead_letters(&outbox).await.len() == 3).await;
    eventually("all is confirmed", SOON, async || relay.metric("capture_left_out_events_total") == 51.0).await;
    assert_eq!(relay.metric("capture_reconnects_total"), 0.0);
    relay.stop().await;
    assert_has_all_but(&outbox, "small", 50, &[20]).await;
    let letters = dead_letters(&outbox).await;
    let classes: Vec<_> = letters.iter().map(|letter| header(letter, "class")).collect();
    assert_eq!(classes, ["refused", "topic", "topic"]);
}

#[tokio::test]
async fn a_process_that_is_killed_while_it_sets_rows_aside_loses_and_repeats_none() {
    const ROWS: i64 = 10_000;
    let outbox = Outbox::create("deadkill").await;
    outbox.create_topic(DEAD, 1).await;
    let mut environment = outbox.environment();
    environment.extend([("DEAD_LETTER_TOPIC", DEAD), ("KAFKA_CONFIG", "queue.buffering.max.messages=50")]);
    let insert = format!(
        "INSERT INTO sales.outbox (aggregatetype, aggregateid, type, payload)
         SELECT CASE WHEN n % 2 = 0 THEN 'order' ELSE 'no topic' END, 'k', 'Changed', json_build_object('n', n)
         FROM generate_series(0, {ROWS} - 1) n"
    );
    outbox.execute(&insert).await;
    for part in 1..4 {
        let process = Process::spawn("cdc-capture", ["run"], &environment).unwrap();
        let enough = part as usize * 1_000;
        let (bootstrap, topic) = (&outbox.kafka.bootstrap_servers, outbox.kafka.topic(DEAD));
        eventually("it has set some aside", SOON, async || {
            // Right after a topic was made, a broker may not know it.
            topics::consume_all(bootstrap, &topic).await.is_ok_and(|letters| letters.len() > enough)
        })
        .await;
        process.kill().await.unwrap();
    }
    let relay = start(settings(&outbox)).await;
    outbox.drained().await;
    relay.stop().await;
    let mut numbers: Vec<i64> = dead_letters(&outbox).await.iter().map(number).collect();
    let letters = numbers.len();
    numbers.dedup();
    assert_eq!(numbers, (1..ROWS).step_by(2).collect::<Vec<_>>());
    println!("{} of {} dead letters were repeated in 3 deaths", letters - numbers.len(), numbers.len());
    assert!(letters - numbers.len() <= 3 * 50);
}

#[tokio::test]
async fn a_lost_slot_is_replaced_in_spite_of_a_row_that_was_set_aside() {
    let outbox = Outbox::create("deadresync").await;
    outbox.create_topic(DEAD, 1).await;
    let relay = start(settings(&outbox)).await;
    outbox.insert("k", 0..5).await;
    let insert = "INSERT INTO sales.outbox (aggregatetype, aggregateid, type, payload, aggregateversion, headers)
        VALUES ('order', 'k', 'Changed', '{\"n\": 5}', 6, '{\"n\": 1}')";
    outbox.execute(insert).await;
    outbox.insert("k", 6..10).await;
    outbox.drained().await;
    relay.stop().await;
    outbox.execute(&format!("SELECT pg_drop_replication_slot('{}')", outbox.slot)).await;
    outbox.insert("k", 10..15).await;
    let relay = Relay::start(settings(&outbox));
    relay.until("it streams", |report| report.ready).await;
    outbox.drained().await;
    assert_eq!(relay.metric("capture_dead_letters_total{reason=\"column\"}"), 1.0, "set aside once more");
    relay.stop().await;
    let expected: Vec<i64> = (0..5).chain(6..10).chain(6..15).collect();
    assert_eq!(outbox.numbers().await["k"], expected, "what comes behind the hole comes again");
    assert!(dead_letters(&outbox).await.iter().all(|letter| header(letter, "class") == "column"));
}

#[tokio::test]
async fn a_missing_topic_for_dead_letters_is_named_and_waited_for() {
    let outbox = Outbox::create("nodead").await;
    let relay = Relay::start(settings(&outbox));
    outbox.insert("k", 0..10).await;
    relay.until_part_says("kafka", &format!("topic {}", outbox.kafka.topic(DEAD))).await;
    let report = cdc_capture::check(&settings(&outbox)).await;
    let missing = format!("topic {}: does not exist: create it", outbox.kafka.topic(DEAD));
    let named = |line: &cdc_capture::check::Line| line.verdict == Verdict::Problem && line.text.starts_with(&missing);
    assert!(report.lines().iter().any(named), "{report}");
    outbox.create_topic(DEAD, 1).await;
    outbox.drained().await;
    relay.until("ready", |report| report.ready).await;
    relay.stop().await;
    outbox.assert_all_there("k", 10).await;
    let report = cdc_capture::check(&settings(&outbox)).await;
    assert!(report.to_string().contains(&format!("ok topic {}", outbox.kafka.topic(DEAD))), "{report}");
}

#[tokio::test]
async fn a_topic_that_takes_short_dead_letters_only_gets_short_ones() {
    let outbox = Outbox::create("brief").await;
    create_small_topic(&outbox, DEAD, "1500").await;
    let relay = start(settings(&outbox)).await;
    let insert = "INSERT INTO sales.outbox (aggregatetype, aggregateid, type, payload)
        SELECT 'no topic', 'k' || n, 'Changed', json_build_object('n', n, 'text', repeat('x', 5000))
        FROM generate_series(0, 9) n";
    outbox.execute(insert).await;
    outbox.insert("k", 0..10).await;
    outbox.drained().await;
    relay.stop().await;
    let letters = dead_letters(&outbox).await;
    assert_eq!(letters.len(), 10);
    assert!(letters.iter().all(|letter| letter.value.is_none() && header(letter, "size") == "5022"));
    outbox.assert_all_there("k", 10).await;
}

#[tokio::test]
async fn a_topic_that_takes_no_dead_letter_at_all_halts_and_is_named() {
    let outbox = Outbox::create("tiny").await;
    create_small_topic(&outbox, DEAD, "100").await;
    let relay = start(settings(&outbox)).await;
    outbox.execute("INSERT INTO sales.outbox (aggregatetype, aggregateid, type) VALUES ('?', 'k', 'Changed')").await;
    relay.until_part_says("outbox", &format!("was not delivered to {}", outbox.kafka.topic(DEAD))).await;
    let topic = outbox.kafka.topic(DEAD);
    topics::configure(&outbox.kafka.bootstrap_servers, &topic, &[("max.message.bytes", "100000")]).await.unwrap();
    outbox.drained().await;
    relay.until("ready", |report| report.ready).await;
    relay.stop().await;
    assert_eq!(dead_letters(&outbox).await.len(), 1);
}

#[test]
fn a_name_that_is_no_topic_s_is_refused() {
    for name in ["", "no topic", &"x".repeat(249)] {
        let output = Command::new(env!("CARGO_BIN_EXE_cdc-capture"))
            .env_clear()
            .args(["run", "--database-url", "postgres://relay@localhost/shop"])
            .args(["--kafka-bootstrap-servers", "localhost:9092", "--topic-prefix", "p."])
            .args(["--dead-letter-topic", name])
            .output()
            .unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(message.contains("--dead-letter-topic / DEAD_LETTER_TOPIC: "), "{message}");
    }
}
