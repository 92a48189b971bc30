//! A slot that is missing or lost is replaced: afterwards each key has on the topic exactly what was committed, in order.

use std::process::{Command, Output};

use cdc_capture::{
    outbox::{ExtraHeader, Format, Preset},
    settings::LostSlot,
};
use servers::{Postgres, PostgresOptions, Process, TempDatabase, eventually, shared, topics, topics::NewRecord};

use crate::outbox::{Outbox, Relay, SOON, connect, insert};

const KEYS: [&str; 3] = ["a", "b", "c"];

impl Outbox {
    async fn insert_for_all(&self, numbers: std::ops::Range<i64>) {
        for key in KEYS {
            self.insert(key, numbers.clone()).await;
        }
    }

    /// Publishes the first so many of each key, and ends.
    async fn relayed(&self, count: i64) {
        let relay = self.start_ready().await;
        self.insert_for_all(0..count).await;
        self.drained().await;
        relay.stop().await;
    }

    async fn slot_status(&self) -> Option<String> {
        let ask = "SELECT coalesce(wal_status, 'none') FROM pg_replication_slots WHERE slot_name = $1";
        self.client.query_opt(ask, &[&self.slot]).await.unwrap().map(|row| row.get(0))
    }

    async fn drop_slot(&self) {
        self.execute(&format!("SELECT pg_drop_replication_slot('{}')", self.slot)).await;
    }

    /// The numbers of one key, in their order.
    async fn numbers_of(&self, key: &str) -> Vec<i64> {
        let records = self.records("order").await;
        let of_key = records.iter().filter(|record| record.key.as_deref() == Some(key.as_bytes()));
        of_key.map(crate::outbox::number).collect()
    }

    async fn assert_exactly(&self, count: i64) {
        let numbers = self.numbers().await;
        for key in KEYS {
            assert_eq!(numbers[key], (0..count).collect::<Vec<_>>(), "{key}");
        }
    }

    fn resync(&self, flags: &[&str]) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_cdc-capture"))
            .env_clear()
            .envs(self.environment())
            .arg("resync")
            .args(flags)
            .output()
            .unwrap();
        (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
    }
}

#[tokio::test]
async fn a_slot_dropped_while_the_relay_is_away_is_replaced_and_nothing_is_missing_or_doubled() {
    let outbox = Outbox::create("dropped").await;
    outbox.relayed(100).await;
    outbox.drop_slot().await;
    outbox.insert_for_all(100..1_000).await;
    // A transaction that is open when the new slot is made: it must be waited for.
    let open = connect(&outbox.database.url()).await;
    open.batch_execute("BEGIN").await.unwrap();
    insert(&open, "d", 0..10).await;
    let relay = outbox.start();
    relay.until_part_says("postgres", "waits for the transactions").await;
    open.batch_execute("COMMIT").await.unwrap();
    outbox.insert_for_all(1_000..1_500).await;
    relay.until("streaming", |report| report.ready).await;
    outbox.insert_for_all(1_500..1_600).await;
    outbox.drained().await;
    assert_eq!(relay.metric("capture_resyncs_total"), 1.0);
    assert!(relay.metric("capture_resync_events_total") >= 2_700.0);
    relay.stop().await;
    outbox.assert_exactly(1_600).await;
    assert_eq!(outbox.numbers().await["d"], (0..10).collect::<Vec<_>>());
    assert_eq!(outbox.slot_status().await.as_deref(), Some("reserved"));
    let relay = outbox.start_ready().await;
    relay.stop().await;
    outbox.assert_exactly(1_600).await;
}

#[tokio::test]
async fn rows_committed_during_the_resync_come_once_and_in_order() {
    const ROWS: i64 = 4_000;
    let outbox = Outbox::create("during").await;
    outbox.relayed(10).await;
    outbox.drop_slot().await;
    let writing = async {
        for n in (10..ROWS).step_by(10) {
            outbox.insert_for_all(n..n + 10).await;
        }
    };
    let resyncing = async {
        eventually("some are there", SOON, async || {
            outbox.client.query_one("SELECT count(*) > 300 FROM sales.outbox", &[]).await.unwrap().get::<_, bool>(0)
        })
        .await;
        outbox.start_ready().await
    };
    let ((), relay) = tokio::join!(writing, resyncing);
    outbox.drained().await;
    assert_eq!(relay.metric("capture_resyncs_total"), 1.0);
    relay.stop().await;
    outbox.assert_exactly(ROWS).await;
}

