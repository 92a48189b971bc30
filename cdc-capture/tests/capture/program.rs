//! The program itself: flags, exit codes, the admin server, SIGTERM.

use std::{
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use servers::{Process, eventually};

use crate::outbox::{Outbox, SOON};

#[test]
fn all_problems_of_the_settings_are_told_at_once() {
    let output = Command::new(env!("CARGO_BIN_EXE_cdc-capture"))
        .env_clear()
        .args(["run", "--slot", "Not A Slot", "--topic-template", "{id", "--linger-ms=-1", "--admin-listen", "x"])
        .args(["--kafka-config", "acks=1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    for words in [
        "--database-url / DATABASE_URL: is required",
        "--kafka-bootstrap-servers / KAFKA_BOOTSTRAP_SERVERS: is required",
        "--slot / SLOT",
        "--topic-template / TOPIC_TEMPLATE",
        "--linger-ms / LINGER_MS",
        "--admin-listen / ADMIN_LISTEN",
    ] {
        assert!(message.contains(words), "{words:?} in {message}");
    }
}

#[tokio::test]
async fn the_program_sets_up_relays_and_ends_at_sigterm() {
    let outbox = Outbox::bare("program", &servers::shared::kafka().bootstrap_servers).await;
    outbox.create_topic("order", 2).await;
    let url = outbox.database.url();
    let setup = ["setup", "--table", "sales.outbox", "--role", &outbox.login.role, "--slot", &outbox.slot];
    let setup = Process::spawn("cdc-capture", setup, &[("ADMIN_DATABASE_URL", &url)]).unwrap();
    assert!(setup.wait(SOON).await.unwrap().success(), "{}", setup.log());
    assert!(setup.log().contains("publication waybill: created for sales.outbox"), "{}", setup.log());

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let admin = format!("127.0.0.1:{port}");
    let environment = [
        ("DATABASE_URL", outbox.login.url.as_str()),
        ("KAFKA_BOOTSTRAP_SERVERS", &outbox.kafka.bootstrap_servers),
        ("TOPIC_PREFIX", &outbox.kafka.topic_prefix),
        ("ADMIN_LISTEN", &admin),
    ];
    let run = Process::spawn("cdc-capture", ["run", "--slot", &outbox.slot], &environment).unwrap();
    let get = async |path: &str| {
        let answer = reqwest::get(format!("http://{admin}{path}")).await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    };
    eventually("it is ready", SOON, async || get("/readyz").await.filter(|(status, _)| *status == 200)).await;
    outbox.insert("k", 0..10).await;
    outbox.drained().await;
    let metrics = eventually("it counts", SOON, async || {
        let wanted = ["capture_events_total 10", "capture_slot_retained_wal_bytes "];
        get("/metrics").await.filter(|(_, metrics)| wanted.iter().all(|wanted| metrics.contains(wanted)))
    })
    .await;
    for name in ["capture_delivered_bytes_total", "capture_lag_bytes", "capture_lag_seconds", "capture_confirmed_lsn"] {
        assert!(metrics.1.contains(name), "{name} in {}", metrics.1);
    }
    let status = run.terminate(Duration::from_secs(15)).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", run.log());
    assert!(!outbox.slot_is_active().await);
    outbox.assert_all_there("k", 10).await;
    let password = outbox.login.url.split([':', '@']).nth(2).unwrap();
    assert!(!run.log().contains(password), "secrets stay out of the log");
}

type Received = Arc<Mutex<Vec<u8>>>;

/// An OTLP collector that keeps what it gets.
async fn collector() -> (String, Received) {
    let received = Received::default();
    let take = |State(received): State<Received>, body: Bytes| async move { received.lock().unwrap().extend(body) };
    let router = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&received));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // Ends with the test's runtime.
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, received)
}

#[tokio::test]
async fn a_sampled_event_is_a_span_of_its_command_s_trace_and_others_are_none() {
    let outbox = Outbox::create("trace").await;
    let (collector, received) = collector().await;
    let environment = [
        ("DATABASE_URL", outbox.login.url.as_str()),
        ("KAFKA_BOOTSTRAP_SERVERS", &outbox.kafka.bootstrap_servers),
        ("TOPIC_PREFIX", &outbox.kafka.topic_prefix),
        ("ADMIN_LISTEN", "127.0.0.1:0"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector),
    ];
    let run = Process::spawn("cdc-capture", ["run", "--slot", &outbox.slot], &environment).unwrap();
    let insert = |key: &str, traceparent: &str| {
        format!(
            r#"INSERT INTO sales.outbox (aggregatetype, aggregateid, type, headers)
               VALUES ('order', '{key}', 'Changed', '{{"traceparent": "{traceparent}"}}')"#
        )
    };
    let (sampled, not) = (
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    );
    outbox.execute(&insert("sampled-key", sampled)).await;
    outbox.execute(&insert("other-key", not)).await;
    outbox.drained().await;
    run.terminate(Duration::from_secs(15)).await.unwrap();

    let records = outbox.records("order").await;
    assert!(records.iter().any(|record| record.header("traceparent") == Some(sampled)), "kept as it was");
    let exported = received.lock().unwrap().clone();
    let has = |bytes: &[u8]| exported.windows(bytes.len()).any(|window| window == bytes);
    let trace_id = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();
    assert!(has(&trace_id) && has(format!("send {}", outbox.kafka.topic("order")).as_bytes()) && has(b"sampled-key"));
    assert!(!has(b"other-key"));
}
