//! Events in other forms than the default: other columns, Debezium's, and without a table.

use cdc_capture::{
    Settings,
    outbox::{ExtraHeader, Format, Part, Preset},
};
use contracts::envelope::Position;
use servers::{shared, topics::Record};

use crate::outbox::{Outbox, Relay, SOON, number};

fn headers(record: &Record) -> Vec<(&str, &str)> {
    record.headers.iter().map(|(name, value)| (name.as_str(), std::str::from_utf8(value).unwrap())).collect()
}

fn extra(column: &str, header: &str) -> ExtraHeader {
    ExtraHeader { column: column.to_owned(), header: header.to_owned() }
}

/// Prepares the database for a format and starts a relay for it.
async fn start(outbox: &Outbox, tables: &[&str], format: &Format) -> Relay {
    let mut settings = outbox.setup_settings(tables);
    settings.format = format.clone();
    cdc_capture::setup(settings).await.unwrap();
    let relay = Relay::start(Settings { format: format.clone(), ..outbox.settings() });
    relay.until("ready", |report| report.ready).await;
    relay
}

#[tokio::test]
async fn the_debezium_preset_publishes_as_debezium_s_router_does() {
    let outbox = Outbox::bare("debezium", &shared::kafka().bootstrap_servers).await;
    outbox.create_topic("outbox.event.Order", 1).await;
    // The columns of Debezium's documentation.
    outbox
        .execute(
            "CREATE TABLE sales.outboxevent (id uuid PRIMARY KEY, aggregatetype varchar(255) NOT NULL,
               aggregateid varchar(255) NOT NULL, type varchar(255) NOT NULL, payload jsonb)",
        )
        .await;
    let mut format = Format::of(Preset::Debezium);
    let relay = start(&outbox, &["sales.outboxevent"], &format).await;
    let id = "4d47e190-0402-4048-bc2c-89dd54343cdc";
    outbox
        .execute(&format!(
            r#"INSERT INTO sales.outboxevent VALUES ('{id}', 'Order', '1', 'OrderCreated', '{{"id":1,"total":3.0}}');
               INSERT INTO sales.outboxevent VALUES (gen_random_uuid(), 'Order', '1', 'OrderRemoved', NULL)"#
        ))
        .await;
    outbox.drained().await;
    relay.stop().await;

    format.headers = vec![extra("type", "eventType")];
    format.position_header = false;
    let relay = start(&outbox, &["sales.outboxevent"], &format).await;
    outbox
        .execute("INSERT INTO sales.outboxevent VALUES (gen_random_uuid(), 'Order', '2', 'OrderCreated', '[]')")
        .await;
    outbox.drained().await;
    relay.stop().await;

    let records = outbox.records("outbox.event.Order").await;
    let [created, removed, placed] = &records[..] else { panic!("{records:?}") };
    assert_eq!(created.key.as_deref(), Some(&b"1"[..]));
    assert_eq!(created.value.as_deref(), Some(&br#"{"id": 1, "total": 3.0}"#[..]), "the column's text");
    let position = created.header("position").unwrap();
    assert_eq!(headers(created), [("id", id), ("position", position)]);
    position.parse::<Position>().unwrap();
    assert_eq!((removed.key.as_deref(), &removed.value), (Some(&b"1"[..]), &None));
    assert_eq!(headers(placed), [("id", placed.header("id").unwrap()), ("eventType", "OrderCreated")]);
}

#[tokio::test]
async fn any_columns_can_be_an_outbox_and_become_headers_and_topics() {
    let outbox = Outbox::bare("mapping", &shared::kafka().bootstrap_servers).await;
    outbox.create_topic("acme.order", 1).await;
    outbox
        .execute(
            "CREATE TABLE sales.events (seq bigint GENERATED ALWAYS AS IDENTITY, kind text, order_id int, what text,
               body text, tenant text, cost numeric(9, 2), at timestamptz)",
        )
        .await;
    let mut format = Format::default();
    for (part, column) in [
        (Part::Id, "seq"),
        (Part::AggregateType, "kind"),
        (Part::AggregateId, "order_id"),
        (Part::Type, "what"),
        (Part::Payload, "body"),
        (Part::CreatedAt, "at"),
    ] {
        format.mapping.set(part, column.to_owned());
    }
    format.headers = vec![extra("cost", "x-cost"), extra("tenant", "tenant"), extra("what", "eventType")];
    format.topic = "{tenant}.{aggregatetype}".parse().unwrap();

    // The default's columns are not there: setup and run say so.
    let refused = cdc_capture::setup(outbox.setup_settings(&["sales.events"])).await.unwrap_err().to_string();
    assert!(refused.contains("column aggregateid is missing"), "{refused}");
    let relay = start(&outbox, &["sales.events"], &format).await;
    let insert = "INSERT INTO sales.events (kind, order_id, what, body, tenant, cost, at) VALUES";
    outbox.execute(&format!("{insert} ('order', 7, 'Placed', 'text', 'acme', 1.50, '2026-11-21 10:00+00')")).await;
    outbox.execute(&format!("{insert} ('order', 7, 'Paid', 'more', 'acme', NULL, '2026-11-21 11:00+00')")).await;
    outbox.drained().await;
    outbox.execute(&format!("{insert} ('order', 8, 'Placed', 'x', NULL, 1, now())")).await;
    relay.until_part_says("outbox", "row 3 of sales.events: column tenant is empty").await;
    relay.stop().await;

    let records = outbox.records("acme.order").await;
    let [first, second] = &records[..] else { panic!("{records:?}") };
    assert_eq!((first.key.as_deref(), first.value.as_deref()), (Some(&b"7"[..]), Some(&b"text"[..])));
    let expected = [
        ("ce_specversion", "1.0"),
        ("content-type", "application/json"),
        ("ce_id", "1"),
        ("ce_type", "Placed"),
        ("ce_subject", "7"),
        ("ce_time", "2026-11-21T10:00:00.000000Z"),
        ("x-cost", "1.50"),
        ("tenant", "acme"),
        ("eventType", "Placed"),
        ("ce_source", &format!("/{}", outbox.database.name())),
        ("position", first.header("position").unwrap()),
    ];
    assert_eq!(headers(first), expected);
    assert_eq!((second.header("x-cost"), second.header("eventType")), (None, Some("Paid")));

    // A column that the topic needs and the table lacks is told before anything is read.
    outbox.execute("ALTER TABLE sales.events DROP COLUMN tenant").await;
    let relay = Relay::start(Settings { format, ..outbox.settings() });
    relay.until_part_says("postgres", "sales.events: the table is no outbox: column tenant is missing").await;
    relay.stop().await;
}

