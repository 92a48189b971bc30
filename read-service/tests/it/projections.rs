//! Each projection: what a document becomes, and the same rows however the events arrive.

use contracts::{Topic, accounts, channel_manager, direct_booking, housekeeping, payments};
use inbox::{Delivery, Handler};
use proptest::{prelude::*, test_runner::TestRunner};
use read_service::{projection::Projector, view::View};
use serde_json::{Value, json};

use crate::support::{
    Views, account, apply, booking, cancelled, delivery, guest, payment, rate_plan, room_type, site, site_booking,
    task, tombstone,
};

/// What every row of a test's events has.
const CHANGED_AT: &str = "2026-11-21T10:00:00.123456+00:00";

async fn rows(client: &tokio_postgres::Client, table: &str) -> Vec<Value> {
    let select = format!("SELECT to_jsonb(held) - 'applied_at' FROM view.{table} held ORDER BY id");
    client.query(&select, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Given a document, when its message is applied, then its row holds this beside nulls; and when its tombstone follows, id
/// and version are all that is left.
async fn becomes(view: View, event: Delivery, own: Value) {
    let (projector, subject) = (Projector::of(view), event.envelope.subject.clone());
    let (table, topic) = (projector.name(), projector.topics()[0]);
    let views = Views::create(table).await;
    let held = async |version: i64, erased: bool, own: &Value| {
        let mut expected = json!({"id": subject, "version": version, "erased": erased, "changed_at": CHANGED_AT});
        expected.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        let mut found = rows(&*views.client().await, table).await;
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].as_object_mut().unwrap().retain(|_, value| !value.is_null());
        assert_eq!(found[0], expected);
    };
    views.apply(&projector, std::slice::from_ref(&event)).await;
    held(1, false, &own).await;
    views.apply(&projector, &[tombstone(topic, &subject, 2)]).await;
    held(2, true, &json!({})).await;
    views.apply(&projector, &[event]).await;
    held(2, true, &json!({})).await;
}

#[tokio::test]
async fn an_account() {
    let row = json!({
        "status": "OPEN", "name": "Ada", "street": "High Street 1", "postal_code": "8001", "city": "Zürich",
        "country": "CH", "email": "ada@example.org",
    });
    becomes(View::Account, account("a", 1, "Ada"), row).await;
}

#[tokio::test]
async fn a_guest() {
    becomes(View::Guest, guest("g", 1, "Gus"), json!({"name": "Gus", "email": "gus@example.org"})).await;
}

#[tokio::test]
async fn a_room_type() {
    let rooms = ["101", "{odd, \"one\"}", "zwölf"];
    becomes(
        View::RoomType,
        room_type("A", 1, &rooms),
        json!({"name": "Room A", "rooms": [
            {"number": "101", "stepFree": true},
            {"number": "{odd, \"one\"}", "stepFree": false},
            {"number": "zwölf", "stepFree": false},
        ]}),
    )
    .await;
}

#[tokio::test]
async fn a_rate_plan() {
    let row = json!({
        "room_type_id": "double", "name": "Flexible", "nightly_rate_minor": 9900, "nightly_rate_currency": "EUR",
        "valid_until": "2026-12-31T23:59:59+00:00",
    });
    becomes(View::RatePlan, rate_plan("p", 1, 9900), row).await;
}

/// The columns of a booking of the tests which do not depend on who made it.
fn booked(more: &Value) -> Value {
    let mut row = json!({
        "status": "CONFIRMED", "room_type_id": "double", "check_in": "2026-03-01", "check_out": "2026-03-04",
        "adults": 2, "children": 1, "babies": 0, "nightly_rate_minor": 7500, "nightly_rate_currency": "EUR",
        "total_minor": 22500, "total_currency": "EUR", "made_at": "2026-01-02T03:04:05+00:00",
    });
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

#[tokio::test]
async fn a_booking_on_an_account() {
    becomes(View::Booking, booking("7", 1, "2026-03-01", &json!({})), booked(&json!({"account_id": "a1"}))).await;
}

#[tokio::test]
async fn a_guests_booking_with_all_that_can_become_of_it() {
    let event = json!({
        "bookedBy": {"kind": "GUEST", "guestId": "g1"}, "room": "101", "ratePlanId": "p", "rejection": "no-card",
        "confirmationRequestedAt": "2026-01-03T00:00:00Z", "cancelledAt": "2026-01-04T00:00:00Z",
        "checkedInAt": "2026-01-05T00:00:00Z", "checkedOutAt": "2026-01-06T00:00:00.5Z",
    });
    let row = json!({
        "guest_id": "g1", "room": "101", "rate_plan_id": "p", "rejection": "no-card",
        "confirmation_requested_at": "2026-01-03T00:00:00+00:00", "cancelled_at": "2026-01-04T00:00:00+00:00",
        "checked_in_at": "2026-01-05T00:00:00+00:00", "checked_out_at": "2026-01-06T00:00:00.5+00:00",
    });
    becomes(View::Booking, booking("7", 1, "2026-03-01", &event), booked(&row)).await;
}

#[tokio::test]
async fn a_booking_that_a_site_had_sold() {
    let event = json!({"bookedBy": {"kind": "CHANNEL", "siteId": "example", "reference": "E-1"}});
    let row = booked(&json!({"site_id": "example", "site_reference": "E-1"}));
    becomes(View::Booking, booking("7", 1, "2026-03-01", &event), row).await;
}

#[tokio::test]
async fn a_payment() {
    let event = json!({"payer": {"kind": "GUEST", "guestId": "g1"}, "declineReason": "no-card"});
    let row = json!({
        "status": "DECLINED", "guest_id": "g1", "amount_minor": 22500, "amount_currency": "EUR",
        "decline_reason": "no-card", "status_since": "2026-01-02T03:04:06+00:00",
    });
    becomes(View::Payment, payment("7", 1, "DECLINED", &event), row).await;
}

#[tokio::test]
async fn a_task() {
    let event = json!({"status": "COMPLETED", "room": "101", "completedAt": "2026-03-02T11:00:00Z"});
    let row = json!({
        "kind": "PREPARATION", "status": "COMPLETED", "booking_id": "7", "room_type_id": "double", "room": "101",
        "day": "2026-03-02", "completed_at": "2026-03-02T11:00:00+00:00",
    });
    becomes(View::Task, task("t", 1, "2026-03-02", &event), row).await;
}

#[tokio::test]
async fn a_site() {
    let allotments = json!([{"roomTypeId": "double", "rooms": 3}, {"roomTypeId": "single", "rooms": 0}]);
    let row = json!({"status": "CONNECTED", "name": "Example", "allotments": allotments});
    becomes(View::Site, site("example", 1, &allotments), row).await;
}

#[tokio::test]
async fn a_booking_of_a_site() {
    let row = json!({
        "status": "REJECTED", "site_id": "example", "reference": "E-1", "room_type_id": "double",
        "check_in": "2026-03-01", "check_out": "2026-03-04", "adults": 2, "children": 0, "babies": 0,
        "nightly_rate_minor": 7500, "nightly_rate_currency": "EUR", "received_at": "2026-01-02T03:04:05+00:00",
        "rejection": "no-room",
    });
    let event = json!({"status": "REJECTED", "rejection": "no-room"});
    becomes(View::SiteBooking, site_booking("7", 1, "2026-03-01", &event), row).await;
}

/// How events arrive: which of the history's, in which order, some of them twice; and how many in each batch.
fn arrivals(events: usize) -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    let all: Vec<_> = (0..events).collect();
    let again = prop::collection::vec(0..events, 0..events);
    let order = again.prop_flat_map(move |again| Just([all.clone(), again].concat()).prop_shuffle());
    (order, prop::collection::vec(1..4_usize, events * 2))
}

/// Given a history, when its events arrive in any order, some twice, in any batches, then the table holds the same rows
/// as when each came once and in order.
fn any_arrival_gives_the_same_rows(view: View, history: &[Delivery]) {
    let projector = &Projector::of(view);
    let table = projector.name();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let views = runtime.block_on(Views::create(table));
    let (owner, mut client) = runtime.block_on(async { (views.owner().await, views.client().await) });
    let expected = runtime.block_on(async {
        for event in history {
            apply(&mut client, projector, std::slice::from_ref(event)).await;
        }
        rows(&client, table).await
    });
    let client = tokio::sync::Mutex::new(client);
    let mut runner = TestRunner::new(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() });
    let result = runner.run(&arrivals(history.len()), |(order, batches)| {
        let found = runtime.block_on(async {
            let client = &mut *client.lock().await;
            owner.batch_execute(&format!("TRUNCATE view.{table}")).await.unwrap();
            let mut left: Vec<_> = order.iter().map(|event| history[*event].clone()).collect();
            for size in batches {
                let batch: Vec<_> = left.drain(..size.min(left.len())).collect();
                apply(client, projector, &batch).await;
            }
            apply(client, projector, &left).await;
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
    any_arrival_gives_the_same_rows(View::Account, &history);
}

#[test]
fn guests_are_the_same_however_their_events_arrive() {
    let erased = tombstone(direct_booking::GUEST, "g", 2);
    any_arrival_gives_the_same_rows(
        View::Guest,
        &[guest("g", 1, "Gus"), erased, guest("h", 1, ""), guest("h", 3, "Hal")],
    );
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
    any_arrival_gives_the_same_rows(View::RoomType, &history);
}

#[test]
fn rate_plans_are_the_same_however_their_events_arrive() {
    let history =
        [rate_plan("p", 1, 1), rate_plan("p", 2, i64::MAX), rate_plan("q", 1, i64::MIN), rate_plan("q", 7, 0)];
    any_arrival_gives_the_same_rows(View::RatePlan, &history);
}

#[test]
fn bookings_are_the_same_however_their_events_arrive() {
    let history = [
        booking("1", 1, "2026-03-01", &json!({})),
        cancelled("1", 2, "2026-03-01"),
        booking("2", 1, "0001-01-01", &json!({"total": {"amountMinor": i64::MIN, "currency": "JPY"}})),
        booking("3", 1, "9999-12-01", &json!({"guests": {"adults": 65535}})),
        tombstone(direct_booking::BOOKING, "3", 2),
        booking("4", 1, "2026-03-02", &json!({"bookedBy": {"kind": "GUEST", "guestId": "g"}})),
    ];
    any_arrival_gives_the_same_rows(View::Booking, &history);
}

#[test]
fn payments_are_the_same_however_their_events_arrive() {
    let history = [
        payment("1", 1, "CHARGING", &json!({})),
        payment("1", 2, "TAKEN", &json!({})),
        payment("2", 1, "AWAITING_CARD", &json!({"payer": {"kind": "GUEST", "guestId": "g"}})),
        payment("2", 3, "DECLINED", &json!({"declineReason": "no-card"})),
        tombstone(payments::PAYMENT, "3", 1),
    ];
    any_arrival_gives_the_same_rows(View::Payment, &history);
}

#[test]
fn tasks_are_the_same_however_their_events_arrive() {
    let history = [
        task("1", 1, "2026-03-01", &json!({})),
        task("1", 2, "2026-03-02", &json!({"room": "101"})),
        task("2", 1, "2026-03-01", &json!({"kind": "DAILY_CLEANING"})),
        task("2", 2, "2026-03-01", &json!({"status": "CANCELLED"})),
        tombstone(housekeeping::TASK, "2", 3),
    ];
    any_arrival_gives_the_same_rows(View::Task, &history);
}

#[test]
fn sites_are_the_same_however_their_events_arrive() {
    let history = [
        site("a", 1, &json!([])),
        site("a", 2, &json!([{"roomTypeId": "double", "rooms": 3}])),
        site("b", 1, &json!([{"roomTypeId": "double", "rooms": u32::MAX}])),
        tombstone(channel_manager::SITE, "b", 2),
    ];
    any_arrival_gives_the_same_rows(View::Site, &history);
}

#[test]
fn bookings_of_sites_are_the_same_however_their_events_arrive() {
    let history = [
        site_booking("1", 1, "2026-03-01", &json!({})),
        site_booking("1", 2, "2026-03-01", &json!({"status": "REJECTED", "rejection": "no-room"})),
        site_booking("2", 1, "2026-03-01", &json!({})),
        tombstone(channel_manager::SITE_BOOKING, "2", 2),
    ];
    any_arrival_gives_the_same_rows(View::SiteBooking, &history);
}

/// Given an instance of before, which reads the first version of the room types' contract, when it is the first to apply a version,
/// then it is refused, and the same version's new document is not kept away.
#[tokio::test]
async fn a_room_type_of_the_old_form_is_refused() {
    let (views, old) = (Views::create("old form").await, r#"{"103", "104"}"#);
    let insert = "INSERT INTO view.room_type (id, version, erased, name, rooms, changed_at, applied_at)
        VALUES ('A', 8, false, 'Room A', to_jsonb($1::text::text[]), now(), now())";
    let refusal = views.client().await.execute(insert, &[&old]).await.unwrap_err();
    assert_eq!(refusal.as_db_error().and_then(|error| error.constraint()), Some("rooms_are_objects"), "{refusal}");
    views
        .fill(&[room_type("A", 8, &["103"]), room_type("B", 1, &[]), tombstone(direct_booking::ROOM_TYPE, "B", 2)])
        .await;
    let rows = rows(&*views.client().await, "room_type").await;
    assert_eq!((&rows[0]["rooms"], &rows[1]["version"]), (&json!([{"number": "103", "stepFree": true}]), &json!(2)));
}

/// Given two connections, when each applies batches about the same bookings at once, in orders of their own, then neither
/// is in the other's way for ever, and each row has its highest version.
#[tokio::test(flavor = "multi_thread")]
async fn two_who_write_the_same_rows_at_once_end_with_the_highest_versions() {
    const BOOKINGS: i64 = 300;
    const VERSIONS: i64 = 20;
    let views = Views::create("at once").await;
    let write = async |backwards: bool| {
        let (mut client, projector) = (views.client().await, Projector::of(View::Booking));
        for version in 1..=VERSIONS {
            let version = if backwards { VERSIONS + 1 - version } else { version };
            let mut batch: Vec<_> =
                (0..BOOKINGS).map(|id| booking(&id.to_string(), version, "2026-03-01", &json!({}))).collect();
            if backwards {
                batch.reverse();
            }
            apply(&mut client, &projector, &batch).await;
        }
    };
    tokio::join!(write(false), write(true));
    let rows = rows(&*views.client().await, "booking").await;
    assert_eq!(rows.len(), usize::try_from(BOOKINGS).unwrap());
    assert!(rows.iter().all(|row| row["version"] == VERSIONS), "{rows:?}");
}

#[tokio::test]
async fn an_event_that_changes_nothing_leaves_applied_at_alone() {
    let (views, bookings) = (Views::create("applied at").await, Projector::of(View::Booking));
    let event = booking("1", 3, "2026-03-01", &json!({}));
    let client = views.client().await;
    let applied_at = async || -> chrono::DateTime<chrono::Utc> {
        client.query_one("SELECT applied_at FROM view.booking", &[]).await.unwrap().get(0)
    };
    views.apply(&bookings, std::slice::from_ref(&event)).await;
    let first = applied_at().await;
    views.apply(&bookings, &[event, booking("1", 2, "2026-04-01", &json!({}))]).await;
    assert_eq!(applied_at().await, first);
}

#[tokio::test]
async fn the_service_may_not_remove_a_row_nor_change_a_table() {
    let views = Views::create("privileges").await;
    let client = views.client().await;
    let tables = View::ALL.iter().map(|view| view.table());
    let mut statements: Vec<_> = tables.map(|table| format!("DELETE FROM view.{table}")).collect();
    statements.extend(
        ["TRUNCATE view.event", "UPDATE view.event SET type = ''", "CREATE TABLE view.mine ()"].map(str::to_owned),
    );
    for statement in statements {
        let refusal = client.batch_execute(&statement).await.unwrap_err();
        assert_eq!(refusal.code(), Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE), "{statement}");
    }
}

/// Given a message that can never be applied, when it is decoded, then it is refused with a reason: it would otherwise
/// fail its whole batch in the database.
#[test]
fn what_postgres_could_not_hold_is_refused_before_it_gets_there() {
    fn refusal(view: View, delivery: &Delivery) -> String {
        Projector::of(view).decode(delivery).err().map(|error| error.to_string()).unwrap_or_default()
    }
    let nul = "holds the character U+0000";
    assert_eq!(refusal(View::Account, &account("a", 1, "nul \0 inside")), format!("name: {nul}"));
    assert_eq!(refusal(View::RoomType, &room_type("a", 1, &["101", "\0"])), format!("rooms: {nul}"));
    assert_eq!(
        refusal(View::SiteBooking, &site_booking("1", 1, "2026-03-01", &json!({"reference": "\0"}))),
        format!("reference: {nul}")
    );
    let too_late = booking("1", 1, "2026-03-01", &json!({"checkIn": "+20000-01-01"}));
    assert_eq!(refusal(View::Booking, &too_late), "check_in: the year 20000");
    let too_early = booking("1", 1, "2026-03-01", &json!({"madeAt": "0000-01-01T00:00:00Z"}));
    assert_eq!(refusal(View::Booking, &too_early), "made_at: the year 0");
    let unknown = booking("1", 1, "2026-03-01", &json!({"status": "LOST"}));
    assert!(refusal(View::Booking, &unknown).contains("unknown variant"));
    let mut unversioned = tombstone(direct_booking::BOOKING, "1", 1);
    unversioned.envelope.sequence = None;
    assert!(refusal(View::Booking, &unversioned).contains("without a version"));
    let long = "x".repeat(257);
    assert_eq!(refusal(View::Booking, &tombstone(direct_booking::BOOKING, &long, 1)), "id: 257 bytes, more than 256");
}

#[test]
fn a_document_about_something_else_than_its_message_is_refused() {
    let room_types = Projector::of(View::RoomType);
    let misplaced = |topic: Topic, id, version, document| delivery(topic, id, version, Some(document));
    let document = json!({"roomTypeId": "A", "version": 1, "name": "A", "rooms": []});
    assert!(room_types.decode(&misplaced(direct_booking::ROOM_TYPE, "A", 1, &document)).is_ok());
    assert!(room_types.decode(&misplaced(direct_booking::ROOM_TYPE, "B", 1, &document)).is_err());
    assert!(room_types.decode(&misplaced(direct_booking::ROOM_TYPE, "A", 2, &document)).is_err());
}
