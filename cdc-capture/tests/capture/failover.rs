//! The primary dies and its standby takes its place: a failover slot goes with it, and the relay goes on there.

use std::collections::{BTreeMap, BTreeSet};

use cdc_capture::{check::Verdict, setup::Error};
use servers::{Postgres, PostgresOptions, Release, TempDatabase, eventually, shared};
use telemetry::database::Database;
use tokio::sync::Notify;

use crate::outbox::{Outbox, Relay, SOON, connect, insert};

fn options(settings: &[(&str, &str)]) -> PostgresOptions {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    PostgresOptions { release: Release::Eighteen, settings, ..PostgresOptions::default() }
}

/// A primary and a standby that is connected.
async fn pair() -> (Postgres, Postgres) {
    let mut primary = Postgres::start(options(&[])).await.unwrap();
    let of_standby =
        [("primary_slot_name", "standby"), ("hot_standby_feedback", "on"), ("wal_retrieve_retry_interval", "200ms")];
    let standby = primary.standby(options(&of_standby)).await.unwrap();
    let client = connect(&primary.url("postgres")).await;
    client.batch_execute("SELECT pg_create_physical_replication_slot('standby')").await.unwrap();
    eventually("the standby is connected", SOON, async || {
        client.query_opt("SELECT 1 FROM pg_replication_slots WHERE slot_name = 'standby' AND active", &[]).await
    })
    .await;
    (primary, standby)
}

async fn outbox_on(primary: &Postgres, purpose: &str) -> Outbox {
    let database = TempDatabase::create_on(&primary.url("postgres"), purpose).await.unwrap();
    let outbox = Outbox::bare_in(database, purpose, &shared::kafka().bootstrap_servers).await;
    outbox.create_topic("order", 4).await;
    outbox
}

#[tokio::test]
async fn a_slot_is_made_a_failover_slot_and_what_is_missing_for_that_is_told() {
    let (primary, _standby) = pair().await;
    let outbox = outbox_on(&primary, "slots").await;
    outbox.set_up().await.unwrap();
    let says = async |verdict: Verdict, words: &str| {
        let report = cdc_capture::check(&outbox.settings()).await;
        let found = report.lines().iter().any(|line| line.verdict == verdict && line.text.contains(words));
        assert!(found, "{verdict:?} {words:?} in\n{report}");
    };
    says(Verdict::Warning, "is no failover slot, and there are standbys").await;

    let mut settings = outbox.setup_settings(&["sales.outbox"]);
    settings.failover = true;
    let relay = outbox.start_ready().await;
    let Err(Error::Problems(problems)) = cdc_capture::setup(settings.clone()).await else { panic!("refused") };
    assert!(problems[0].contains("has to be free to become a failover slot"), "{problems:?}");
    relay.stop().await;
    let lines = cdc_capture::setup(settings.clone()).await.unwrap();
    assert!(lines.iter().any(|line| line.ends_with("is a failover slot now")), "{lines:?}");
    let again = cdc_capture::setup(settings.clone()).await.unwrap();
    assert!(again.iter().all(|line| line.contains("already")), "{again:?}");
    says(Verdict::Warning, "synchronized_standby_slots is empty").await;

    settings.slot = format!("{}_2", outbox.slot).parse().unwrap();
    let lines = cdc_capture::setup(settings).await.unwrap();
    assert!(lines.iter().any(|line| line.contains("created as a failover slot at")), "{lines:?}");

    let reload = "SELECT pg_reload_conf()";
    outbox.execute("ALTER SYSTEM SET synchronized_standby_slots = 'standby, nobody'").await;
    outbox.execute(reload).await;
    eventually("the absent one is named", SOON, async || {
        let report = cdc_capture::check(&outbox.settings()).await.to_string();
        let words = "synchronized_standby_slots names nobody, where no standby is connected";
        if report.contains(words) && report.contains("is a failover slot") { Ok(Some(())) } else { Err(report) }
    })
    .await;
}

#[tokio::test]
async fn an_older_server_has_no_failover_slots() {
    let outbox = Outbox::create("older").await;
    let mut settings = outbox.setup_settings(&["sales.outbox"]);
    settings.failover = true;
    let Err(Error::Problems(problems)) = cdc_capture::setup(settings).await else { panic!("refused") };
    assert!(problems[0].contains("has no failover slots, 17 has: leave --failover out"), "{problems:?}");
}

