//! What arrives, in which order, with which headers, and what is confirmed.

use contracts::envelope::{Envelope, Position};
use servers::{Kafka, KafkaOptions, eventually, topics::Record};

use crate::outbox::{Outbox, SOON, connect, insert, number};

#[tokio::test]
async fn a_row_arrives_with_exactly_its_headers() {
    let outbox = Outbox::create("headers").await;
    let relay = outbox.start_ready().await;
    let id = "0199aaaa-0000-7000-8000-000000000001";
    outbox
        .execute(&format!(
            r#"INSERT INTO sales.outbox VALUES ('{id}', 'order', 'order-1', 'sales.OrderPlaced.v1', '{{"total": 3}}', 7,
               '{{"ce_source": "/sales", "ce_correlationid": "c-1", "note": "hé"}}', '2026-11-21 11:02:40.5+01')"#
        ))
        .await;
    outbox.drained().await;
    relay.stop().await;

    let records = outbox.records("order").await;
    let [record] = &records[..] else { panic!("{records:?}") };
    assert_eq!(record.key.as_deref(), Some(&b"order-1"[..]));
    assert_eq!(record.value.as_deref(), Some(&br#"{"total": 3}"#[..]), "byte for byte");
    let position = record.header("position").unwrap().to_owned();
    let expected = [
        ("ce_specversion", "1.0"),
        ("content-type", "application/json"),
        ("ce_id", id),
        ("ce_type", "sales.OrderPlaced.v1"),
        ("ce_subject", "order-1"),
        ("ce_sequence", "00000000000000000007"),
        ("ce_time", "2026-11-21T10:02:40.500000Z"),
        ("ce_correlationid", "c-1"),
        ("ce_source", "/sales"),
        ("note", "hé"),
        ("position", &position),
    ];
    let headers: Vec<_> =
        record.headers.iter().map(|(name, value)| (name.as_str(), std::str::from_utf8(value).unwrap())).collect();
    assert_eq!(headers, expected);

    let system: String =
        outbox.client.query_one("SELECT system_identifier::text FROM pg_control_system()", &[]).await.unwrap().get(0);
    let position: Position = position.parse().unwrap();
    assert_eq!((position.system.to_string(), position.timeline, position.ordinal), (system, 1, 0));
    Envelope::from_headers(record.headers.iter().map(|(name, value)| (name.as_str(), Some(&value[..])))).unwrap();
}

#[tokio::test]
async fn a_null_payload_is_a_tombstone_and_the_source_is_the_database() {
    let outbox = Outbox::create("tombstone").await;
    let relay = outbox.start_ready().await;
    outbox
        .execute("INSERT INTO sales.outbox (aggregatetype, aggregateid, type) VALUES ('order', 'a', 'Removed')")
        .await;
    outbox.drained().await;
    relay.stop().await;
    let records = outbox.records("order").await;
    assert_eq!(records[0].value, None);
    assert_eq!(records[0].header("ce_source"), Some(&*format!("/{}", outbox.database.name())));
    assert_eq!(records[0].header("ce_sequence"), None);
}

#[tokio::test]
async fn rows_of_a_key_arrive_in_commit_order_and_rolled_back_ones_never() {
    let outbox = Outbox::create("order").await;
    let relay = outbox.start_ready().await;
    let other = connect(&outbox.database.url()).await;

    // Begun and written first, committed last.
    outbox.execute("BEGIN").await;
    outbox.insert("k", 2..4).await;
    insert(&other, "k", 0..1).await;
    other.batch_execute("BEGIN").await.unwrap();
    insert(&other, "k", 100..200).await;
    other.batch_execute("SAVEPOINT s").await.unwrap();
    other.batch_execute("ROLLBACK").await.unwrap();
    // A subtransaction that is rolled back inside of one that commits.
    other.batch_execute("BEGIN; SAVEPOINT s").await.unwrap();
    insert(&other, "k", 200..300).await;
    other.batch_execute("ROLLBACK TO s").await.unwrap();
    insert(&other, "k", 1..2).await;
    other.batch_execute("COMMIT").await.unwrap();
    outbox.execute("COMMIT").await;

    outbox.drained().await;
    relay.stop().await;
    assert_eq!(outbox.numbers().await["k"], [0, 1, 2, 3]);
    let positions: Vec<Position> = outbox
        .records("order")
        .await
        .iter()
        .map(|record| record.header("position").unwrap().parse().unwrap())
        .collect();
    assert!(positions.is_sorted() && positions[2].commit == positions[3].commit, "{positions:?}");
}

#[tokio::test]
async fn a_transaction_larger_than_the_producer_s_queue_goes_through_row_by_row() {
    let outbox = Outbox::create("large").await;
    // 50,000 rows of 300 bytes against a queue of 1 MiB.
    let mut settings = outbox.settings();
    settings.kafka.properties.push(("queue.buffering.max.kbytes".to_owned(), "1024".to_owned()));
    let relay = crate::outbox::Relay::start(settings);
    relay.until("ready", |report| report.ready).await;
    outbox.insert("k", 0..50_000).await;
    let target = outbox.wal_position().await;
    let mut most_in_flight = 0.0_f64;
    eventually("all is confirmed", SOON, async || {
        most_in_flight = most_in_flight.max(relay.metric("capture_in_flight_events"));
        outbox.confirmed().await >= target
    })
    .await;
    assert!(most_in_flight < 4_000.0, "{most_in_flight}");
    eventually("the metrics say so", SOON, async || {
        relay.metric("capture_events_total") == 50_000.0 && relay.metric("capture_lag_seconds") == 0.0
    })
    .await;
    relay.stop().await;
    assert_eq!(outbox.numbers().await["k"], (0..50_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn many_small_transactions_on_several_topics_arrive_once_each() {
    let outbox = Outbox::create("small").await;
    outbox.create_topic("guest", 2).await;
    let relay = outbox.start_ready().await;
    let other = connect(&outbox.database.url()).await;
    let guests = async {
        for n in 0..300_i64 {
            let statement = "INSERT INTO sales.outbox (aggregatetype, aggregateid, type, payload)
                VALUES ('guest', 'g', 'Changed', json_build_object('n', $1::bigint))";
            other.execute(statement, &[&n]).await.unwrap();
        }
    };
    let orders = async {
        for n in 0..300 {
            outbox.insert(&format!("k{}", n % 7), n..n + 1).await;
        }
    };
    tokio::join!(guests, orders);
    outbox.drained().await;
    relay.stop().await;
    let guests: Vec<i64> = outbox.records("guest").await.iter().map(number).collect();
    assert_eq!(guests, (0..300).collect::<Vec<_>>());
    for (key, numbers) in outbox.numbers().await {
        let first = key[1..].parse::<i64>().unwrap();
        assert_eq!(numbers, (first..300).step_by(7).collect::<Vec<_>>(), "{key}");
    }
}

#[tokio::test]
async fn an_idle_database_moves_the_slot_on() {
    let outbox = Outbox::create("idle").await;
    let relay = outbox.start_ready().await;
    outbox.execute("CREATE TABLE other (n int)").await;
    for _ in 0..3 {
        outbox.execute("INSERT INTO other SELECT generate_series(1, 1000)").await;
        outbox.drained().await;
    }
    relay.stop().await;
}

#[tokio::test]
async fn what_is_in_flight_at_the_end_is_flushed_and_confirmed() {
    let broker = Kafka::start_with(KafkaOptions::default()).await.unwrap();
    let outbox = Outbox::create_with("end", &broker.bootstrap_servers()).await;
    let relay = outbox.start_ready().await;
    outbox.insert("k", 0..1).await;
    outbox.drained().await;
    // The end comes while all of it is in flight.
    broker.pause().unwrap();
    outbox.insert("k", 1..100).await;
    let target = outbox.wal_position().await;
    eventually("they are in flight", SOON, async || relay.metric("capture_in_flight_events") == 99.0).await;
    tokio::join!(relay.stop(), async { broker.resume().unwrap() });
    assert!(outbox.confirmed().await >= target || outbox.numbers().await["k"].len() == 100);
    assert!(!outbox.slot_is_active().await, "the slot is free at once");

    let relay = outbox.start_ready().await;
    outbox.insert("k", 100..101).await;
    outbox.drained().await;
    relay.stop().await;
    assert_eq!(outbox.numbers().await["k"], (0..101).collect::<Vec<_>>(), "nothing was repeated");
}

#[tokio::test]
async fn a_partitioned_outbox_goes_through_its_root() {
    let outbox = Outbox::create("partitioned").await;
    outbox
        .execute(
            "CREATE TABLE sales.days (id uuid DEFAULT gen_random_uuid(), aggregatetype text, aggregateid text, type text,
                payload json, created_at timestamptz NOT NULL) PARTITION BY RANGE (created_at);
             CREATE TABLE sales.monday PARTITION OF sales.days FOR VALUES FROM ('2026-11-23') TO ('2026-11-24')",
        )
        .await;
    cdc_capture::setup(outbox.setup_settings(&["sales.days"])).await.unwrap();
    let relay = outbox.start_ready().await;
    let insert = |n: u8| {
        format!(
            "INSERT INTO sales.days (aggregatetype, aggregateid, type, payload, created_at)
             VALUES ('order', 'k', 'Changed', '{{\"n\": {n}}}', '2026-11-2{}')",
            3 + n
        )
    };
    outbox.execute(&insert(0)).await;
    // A partition that comes later needs no other set-up.
    outbox
        .execute("CREATE TABLE sales.tuesday PARTITION OF sales.days FOR VALUES FROM ('2026-11-24') TO ('2026-11-25')")
        .await;
    outbox.execute(&insert(1)).await;
    outbox.drained().await;
    relay.stop().await;
    assert_eq!(outbox.numbers().await["k"], [0, 1]);
    let times: Vec<_> =
        outbox.records("order").await.iter().filter_map(|r: &Record| r.header("ce_time").map(str::to_owned)).collect();
    assert_eq!(times, ["2026-11-23T00:00:00.000000Z", "2026-11-24T00:00:00.000000Z"]);
}

#[tokio::test]
async fn a_partitioned_outbox_loses_nothing_over_midnight() {
    const ROWS: i64 = 200;
    let outbox = Outbox::create("midnight").await;
    let day = |n: i64| format!("day_{n} PARTITION OF sales.days FOR VALUES FROM ({n}) TO ({})", n + 1);
    outbox
        .execute(&format!(
            "CREATE TABLE sales.days (id uuid DEFAULT gen_random_uuid(), aggregatetype text, aggregateid text, type text,
                payload json, day bigint NOT NULL) PARTITION BY RANGE (day);
             CREATE TABLE sales.{}; CREATE TABLE sales.{}",
            day(0),
            day(1)
        ))
        .await;
    cdc_capture::setup(outbox.setup_settings(&["sales.days"])).await.unwrap();
    let writer = connect(&outbox.database.url()).await;
    let write = async |day: i64| {
        for n in day * ROWS..(day + 1) * ROWS {
            let statement = "INSERT INTO sales.days (aggregatetype, aggregateid, type, payload, day)
                VALUES ('order', 'k', 'Changed', json_build_object('n', $1::bigint), $2)";
            writer.execute(statement, &[&n, &day]).await.unwrap();
        }
    };
    let relay = outbox.start_ready().await;
    // Each day the next one's partition is made, in either way, and the one before goes, while rows are written.
    let attached = "CREATE TABLE sales.day_3 (LIKE sales.days); ALTER TABLE sales.days ATTACH PARTITION sales.day_3
        FOR VALUES FROM (3) TO (4)";
    let gone = "DROP TABLE sales.day_1";
    for (today, changes) in [
        (0, vec![format!("CREATE TABLE sales.{}", day(2))]),
        (1, vec!["ALTER TABLE sales.days DETACH PARTITION sales.day_0; DROP TABLE sales.day_0".to_owned()]),
        (2, vec!["ALTER TABLE sales.days DETACH PARTITION sales.day_1 CONCURRENTLY".to_owned(), attached.to_owned()]),
    ] {
        let changing = async {
            for change in &changes {
                outbox.execute(change).await;
            }
        };
        tokio::join!(write(today), changing);
    }
    outbox.execute(gone).await;
    outbox.drained().await;
    relay.stop().await;
    // Rows of a partition that is gone by the time that the relay reads of them.
    write(3).await;
    outbox.execute("ALTER TABLE sales.days DETACH PARTITION sales.day_3; DROP TABLE sales.day_3").await;
    outbox.execute("DROP TABLE sales.day_2").await;
    let relay = outbox.start_ready().await;
    outbox.drained().await;
    relay.stop().await;
    assert_eq!(outbox.numbers().await["k"], (0..4 * ROWS).collect::<Vec<_>>());
}
