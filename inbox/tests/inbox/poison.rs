//! What can never be applied is set aside, as it came and with the reason; the rest flows.

use crate::fixture::{Fixture, ONE, Recorder, record, record_of, records};

fn without(mut of: servers::topics::NewRecord, header: &str) -> servers::topics::NewRecord {
    of.headers.retain(|(name, _)| name != header);
    of
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_set_aside() {
    let fixture = Fixture::new("poison", ONE).await;
    let mut poison = vec![
        record("bad json", 1),
        without(record("no type", 1), "ce_type"),
        record("another key", 1),
        record("no key", 1),
        record("oversize", 1),
    ];
    poison[0].value = Some(b"12,".to_vec());
    poison[2].key = Some(b"\xff\x00".to_vec());
    poison[3].key = None;
    poison[4].headers.push(("tracestate".to_owned(), vec![0xff; 5_000]));
    let as_they_came = poison.clone();
    let mut all = records(0, 100);
    for (index, poison) in poison.into_iter().enumerate() {
        all.insert(20 * index + 7, poison);
    }
    fixture.produce(&ONE[0], all).await;
    let instance = fixture.start(Recorder::of(ONE));
    fixture.await_effects(100).await;
    fixture.await_dead_letters(5).await;
    assert_eq!(instance.metric("inbox_dead_letters_total"), Some(5.0));
    assert_eq!(instance.metric("inbox_events_applied_total"), Some(100.0));
    assert_eq!(instance.stop().await, Ok(()));
    fixture.assert_once_and_in_order(100).await;
    assert_eq!(fixture.next_offsets().await, 105);
    let reasons = fixture.reasons().await;
    assert_eq!(
        reasons,
        [
            "document: trailing characters at line 1 column 3",
            "header ce_type is missing",
            "the key differs from header ce_subject",
            "the key is missing",
            "header tracestate: 5000 bytes, more than 4096",
        ]
    );
    let kept = r#"SELECT key, document, headers->0 FROM "the view".inbox_dead_letter ORDER BY message_offset"#;
    for (row, record) in fixture.admin.query(kept, &[]).await.unwrap().iter().zip(as_they_came) {
        assert_eq!(row.get::<_, Option<Vec<u8>>>(0), record.key);
        assert_eq!(row.get::<_, Option<Vec<u8>>>(1), record.value);
        assert_eq!(row.get::<_, serde_json::Value>(2), serde_json::json!(["ce_specversion", "1.0"]));
    }
}

/// Read again, it would only make the handler panic again; and what the panic said quotes the document.
#[tokio::test(flavor = "multi_thread")]
async fn what_makes_the_handler_panic_is_set_aside() {
    let fixture = Fixture::new("panic", ONE).await;
    let panics = record_of("test.Panicking.v1", "a", 4711);
    fixture.produce(&ONE[0], vec![record("a", 1), panics, record("b", 1)]).await;
    let instance = fixture.start(Recorder::of(ONE));
    fixture.await_effects(2).await;
    fixture.await_dead_letters(1).await;
    instance.await_state(true, "").await;
    assert_eq!(fixture.reasons().await, ["the handler panicked while it read the message"]);
    assert_eq!(instance.stop().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_is_no_poison() {
    let fixture = Fixture::new("tombstone", ONE).await;
    let mut gone = record("gone", 1);
    gone.value = None;
    fixture.produce(&ONE[0], vec![record("gone", 1), gone]).await;
    let instance = fixture.start(Recorder::of(ONE));
    fixture.await_effects(2).await;
    assert_eq!(instance.stop().await, Ok(()));
    assert_eq!(fixture.number(r#"SELECT count(*) FROM "the view".effect WHERE n IS NULL"#, &[]).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_events_that_the_database_refuses_are_set_aside() {
    let fixture = Fixture::new("refused", ONE).await;
    let mut all = records(0, 1_000);
    for place in [0, 500, 501, 999] {
        all[place] = record(&format!("refused-{place}"), 13);
    }
    fixture.produce(&ONE[0], all).await;
    let instance = fixture.start(Recorder::of(ONE));
    fixture.await_effects(996).await;
    fixture.await_dead_letters(4).await;
    assert_eq!(instance.metric("inbox_dead_letters_total"), Some(4.0));
    assert_eq!(instance.stop().await, Ok(()));
    fixture.assert_once_and_in_order(996).await;
    for reason in fixture.reasons().await {
        assert!(reason.starts_with("refused by the database (SQLSTATE 23514): "), "{reason}");
    }
    assert_eq!(fixture.next_offsets().await, 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deferred_constraint_refuses_is_found_too() {
    let fixture = Fixture::new("deferred", ONE).await;
    let check = r#"ALTER TABLE "the view".effect ENABLE TRIGGER ALL;
        INSERT INTO "the view".known SELECT generate_series(100, 199)"#;
    fixture.admin.batch_execute(check).await.unwrap();
    let mut all = records(0, 100);
    all.insert(50, record("unknown", 5));
    fixture.produce(&ONE[0], all).await;
    let instance = fixture.start(Recorder::of(ONE));
    fixture.await_effects(100).await;
    fixture.await_dead_letters(1).await;
    assert_eq!(instance.stop().await, Ok(()));
    fixture.assert_once_and_in_order(100).await;
    let reasons = fixture.reasons().await;
    assert!(reasons[0].contains("SQLSTATE 23503"), "{reasons:?}");
}