#[tokio::test]
async fn the_relay_goes_on_with_the_standby_that_takes_the_primary_s_place() {
    const KEYS: usize = 4;
    const BEFORE: i64 = 2_000;
    const AFTER: i64 = 500;
    /// Its producer holds no more.
    const IN_FLIGHT: usize = 200;
    let (mut primary, standby) = pair().await;
    let mut outbox = outbox_on(&primary, "failover").await;
    let mut settings = outbox.setup_settings(&["sales.outbox"]);
    settings.failover = true;
    cdc_capture::setup(settings).await.unwrap();
    outbox.execute("ALTER SYSTEM SET synchronized_standby_slots = 'standby'").await;
    outbox.execute("SELECT pg_reload_conf()").await;

    // The standby first: it must not be streamed from.
    let (ports, last) = (format!("127.0.0.1:{},127.0.0.1:{}", standby.port(), primary.port()), primary.port());
    let url = outbox.login.url.replace(&format!("127.0.0.1:{last}"), &ports);
    let mut settings = outbox.settings();
    settings.database = Database::parse(&format!("{url}?target_session_attrs=read-write")).unwrap();
    settings.kafka.properties.push(("queue.buffering.max.messages".to_owned(), IN_FLIGHT.to_string()));
    let mut alone = settings.clone();
    alone.database =
        Database::parse(&outbox.login.url.replace(&last.to_string(), &standby.port().to_string())).unwrap();
    let report = cdc_capture::check(&settings).await;
    assert!(report.passed(), "{report}");
    let relay = Relay::start(alone);
    relay.until_part_says("postgres", "is a standby: name its primary, or all servers").await;
    relay.stop().await;

    let relay = Relay::start(settings);
    relay.until("ready", |report| report.ready).await;
    outbox.insert("k0", 0..1).await;
    outbox.drained().await;
    let follower = connect(&standby.url(outbox.database.name())).await;
    // Only now: its worker sleeps for up to 30 s while there is nothing to copy.
    follower.batch_execute("ALTER SYSTEM SET sync_replication_slots = on").await.unwrap();
    follower.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    eventually("the slot is on the standby", SOON, async || {
        // Which the server itself does every 15 s; the slot can be copied once it is past one.
        outbox.execute("SELECT pg_log_standby_snapshot()").await;
        let ask = "SELECT 1 FROM pg_replication_slots WHERE slot_name = $1 AND synced AND NOT temporary";
        follower.query_opt(ask, &[&outbox.slot]).await
    })
    .await;

    let half_way = Notify::new();
    let writer = connect(&outbox.database.url()).await;
    let writing = async {
        for n in 1.. {
            for key in 0..KEYS {
                let statement = "INSERT INTO sales.outbox (aggregatetype, aggregateid, type, payload)
                    VALUES ('order', $1, 'Changed', json_build_object('n', $2::bigint))";
                let n = if key == 0 { n } else { n - 1 };
                if writer.execute(statement, &[&format!("k{key}"), &n]).await.is_err() {
                    return;
                }
            }
            if n == BEFORE {
                half_way.notify_one();
            }
        }
    };
    let dying = async {
        half_way.notified().await;
        primary.kill().await.unwrap();
    };
    tokio::join!(writing, dying);
    follower.batch_execute("SELECT pg_promote()").await.unwrap();

    outbox.client = follower;
    relay.until("it goes on there", |report| report.ready).await;
    let rows = outbox.client.query("SELECT aggregateid, count(*) FROM sales.outbox GROUP BY 1", &[]).await.unwrap();
    let mut counts: BTreeMap<String, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(counts.len(), KEYS);
    for (key, count) in &mut counts {
        assert!(*count >= BEFORE / 2, "{key} has {count}");
        insert(&outbox.client, key, *count..*count + AFTER).await;
        *count += AFTER;
    }
    outbox.drained().await;
    relay.stop().await;

    let mut repeated = 0;
    for (key, count) in &counts {
        repeated += outbox.assert_all_there(key, *count).await;
    }
    println!("{repeated} of {} were repeated by the failover", counts.values().sum::<i64>());
    assert!(repeated <= IN_FLIGHT, "{repeated}");
    // The very rows, none that the new primary does not have.
    let records = outbox.records("order").await;
    let published: BTreeSet<&str> = records.iter().filter_map(|record| record.header("ce_id")).collect();
    let rows = outbox.client.query("SELECT id::text FROM sales.outbox", &[]).await.unwrap();
    let committed: BTreeSet<&str> = rows.iter().map(|row| row.get(0)).collect();
    assert!(published == committed, "{} published, {} committed", published.len(), committed.len());
    let timelines: BTreeSet<&str> =
        records.iter().filter_map(|record| record.header("position")?.split(':').nth(1)).collect();
    assert_eq!(timelines, BTreeSet::from(["1", "2"]));
}