#[tokio::test]
async fn an_invalidated_slot_is_replaced() {
    let settings = vec![("max_slot_wal_keep_size".to_owned(), "16MB".to_owned())];
    let server = Postgres::start(PostgresOptions { settings, ..PostgresOptions::default() }).await.unwrap();
    let database = TempDatabase::create_on(&server.url("postgres"), "lost").await.unwrap();
    let outbox = Outbox::bare_in(database, "lost", &shared::kafka().bootstrap_servers).await;
    outbox.create_topic("order", 4).await;
    outbox.set_up().await.unwrap();
    outbox.relayed(100).await;
    outbox.insert_for_all(100..300).await;
    eventually("the slot is lost", SOON, async || {
        let _ = outbox.client.batch_execute("SELECT pg_switch_wal()").await;
        outbox
            .execute("SELECT pg_logical_emit_message(false, 'x', repeat('x', 1000000)) FROM generate_series(1, 20)")
            .await;
        outbox.execute("CHECKPOINT").await;
        outbox.slot_status().await.as_deref() == Some("lost")
    })
    .await;
    let report = cdc_capture::check(&outbox.settings()).await;
    assert!(report.to_string().contains("is lost") && report.to_string().contains("cdc-capture resync"), "{report}");

    let shown = Command::new(env!("CARGO_BIN_EXE_cdc-capture"))
        .env_clear()
        .envs([("DATABASE_URL", &outbox.login.url), ("SLOT", &outbox.slot)])
        .args(["slot", "show"])
        .output()
        .unwrap();
    assert!(String::from_utf8(shown.stdout).unwrap().contains("remedy      `cdc-capture resync`"));

    let relay = outbox.start_ready().await;
    outbox.insert_for_all(300..310).await;
    outbox.drained().await;
    relay.stop().await;
    outbox.assert_exactly(310).await;
}

#[tokio::test]
async fn a_slot_dropped_under_a_running_relay_is_replaced() {
    let outbox = Outbox::create("under").await;
    let relay = outbox.start_ready().await;
    outbox.insert_for_all(0..100).await;
    outbox.drained().await;
    let take_away = format!(
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{0}' AND active;
         SELECT pg_drop_replication_slot('{0}')",
        outbox.slot
    );
    eventually("it is dropped", SOON, async || outbox.client.batch_execute(&take_away).await.is_ok()).await;
    outbox.insert_for_all(100..200).await;
    eventually("it is replaced", SOON, async || relay.metric("capture_resyncs_total") == 1.0).await;
    relay.until("streaming", |report| report.ready).await;
    outbox.insert_for_all(200..210).await;
    outbox.drained().await;
    relay.stop().await;
    outbox.assert_exactly(210).await;
}

#[tokio::test]
async fn a_process_killed_in_the_middle_begins_anew_and_completes() {
    const ROWS: i64 = 5_000;
    let outbox = Outbox::create("middle").await;
    outbox.relayed(10).await;
    outbox.drop_slot().await;
    outbox.insert_for_all(10..ROWS).await;
    let mut environment = outbox.environment();
    environment.push(("KAFKA_CONFIG", "queue.buffering.max.messages=20"));
    environment.push(("LINGER_MS", "20"));
    let topic = outbox.kafka.topic("order");
    for _ in 0..3 {
        let count = async || topics::consume_all(&outbox.kafka.bootstrap_servers, &topic).await.unwrap().len();
        let before = count().await;
        let process = Process::spawn("cdc-capture", ["run"], &environment).unwrap();
        eventually("it publishes", SOON, async || count().await > before).await;
        assert_eq!(outbox.slot_status().await, None, "it is in the middle");
        process.kill().await.unwrap();
    }
    let relay = outbox.start_ready().await;
    outbox.drained().await;
    relay.stop().await;
    for key in KEYS {
        let repeated = outbox.assert_all_there(key, ROWS).await;
        assert!(repeated <= 3 * 20, "{repeated}");
    }
}

