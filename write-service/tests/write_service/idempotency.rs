//! A command that is sent again, under the same key, has one effect and one answer.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use servers::eventually;
use write_service::Settings;

use crate::fixture::{Answer, DEADLINE, Hotel, account, booking, details};

const ACCOUNTS: &str = "/accounts/accounts";
const BOOKINGS: &str = "/direct-booking/bookings";

fn is_replayed(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

/// Asserts that both are one answer, and that the second says so.
#[track_caller]
fn assert_same(first: &Answer, again: &Answer) {
    assert_eq!((again.status, &again.bytes), (first.status, &first.bytes));
    for name in ["content-type", "etag", "location", "read-after", "x-correlation-id", "retry-after"] {
        assert_eq!(again.headers.get(name), first.headers.get(name), "{name}");
    }
    assert!(is_replayed(again) && !is_replayed(first), "{again:?}");
}

async fn kept(hotel: &Hotel) -> i64 {
    hotel
        .number(
            "select (select count(*) from accounts.command_answer) + (select count(*) from direct_booking.command_answer)",
        )
        .await
}

#[tokio::test]
async fn a_command_without_a_key_is_refused_and_told_what_to_send() {
    let hotel = Hotel::open("no key").await;
    let request = hotel.service.request("POST", ACCOUNTS).json(&account("ada"));
    let refused = hotel.service.send(request).await.expect_problem(400, "idempotency-key-missing");
    assert!(refused.body["detail"].as_str().unwrap().contains("UUID"), "{}", refused.body);
    for key in ["", "a b", "\"open", &"x".repeat(256)] {
        hotel.service.post_as(key, ACCOUNTS, &account("ada")).await.expect_problem(400, "invalid-header");
    }
    assert_eq!((hotel.written().await, kept(&hotel).await), (0, 0));
}

#[tokio::test]
async fn the_answer_is_given_again_whatever_has_happened_since() {
    let hotel = Hotel::open("given again").await;
    let service = &hotel.service;
    let opened = service.post_as("k1", ACCOUNTS, &account("ada")).await.expect(201);
    let path = format!("{ACCOUNTS}/ada/change-details");
    let change = async || {
        let headers = [("idempotency-key", "k2"), ("if-match", "\"1-1\"")];
        let request = service.request("POST", &path).json(&details("Brugge"));
        service.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    };
    let changed = change().await.expect(200);
    service.post(&format!("{ACCOUNTS}/ada/close"), &json!({})).await.expect(200);
    let written = hotel.written().await;

    assert_same(&opened, &service.post_as("k1", ACCOUNTS, &account("ada")).await);
    // The key is looked up before If-Match is looked at.
    assert_same(&changed, &change().await);
    // With quotes, and the fields in another order, it is the same command.
    let text = account("ada").as_object().unwrap().iter().rev().fold(String::new(), |text, (name, value)| {
        format!("{text}{} {name:?} : {value}", if text.is_empty() { "{" } else { "," })
    });
    let request = service.request("POST", ACCOUNTS).header("content-type", "application/json");
    let again = service.send(request.header("idempotency-key", "\"k1\"").body(format!("{text}}}"))).await;
    assert_same(&opened, &again);
    assert_eq!(hotel.written().await, written);
}

#[tokio::test]
async fn a_key_is_for_one_body_but_another_path_may_use_it_too() {
    let hotel = Hotel::open("reused").await;
    let service = &hotel.service;
    service.post_as("k", ACCOUNTS, &account("ada")).await.expect(201);
    service.post_as("k", ACCOUNTS, &account("bob")).await.expect_problem(422, "idempotency-key-reused");
    let rooms = json!({"roomTypeId": "A", "name": "A", "rooms": ["1"]});
    service.post_as("k", "/direct-booking/room-types", &rooms).await.expect(201);
    service.post_as("k", &format!("{ACCOUNTS}/ada/close"), &json!({})).await.expect(200);
    assert_eq!(hotel.number("select count(*) from accounts.account").await, 1);
}

#[tokio::test]
async fn a_definite_refusal_is_kept_and_leaves_nothing_of_what_was_tried() {
    let hotel = Hotel::open_for_bookings("refusals", 1).await;
    let service = &hotel.service;
    service.post(BOOKINGS, &booking("b1", 11, 1)).await.expect(202);
    let written = hotel.written().await;
    // The first night is held before it shows that the second is full.
    let full = service.post_as("full", BOOKINGS, &booking("b2", 10, 2)).await.expect_problem(409, "no-room");
    let invalid = service.post_as("invalid", BOOKINGS, &json!({})).await.expect_problem(422, "invalid-fields");
    let nothing = format!("{BOOKINGS}/b2/cancel");
    let missing = service.post_as("missing", &nothing, &json!({})).await.expect_problem(404, "not-found");
    assert_eq!(hotel.written().await, written);

    // The room is free now: it is the command's own answer all the same, and a new key is a new command.
    service.post(&format!("{BOOKINGS}/b1/cancel"), &json!({})).await.expect(200);
    assert_same(&full, &service.post_as("full", BOOKINGS, &booking("b2", 10, 2)).await);
    assert_same(&invalid, &service.post_as("invalid", BOOKINGS, &json!({})).await);
    assert_same(&missing, &service.post_as("missing", &nothing, &json!({})).await);
    service.post_as("anew", BOOKINGS, &booking("b2", 10, 2)).await.expect(202);
}

#[tokio::test]
async fn a_refusal_of_the_database_is_kept_though_its_statement_failed() {
    let hotel = Hotel::open("failed statement").await;
    hotel
        .admin
        .batch_execute(
            "alter table accounts.outbox drop constraint outbox_payload_fits_the_broker,
             add constraint outbox_payload_fits_the_broker check (octet_length(payload::text) <= 10)",
        )
        .await
        .unwrap();
    let refused = hotel.service.post_as("k", ACCOUNTS, &account("ada")).await.expect_problem(422, "document-too-large");
    assert_same(&refused, &hotel.service.post_as("k", ACCOUNTS, &account("ada")).await);
}

#[tokio::test]
async fn what_may_turn_out_otherwise_is_not_kept() {
    let hotel =
        Hotel::open_with("not kept", |settings| Settings { read_after_timeout: Duration::from_millis(50), ..settings })
            .await;
    let service = &hotel.service;
    hotel.define_rooms("double", 1).await;
    let opened = service.post(ACCOUNTS, &account("ada")).await.expect(201);
    let kept_before = kept(&hotel).await;
    // The copy of the account lags.
    service.post_as("k", BOOKINGS, &booking("b1", 1, 1)).await.expect_problem(409, "unknown-account");
    let request = service.request("POST", BOOKINGS).header("idempotency-key", "k").json(&booking("b1", 1, 1));
    let request = request.header("read-after", opened.header("read-after"));
    service.send(request).await.expect_problem(409, "not-yet-visible");
    // The message is no command.
    let malformed = service.command(ACCOUNTS).header("content-type", "application/json").body("{");
    service.send(malformed).await.expect_problem(400, "malformed-body");
    // The schema is not what it should be.
    hotel.admin.batch_execute("alter table direct_booking.account_copy rename to elsewhere").await.unwrap();
    service.post_as("k", BOOKINGS, &booking("b1", 1, 1)).await.expect_problem(503, "unavailable");
    hotel.admin.batch_execute("alter table direct_booking.elsewhere rename to account_copy").await.unwrap();
    assert_eq!(kept(&hotel).await, kept_before);

    hotel.know_account("ada", true).await;
    service.post_as("k", BOOKINGS, &booking("b1", 1, 1)).await.expect(202);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_repetitions_at_once_have_one_effect() {
    let hotel = Hotel::open_for_bookings("fifty at once", 100).await;
    let written = hotel.written().await;
    let body = booking("b1", 1, 1);
    let answers = join_all((0..50).map(|_| hotel.service.post_as("k", BOOKINGS, &body))).await;
    let (made, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 202);
    let first: Vec<_> = made.iter().filter(|answer| !is_replayed(answer)).collect();
    assert_eq!(first.len(), 1);
    for again in made.iter().filter(|answer| is_replayed(answer)) {
        assert_same(first[0], again);
    }
    for answer in others {
        assert_eq!(answer.expect_problem(409, "command-in-flight").header("retry-after"), "1");
    }
    // The booking, its event, and one night.
    assert_eq!(hotel.written().await, written + 3);
}

/// Waits until a command of the service waits for a lock, and answers its connection's process id.
async fn blocked(hotel: &Hotel) -> i32 {
    let sql = "select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    eventually("a command that waits for a lock", DEADLINE, async || {
        let row = hotel.admin.query_opt(sql, &[]).await.map_err(|error| error.to_string())?;
        row.map(|row| Some(row.get(0))).ok_or_else(|| "none".to_owned())
    })
    .await
}