#[tokio::test]
async fn an_outbox_needs_no_table() {
    let outbox = Outbox::bare("messages", &shared::kafka().bootstrap_servers).await;
    outbox.create_topic("order", 1).await;
    let format = Format { message_prefix: Some("outbox".to_owned()), ..Format::default() };
    let lines = cdc_capture::setup(outbox.setup_settings(&[])).await.unwrap();
    assert!(lines.contains(&"publication waybill: created for no table".to_owned()), "{lines:?}");
    let relay = Relay::start(Settings { format: format.clone(), ..outbox.settings() });
    relay.until("ready", |report| report.ready).await;

    let emit = |transactional: bool, prefix: &str, id: &str, n: i64| {
        format!(
            "SELECT pg_logical_emit_message({transactional}, '{prefix}', jsonb_build_object('id', '{id}',
               'aggregatetype', 'order', 'aggregateid', 'k', 'type', 'Changed', 'payload', jsonb_build_object('n', {n}),
               'aggregateversion', {n} + 1, 'headers', jsonb_build_object('note', 'hé'), 'createdat', now())::text);"
        )
    };
    // Another's messages, in and outside of transactions, and one that is rolled back.
    outbox.execute(&emit(true, "another", "x", 8)).await;
    outbox.execute(&emit(false, "another", "x", 8)).await;
    outbox.execute(&format!("BEGIN; {} ROLLBACK", emit(true, "outbox", "x", 8))).await;
    outbox.execute(&emit(true, "outbox", "m-0", 0)).await;
    outbox
        .execute(&format!(
            "BEGIN; {} {} {} {} COMMIT",
            emit(true, "outbox", "m-1", 1),
            emit(true, "another", "x", 8),
            emit(false, "another", "x", 8),
            emit(true, "outbox", "m-2", 2)
        ))
        .await;
    outbox.drained().await;
    let records = outbox.records("order").await;
    assert_eq!(outbox.numbers().await["k"], [0, 1, 2]);
    let ids: Vec<_> = records.iter().map(|record| record.header("ce_id").unwrap()).collect();
    assert_eq!(ids, ["m-0", "m-1", "m-2"]);
    assert_eq!(records[0].value.as_deref(), Some(&br#"{"n": 0}"#[..]), "as it was given");
    assert_eq!((records[0].header("note"), records[0].header("ce_sequence").unwrap().len()), (Some("hé"), 20));
    let positions: Vec<Position> =
        records.iter().map(|record| record.header("position").unwrap().parse().unwrap()).collect();
    assert_eq!(positions.iter().map(|position| position.ordinal).collect::<Vec<_>>(), [0, 0, 1]);

    // It halts at what it cannot publish, and says where that is.
    outbox.execute(&emit(false, "outbox", "m-3", 3)).await;
    relay.until_part_says("outbox", "of messages \"outbox\": the message is not transactional").await;
    relay.stop().await;
    // Moved past it, it goes on.
    let past = format!("SELECT pg_replication_slot_advance('{}', pg_current_wal_lsn())", outbox.slot);
    outbox.client.query(&past, &[]).await.unwrap();
    outbox.execute(&emit(true, "outbox", "m-4", 3)).await;
    outbox.execute("SELECT pg_logical_emit_message(true, 'outbox', '{')").await;
    let relay = Relay::start(Settings { format, ..outbox.settings() });
    relay.until_part_says("outbox", "the message: expected a JSON object").await;
    relay.stop().await;
    assert_eq!(outbox.numbers().await["k"], [0, 1, 2, 3]);
}

#[tokio::test]
async fn without_a_message_prefix_a_publication_must_have_tables() {
    let outbox = Outbox::bare("tableless", &shared::kafka().bootstrap_servers).await;
    cdc_capture::setup(outbox.setup_settings(&[])).await.unwrap();
    let relay = outbox.start();
    relay.until_part_says("postgres", "publication waybill has no tables").await;
    relay.stop().await;
}

#[tokio::test]
async fn a_plain_empty_publication_will_do_for_messages() {
    let outbox = Outbox::bare("plain", &shared::kafka().bootstrap_servers).await;
    outbox.create_topic("order", 1).await;
    outbox.execute("CREATE PUBLICATION waybill").await;
    outbox.execute(&format!("SELECT pg_create_logical_replication_slot('{}', 'pgoutput')", outbox.slot)).await;
    let format = Format { message_prefix: Some("outbox".to_owned()), ..Format::of(Preset::Debezium) };
    let format = Format { topic: "order".parse().unwrap(), ..format };
    let relay = Relay::start(Settings { format, ..outbox.settings() });
    relay.until("ready", |report| report.ready).await;
    let body = r#"{"id": 1, "aggregatetype": "Order", "aggregateid": "k", "payload": "text"}"#;
    outbox.execute(&format!("SELECT pg_logical_emit_message(true, 'outbox', '{body}')")).await;
    outbox.drained().await;
    relay.stop().await;
    assert_eq!(outbox.records("order").await[0].value.as_deref(), Some(&br#""text""#[..]));
}

#[tokio::test]
async fn several_tables_and_messages_share_a_slot() {
    let outbox = Outbox::create("several").await;
    outbox.execute("CREATE TABLE sales.more (LIKE sales.outbox INCLUDING DEFAULTS)").await;
    let format = Format { message_prefix: Some("outbox".to_owned()), ..Format::default() };
    let relay = start(&outbox, &["sales.outbox", "sales.more"], &format).await;
    for n in 0..20 {
        let values = format!("(aggregatetype, aggregateid, type, payload) VALUES ('order', 'k', 'C', '{{\"n\":{n}}}')");
        let statement = match n % 3 {
            0 => format!("INSERT INTO sales.outbox {values}"),
            1 => format!("INSERT INTO sales.more {values}"),
            _ => format!(
                r#"SELECT pg_logical_emit_message(true, 'outbox', '{{"id": "{n}", "aggregatetype": "order",
                   "aggregateid": "k", "type": "C", "payload": {{"n": {n}}}}}')"#
            ),
        };
        outbox.execute(&statement).await;
    }
    outbox.drained().await;
    relay.stop().await;
    assert_eq!(outbox.numbers().await["k"], (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_program_takes_the_flags() {
    let outbox = Outbox::bare("flags", &shared::kafka().bootstrap_servers).await;
    outbox.create_topic("acme", 1).await;
    outbox.execute("CREATE TABLE sales.e (eid uuid, kind text, aid text, body json, tenant text)").await;
    let columns = ["--preset=debezium", "--column=id=eid,aggregatetype=kind", "--column=aggregateid=aid"];
    let columns = [&columns[..], &["--column=payload=body", "--header=kind=k", "--topic-template={tenant}"]].concat();
    let url = outbox.database.url();
    let setup = ["setup", "--table", "sales.e", "--role", &outbox.login.role, "--slot", &outbox.slot];
    let setup = [&setup[..], &columns].concat();
    let setup = servers::Process::spawn("cdc-capture", setup, &[("ADMIN_DATABASE_URL", &url)]).unwrap();
    assert!(setup.wait(SOON).await.unwrap().success(), "{}", setup.log());
    let run = ["run", "--slot", &outbox.slot, "--admin-listen", "127.0.0.1:0", "--position-header", "false"];
    let environment = [
        ("DATABASE_URL", outbox.login.url.as_str()),
        ("KAFKA_BOOTSTRAP_SERVERS", &outbox.kafka.bootstrap_servers),
        ("TOPIC_PREFIX", &outbox.kafka.topic_prefix),
    ];
    let run = servers::Process::spawn("cdc-capture", [&run[..], &columns].concat(), &environment).unwrap();
    outbox.execute("INSERT INTO sales.e VALUES (gen_random_uuid(), 'Order', 'a', '{}', 'acme')").await;
    outbox.drained().await;
    assert_eq!(run.terminate(SOON).await.unwrap().code(), Some(0), "{}", run.log());
    let records = outbox.records("acme").await;
    assert_eq!(headers(&records[0]), [("id", records[0].header("id").unwrap()), ("k", "Order")]);
}

#[tokio::test]
async fn a_connector_s_slot_and_publication_can_be_taken() {
    let outbox = Outbox::bare("taken", &shared::kafka().bootstrap_servers).await;
    outbox.create_topic("outbox.event.order", 1).await;
    // As Debezium makes them with publication.autocreate.mode=filtered: all operations, partitions under their names.
    outbox.execute("CREATE PUBLICATION dbz_publication FOR TABLE sales.outbox").await;
    outbox.execute(&format!("SELECT pg_create_logical_replication_slot('{}', 'pgoutput')", outbox.slot)).await;
    outbox.insert("k", 0..2).await;
    let format = Format::of(Preset::Debezium);
    let mut setup = outbox.setup_settings(&["sales.outbox"]);
    setup.publication = "dbz_publication".parse().unwrap();
    setup.format = format.clone();
    cdc_capture::setup(setup.clone()).await.unwrap();
    let relay = Relay::start(Settings { format, publication: setup.publication, ..outbox.settings() });
    // Rows that are deleted at once, as Debezium's users do, are published all the same.
    outbox.execute("BEGIN").await;
    outbox.insert("k", 2..4).await;
    outbox.execute("UPDATE sales.outbox SET type = 'Other'; DELETE FROM sales.outbox; COMMIT").await;
    outbox.drained().await;
    relay.stop().await;
    let numbers: Vec<_> = outbox.records("outbox.event.order").await.iter().map(number).collect();
    assert_eq!(numbers, [0, 1, 2, 3]);
}