#[tokio::test]
async fn who_loses_the_right_gives_up_and_begins_anew() {
    const ROWS: i64 = 5_000;
    let outbox = Outbox::create("right").await;
    outbox.relayed(10).await;
    outbox.drop_slot().await;
    outbox.insert_for_all(10..ROWS).await;
    let mut settings = outbox.settings();
    settings.kafka.properties.push(("queue.buffering.max.messages".to_owned(), "20".to_owned()));
    settings.linger = std::time::Duration::from_millis(20);
    let relay = Relay::start(settings);
    for _ in 0..3 {
        let count = async || outbox.records("order").await.len();
        let before = count().await;
        eventually("it publishes", SOON, async || count().await > before).await;
        let terminate = format!(
            "SELECT count(pg_terminate_backend(active_pid)) FROM pg_replication_slots WHERE slot_name = '{}_resync'",
            &outbox.slot[..outbox.slot.len().min(56)]
        );
        let terminated: i64 = outbox.client.query_one(&terminate, &[]).await.unwrap().get(0);
        assert_eq!((terminated, outbox.slot_status().await), (1, None), "it is in the middle");
        relay.until_part_says("postgres", "PostgreSQL: ").await;
    }
    relay.shutdown.cancel();
    relay.stop().await;
    let relay = outbox.start_ready().await;
    outbox.drained().await;
    relay.stop().await;
    for key in KEYS {
        outbox.assert_all_there(key, ROWS).await;
    }
}

#[tokio::test]
async fn of_two_relays_one_does_it() {
    let outbox = Outbox::create("two").await;
    outbox.relayed(10).await;
    outbox.drop_slot().await;
    outbox.insert_for_all(10..3_000).await;
    let relays = [outbox.start(), outbox.start()];
    eventually("one streams", SOON, async || {
        relays.iter().any(|relay| relay.health.report().ready) && outbox.slot_status().await.is_some()
    })
    .await;
    outbox.insert_for_all(3_000..3_100).await;
    outbox.drained().await;
    let resyncs: f64 = relays.iter().map(|relay| relay.metric("capture_resyncs_total")).sum();
    assert_eq!(resyncs, 1.0);
    for relay in relays {
        relay.stop().await;
    }
    outbox.assert_exactly(3_100).await;
}

