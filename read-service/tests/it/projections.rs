//! Each projection: the same rows, however the events arrive.

use contracts::{Topic, accounts, direct_booking};
use inbox::{Delivery, Handler};
use proptest::{prelude::*, test_runner::TestRunner};
use read_service::projection::{Accounts, Bookings, RoomTypes};
use serde_json::{Value, json};

use crate::support::{Views, account, apply, booking, cancelled, delivery, room_type, tombstone};

/// How events arrive: which of the history's, in which order, some of them twice; and how many in each batch.
fn arrivals(events: usize) -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    let all: Vec<_> = (0..events).collect();
    let again = prop::collection::vec(0..events, 0..events);
    let order = again.prop_flat_map(move |again| Just([all.clone(), again].concat()).prop_shuffle());
    (order, prop::collection::vec(1..4_usize, events * 2))
}

async fn rows(client: &tokio_postgres::Client, table: &str) -> Vec<Value> {
    let select = format!("SELECT to_jsonb(held) - 'applied_at' FROM {table} held ORDER BY id");
    client.query(&select, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Given a history, when its events arrive in any order, some twice, in any batches, then the table holds the same rows
/// as when each came once and in order.
fn any_arrival_gives_the_same_rows<H: Handler>(handler: &H, table: &str, history: &[Delivery]) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let views = runtime.block_on(Views::create(table));
    let (owner, mut client) = runtime.block_on(async { (views.owner().await, views.client().await) });
    let expected = runtime.block_on(async {
        for event in history {
            apply(&mut client, handler, std::slice::from_ref(event)).await;
        }
        rows(&client, table).await
    });
    let client = tokio::sync::Mutex::new(client);
    let mut runner = TestRunner::new(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() });
    let result = runner.run(&arrivals(history.len()), |(order, batches)| {
        let found = runtime.block_on(async {
            let client = &mut *client.lock().await;
            owner.batch_execute(&format!("TRUNCATE {table}")).await.unwrap();
            let mut left: Vec<_> = order.iter().map(|event| history[*event].clone()).collect();
            for size in batches {
                let batch: Vec<_> = left.drain(..size.min(left.len())).collect();
                apply(client, handler, &batch).await;
            }
            apply(client, handler, &left).await;
            rows(client, table).await
        });
        prop_assert_eq!(&found, &expected);
        Ok(())
    });
    runtime.block_on(async { drop((owner, client)) });
    result.unwrap();
}

#[test]
fn accounts_are_the_same_however_their_events_arrive() {
    let history = [
        account("a", 1, "Ada"),
        account("a", 2, "Ada Lovelace"),
        account("b", 1, "Bob"),
        tombstone(accounts::ACCOUNT, "b", 2),
        account("c", 1, "Cem"),
        account("c", 5, "Cem, after versions that were compacted away"),
    ];
    any_arrival_gives_the_same_rows(&Accounts, "view.account", &history);
}

#[test]
fn room_types_are_the_same_however_their_events_arrive() {
    let history = [
        room_type("A", 1, &["101"]),
        room_type("A", 2, &["101", "102", "{odd, \"one\"}"]),
        room_type("B", 1, &[]),
        tombstone(direct_booking::ROOM_TYPE, "B", 2),
        room_type("C", 3, &["zwölf"]),
    ];
    any_arrival_gives_the_same_rows(&RoomTypes, "view.room_type", &history);
}

#[test]
fn bookings_are_the_same_however_their_events_arrive() {
    let history = [
        booking("1", 1, "2026-03-01", &json!({})),
        cancelled("1", 2, "2026-03-01"),
        booking("2", 1, "0001-01-01", &json!({"total": {"amountMinor": i64::MIN, "currency": "JPY"}})),
        booking("3", 1, "9999-12-01", &json!({"guests": {"adults": 65535}})),
        tombstone(direct_booking::BOOKING, "3", 2),
        booking("4", 1, "2026-03-02", &json!({})),
    ];
    any_arrival_gives_the_same_rows(&Bookings, "view.booking", &history);
}