#[tokio::test]
async fn a_command_under_way_is_in_flight_and_one_that_died_is_not() {
    let hotel = Hotel::open_for_bookings("in flight", 5).await;
    let service = &hotel.service;
    service.post(BOOKINGS, &booking("b1", 1, 1)).await.expect(202);
    let path = format!("{BOOKINGS}/b1/cancel");
    let locker = crate::fixture::connect(&hotel.admin_url).await;
    locker.batch_execute("begin; select from direct_booking.booking for update").await.unwrap();

    let cancel = async || service.post_as("k", &path, &json!({})).await;
    let meanwhile = async {
        let pid = blocked(&hotel).await;
        let told = cancel().await.expect_problem(409, "command-in-flight");
        assert_eq!(told.header("retry-after"), "1");
        // Another body is told of the command that is under way, too: what it was is not known yet.
        service.post_as("k", &path, &json!({"a": 1})).await.expect_problem(409, "command-in-flight");
        // Its connection dies, as with the whole process.
        hotel.admin.execute("select pg_terminate_backend($1)", &[&pid]).await.unwrap();
    };
    let (died, ()) = tokio::join!(cancel(), meanwhile);
    died.expect_problem(503, "unavailable");

    locker.batch_execute("rollback").await.unwrap();
    // The connection that died may be given out once more before it is known to be dead.
    let answered = async || {
        eventually("an answer", DEADLINE, async || {
            let answer = cancel().await;
            if answer.status == 503 { Err(format!("{answer:?}")) } else { Ok(Some(answer)) }
        })
        .await
    };
    let cancelled = answered().await.expect(200);
    assert!(!is_replayed(&cancelled));
    assert_same(&cancelled, &answered().await);
    assert_eq!(hotel.number("select version from direct_booking.booking").await, 2);
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_nothing_in_flight() {
    let hotel = Hotel::open_for_bookings("hangs up", 5).await;
    let service = &hotel.service;
    service.post(BOOKINGS, &booking("b1", 1, 1)).await.expect(202);
    let path = format!("{BOOKINGS}/b1/cancel");
    let locker = crate::fixture::connect(&hotel.admin_url).await;
    locker.batch_execute("begin; select from direct_booking.booking for update").await.unwrap();
    let nothing = json!({});
    tokio::select! {
        answer = service.post_as("k", &path, &nothing) => panic!("{answer:?}"),
        _ = blocked(&hotel) => {}
    }
    locker.batch_execute("rollback").await.unwrap();
    // It was done or it was not: what it was is the answer from now on.
    let answer = eventually("an answer", DEADLINE, async || {
        let answer = service.post_as("k", &path, &json!({})).await;
        if answer.status == 200 { Ok(Some(answer)) } else { Err(format!("{answer:?}")) }
    })
    .await;
    assert_eq!(answer.body["version"], 2);
    assert_eq!(hotel.number("select version from direct_booking.booking").await, 2);
}

#[tokio::test]
async fn an_answer_is_kept_for_its_time() {
    let hotel =
        Hotel::open_with("cleaner", |settings| Settings { idempotency_keep: "24s".parse().unwrap(), ..settings }).await;
    hotel.service.post_as("old", ACCOUNTS, &account("ada")).await.expect(201);
    hotel.service.post_as("young", ACCOUNTS, &account("bob")).await.expect(201);
    // More than one batch of them.
    hotel
        .admin
        .batch_execute(
            "update accounts.command_answer set createdat = now() - interval '25 seconds' where key = 'old';
             update accounts.command_answer set createdat = now() + interval '1 hour' where key = 'young';
             insert into accounts.command_answer
             select 'anonymous', 'x', n::text, '', 200, '{}', '', now() - interval '2 hours' from generate_series(1, 2500) n",
        )
        .await
        .unwrap();
    eventually("the old ones are gone", DEADLINE, async || match kept(&hotel).await {
        1 => Ok::<_, String>(Some(())),
        more => Err(format!("{more} are left")),
    })
    .await;
    hotel.service.post_as("young", ACCOUNTS, &account("bob")).await.expect(201);
    hotel.service.post_as("old", ACCOUNTS, &account("ada")).await.expect_problem(409, "already-exists");
}