#[tokio::test]
async fn with_halt_it_is_said_and_left_to_someone() {
    let outbox = Outbox::create("left").await;
    outbox.relayed(10).await;
    outbox.drop_slot().await;
    outbox.insert_for_all(10..20).await;
    let mut settings = outbox.settings();
    settings.lost_slot = LostSlot::Halt;
    let relay = Relay::start(settings);
    relay.until_part_says("postgres", &format!("replication slot {} does not exist", outbox.slot)).await;
    relay.until_part_says("postgres", "`cdc-capture resync --yes`").await;
    assert_eq!(outbox.slot_status().await, None);
    let (code, said) = outbox.resync(&["--yes"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("60 rows of 3 aggregates read, 30 published, 30 already there"), "{said}");
    relay.until("streaming", |report| report.ready).await;
    relay.stop().await;
    outbox.assert_exactly(20).await;
}

#[tokio::test]
async fn by_hand_a_slot_is_replaced_that_nobody_reads_and_events_are_as_the_stream_makes_them() {
    let mut outbox = Outbox::create("byhand").await;
    // Of types that a cast to text writes in another way than the stream does.
    outbox.execute("ALTER TABLE sales.outbox ADD flag boolean DEFAULT true, ADD code char(5) DEFAULT 'x'").await;
    outbox.execute("ALTER TABLE sales.outbox ADD nothing text, ADD late timestamptz DEFAULT now()").await;
    let mut settings = outbox.settings();
    let header = |name: &str| ExtraHeader { column: name.to_owned(), header: name.to_owned() };
    settings.format.headers = ["flag", "code", "nothing", "late"].map(header).to_vec();
    let relay = Relay::start(settings);
    relay.until("ready", |report| report.ready).await;
    outbox.insert_for_all(0..20).await;
    outbox
        .execute(
            r#"INSERT INTO sales.outbox (aggregatetype, aggregateid, type, payload, aggregateversion, headers)
               VALUES ('order', 'a', 'Gone', NULL, 21, '{"ce_source": "/else", "note": "é"}')"#,
        )
        .await;
    outbox.drained().await;
    let (code, refused) = outbox.resync(&["--yes"]);
    assert_eq!(code, Some(1));
    assert!(refused.contains("is in use by the process"), "{refused}");
    relay.stop().await;
    let (code, refused) = outbox.resync(&[]);
    assert_eq!(code, Some(1));
    assert!(refused.contains("nothing was done: repeat it with --yes"), "{refused}");

    let streamed = outbox.records("order").await;
    // As if the topic had been lost.
    outbox.kafka.topic_prefix.push_str("again.");
    outbox.create_topic("order", 4).await;
    let before = outbox.confirmed().await;
    let (code, said) = outbox.resync(&["--yes", "--header=flag,code,nothing,late"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("61 rows of 3 aggregates read, 61 published, 0 already there"), "{said}");
    assert!(outbox.confirmed().await > before);
    let told = |records: &[topics::Record], key: &str| {
        let of_key = records.iter().filter(|record| record.key.as_deref() == Some(key.as_bytes()));
        let told = of_key.map(|record| {
            let headers: Vec<_> = record.headers.iter().filter(|(name, _)| name != "position").cloned().collect();
            (record.partition, record.value.clone(), headers)
        });
        told.collect::<Vec<_>>()
    };
    let again = outbox.records("order").await;
    for key in KEYS {
        assert_eq!(told(&again, key), told(&streamed, key));
    }
    assert!(again.iter().any(|record| record.header("code") == Some("x    ") && record.header("flag") == Some("t")));

    let relay = outbox.start_ready().await;
    outbox.insert("b", 20..30).await;
    outbox.drained().await;
    relay.stop().await;
    assert_eq!(outbox.numbers_of("b").await, (0..30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_hole_on_the_topic_is_filled_and_what_another_timeline_has_published_is_told_by_its_ids() {
    let outbox = Outbox::create("hole").await;
    outbox.insert_for_all(0..6).await;
    let rows =
        outbox.client.query("SELECT aggregateid, aggregateversion, id::text FROM sales.outbox", &[]).await.unwrap();
    let record = |key: &str, version: i64, id: Option<&str>, timeline: u32| {
        let found = rows.iter().find(|row| (row.get::<_, &str>(0), row.get::<_, i64>(1)) == (key, version)).unwrap();
        let header = |name: &str, value: String| (name.to_owned(), value.into_bytes());
        NewRecord {
            partition: None,
            key: Some(key.as_bytes().to_vec()),
            value: Some(format!("{{\"n\": {}}}", version - 1).into_bytes()),
            headers: vec![
                header("ce_id", id.unwrap_or(found.get(2)).to_owned()),
                header("ce_sequence", format!("{version:020}")),
                header("position", format!("1:{timeline}:0/10:0")),
            ],
        }
    };
    let records = [
        // The third of a was refused, those behind it were taken.
        record("a", 1, None, 1),
        record("a", 2, None, 1),
        record("a", 4, None, 1),
        // Of b, the same events as before the failover.
        record("b", 1, None, 1),
        record("b", 2, None, 1),
        // Of c, the second was made again by the new server.
        record("c", 1, None, 1),
        record("c", 2, Some("lost with the old server"), 1),
    ];
    topics::produce_all(&outbox.kafka.bootstrap_servers, &outbox.kafka.topic("order"), records.into()).await.unwrap();
    let mut flags = vec!["--yes", "--other-history=halt"];
    let (code, refused) = outbox.resync(&flags);
    assert_eq!(code, Some(1));
    assert!(refused.contains("topics hold events of another server or timeline"), "{refused}");
    flags.pop();
    let (code, said) = outbox.resync(&flags);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(outbox.numbers_of("a").await, [0, 1, 3, 2, 3, 4, 5]);
    assert_eq!(outbox.numbers_of("b").await, [0, 1, 2, 3, 4, 5]);
    assert_eq!(outbox.numbers_of("c").await, [0, 1, 0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn what_cannot_be_known_is_refused_until_it_is_accepted() {
    let outbox = Outbox::create("gaps").await;
    outbox.drop_slot().await;
    let relay = outbox.start();
    relay.until_part_says("postgres", "resync halted: replication slot").await;
    relay.until_part_says("postgres", "the tables hold no rows").await;
    relay.stop().await;

    outbox.insert_for_all(0..5).await;
    outbox.execute("DELETE FROM sales.outbox WHERE aggregateid <> 'c' AND aggregateversion < 4").await;
    outbox
        .execute("UPDATE sales.outbox SET aggregateversion = NULL WHERE aggregateid = 'c' AND aggregateversion = 5")
        .await;
    let relay = outbox.start();
    for words in [
        "1 rows have no version",
        "of 2 of 3 aggregates, versions are neither on Kafka nor in the tables (versions 1 to 3 of ",
        "`cdc-capture resync --yes --accept-gaps`",
    ] {
        relay.until_part_says("postgres", words).await;
    }
    relay.stop().await;
    assert!(outbox.numbers().await.is_empty());
    let (code, said) = outbox.resync(&["--yes"]);
    assert_eq!((code, outbox.slot_status().await), (Some(1), None), "{said}");
    let (code, said) = outbox.resync(&["--yes", "--accept-gaps"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("accepted: 1 rows have no version"), "{said}");
    assert_eq!((outbox.numbers_of("a").await, outbox.numbers_of("c").await), (vec![3, 4], vec![0, 1, 2, 3]));
}

#[tokio::test]
async fn without_versions_a_free_slot_is_left_as_it_is() {
    let outbox = Outbox::create("noversion").await;
    outbox.insert_for_all(0..5).await;
    outbox.execute("ALTER TABLE sales.outbox RENAME aggregateversion TO other").await;
    let before = outbox.confirmed().await;
    let (code, said) = outbox.resync(&["--yes", "--accept-gaps"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("sales.outbox has no aggregateversion"), "{said}");
    assert_eq!(outbox.confirmed().await, before);

    outbox.drop_slot().await;
    let relay = outbox.start();
    relay.until_part_says("postgres", "sales.outbox has no aggregateversion").await;
    relay.stop().await;
    let mut settings = outbox.settings();
    settings.format = Format::of(Preset::Debezium);
    let relay = Relay::start(settings);
    relay.until_part_says("postgres", "Debezium-like events carry no version").await;
    relay.stop().await;
}

#[tokio::test]
async fn a_hundred_thousand_aggregates_take_bounded_memory() {
    const AGGREGATES: i64 = 100_000;
    /// Of the whole process.
    const MOST: u64 = 48 << 10;
    let outbox = Outbox::create("many").await;
    let insert = |version: i64| {
        format!(
            "INSERT INTO sales.outbox (aggregatetype, aggregateid, type, payload, aggregateversion)
             SELECT 'order', 'aggregate-' || n, 'Changed', json_build_object('text', repeat('x', 100)), {version}
             FROM generate_series(1, {AGGREGATES}) n"
        )
    };
    let relay = outbox.start_ready().await;
    outbox.execute(&insert(1)).await;
    outbox.drained().await;
    relay.stop().await;
    outbox.drop_slot().await;
    outbox.execute(&insert(2)).await;
    outbox.execute(&insert(3)).await;
    let began = std::time::Instant::now();
    let process = Process::spawn("cdc-capture", ["run"], &outbox.environment()).unwrap();
    eventually("the slot is there", 4 * SOON, async || outbox.slot_status().await.is_some()).await;
    let took = began.elapsed();
    outbox.drained().await;
    let said = format!("300000 rows of {AGGREGATES} aggregates read, 200000 published, 100000 already there");
    assert!(process.log().contains(&said), "{}", process.log());
    if cfg!(target_os = "linux") {
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")).unwrap();
        println!("{peak} KiB at most, in {took:?}");
        assert!(peak.trim().parse::<u64>().unwrap() < MOST, "{peak} KiB");
    }
    process.terminate(SOON).await.unwrap();
}