#[tokio::test]
async fn a_tombstone_empties_the_row_and_a_late_duplicate_does_not_bring_it_back() {
    let views = Views::create("tombstone").await;
    let opened = account("a", 1, "Ada");
    views.apply(&Accounts, std::slice::from_ref(&opened)).await;
    views.apply(&Accounts, &[tombstone(accounts::ACCOUNT, "a", 2)]).await;
    views.apply(&Accounts, &[opened]).await;
    let rows = rows(&*views.client().await, "view.account").await;
    let kept = json!({"id": "a", "version": 2, "erased": true, "changed_at": "2026-11-21T10:00:00.123456+00:00"});
    let held: serde_json::Map<_, _> =
        rows[0].as_object().unwrap().clone().into_iter().filter(|(_, value)| !value.is_null()).collect();
    assert_eq!((rows.len(), Value::from(held)), (1, kept));
}

#[tokio::test]
async fn an_event_that_changes_nothing_leaves_applied_at_alone() {
    let views = Views::create("applied at").await;
    let event = booking("1", 3, "2026-03-01", &json!({}));
    let client = views.client().await;
    let applied_at = async || -> chrono::DateTime<chrono::Utc> {
        client.query_one("SELECT applied_at FROM view.booking", &[]).await.unwrap().get(0)
    };
    views.apply(&Bookings, std::slice::from_ref(&event)).await;
    let first = applied_at().await;
    views.apply(&Bookings, &[event, booking("1", 2, "2026-04-01", &json!({}))]).await;
    assert_eq!(applied_at().await, first);
}

#[tokio::test]
async fn the_service_may_not_remove_a_row_nor_change_a_table() {
    let views = Views::create("privileges").await;
    let client = views.client().await;
    for statement in ["DELETE FROM view.booking", "TRUNCATE view.booking", "CREATE TABLE view.mine ()"] {
        let refusal = client.batch_execute(statement).await.unwrap_err();
        assert_eq!(refusal.code(), Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE), "{statement}");
    }
}

/// Given a message that can never be applied, when it is decoded, then it is refused with a reason: it would otherwise
/// fail its whole batch in the database.
#[test]
fn what_postgres_could_not_hold_is_refused_before_it_gets_there() {
    fn refusal<H: Handler>(handler: &H, delivery: &Delivery) -> String {
        handler.decode(delivery).err().map(|error| error.to_string()).unwrap_or_default()
    }
    assert!(refusal(&Accounts, &account("a", 1, "nul \0 inside")).contains("name: holds the character U+0000"));
    assert!(refusal(&RoomTypes, &room_type("a", 1, &["\0"])).contains("rooms"));
    let too_late = booking("1", 1, "2026-03-01", &json!({"checkIn": "+20000-01-01"}));
    assert!(refusal(&Bookings, &too_late).contains("checkIn: the year 20000"), "{}", refusal(&Bookings, &too_late));
    let unknown = booking("1", 1, "2026-03-01", &json!({"status": "LOST"}));
    assert!(refusal(&Bookings, &unknown).contains("unknown variant"));
    let mut unversioned = tombstone(direct_booking::BOOKING, "1", 1);
    unversioned.envelope.sequence = None;
    assert!(refusal(&Bookings, &unversioned).contains("without a version"));
}

#[test]
fn a_document_about_something_else_than_its_message_is_refused() {
    let misplaced = |topic: Topic, id, version, document| delivery(topic, id, version, Some(document));
    let document = json!({"roomTypeId": "A", "version": 1, "name": "A", "rooms": []});
    assert!(RoomTypes.decode(&misplaced(direct_booking::ROOM_TYPE, "A", 1, &document)).is_ok());
    assert!(RoomTypes.decode(&misplaced(direct_booking::ROOM_TYPE, "B", 1, &document)).is_err());
    assert!(RoomTypes.decode(&misplaced(direct_booking::ROOM_TYPE, "A", 2, &document)).is_err());
}
