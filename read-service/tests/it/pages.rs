//! Walking the list of bookings.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Server, booking, cancelled};

const DAYS: [&str; 4] = ["2026-03-01", "2026-03-02", "2026-02-27", "2026-03-10"];

/// Forty bookings, ten a day, made in no order; every fourth cancelled, every fifth in a single room, each third on another account.
async fn forty(server: &Server) -> Vec<(String, String)> {
    let mut places = Vec::new();
    let mut messages = Vec::new();
    for number in (0..40).rev() {
        let (id, day) = (format!("b{number}"), DAYS[number % 4]);
        let account = if number % 3 == 0 { "a2" } else { "a1" };
        let room = if number % 5 == 0 { "single" } else { "double" };
        messages.push(match number % 8 {
            0 => cancelled(&id, 2, day),
            _ => booking(
                &id,
                1,
                day,
                &json!({"bookedBy": {"kind": "ACCOUNT", "accountId": account}, "roomTypeId": room}),
            ),
        });
        places.push((day.to_owned(), id));
    }
    server.views.fill(&messages).await;
    places.sort();
    places
}

async fn page(server: &Server, arguments: &str) -> Value {
    let query = format!(
        "{{ bookings{arguments} {{ edges {{ cursor node {{ bookingId checkIn }} }} nodes {{ bookingId }} \
         pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
    );
    server.data(&query).await["bookings"].clone()
}

fn places(page: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let edges = page["edges"].as_array().unwrap();
    edges.iter().map(|edge| (text(&edge["node"]["checkIn"]), text(&edge["node"]["bookingId"]))).collect()
}

#[tokio::test]
async fn walking_forwards_meets_every_booking_once_and_in_order() {
    let server = Server::start("forwards").await;
    let expected = forty(&server).await;
    for size in [1, 7, 10, 20, 100] {
        let (mut walked, mut arguments) = (Vec::new(), format!("(first: {size})"));
        loop {
            let page = page(&server, &arguments).await;
            let info = &page["pageInfo"];
            assert_eq!(info["hasPreviousPage"], !walked.is_empty());
            assert_eq!(info["startCursor"], page["edges"][0]["cursor"]);
            walked.extend(places(&page));
            if info["hasNextPage"] == false {
                break;
            }
            assert_eq!(page["nodes"].as_array().unwrap().len(), size);
            arguments = format!("(first: {size}, after: {})", info["endCursor"]);
        }
        assert_eq!(walked, expected, "pages of {size}");
    }
}

#[tokio::test]
async fn walking_backwards_meets_every_booking_once_and_in_order() {
    let server = Server::start("backwards").await;
    let expected = forty(&server).await;
    let (mut walked, mut arguments) = (Vec::new(), "(last: 7)".to_owned());
    loop {
        let page = page(&server, &arguments).await;
        let info = &page["pageInfo"];
        assert_eq!(info["hasNextPage"], !walked.is_empty());
        walked.splice(0..0, places(&page));
        if info["hasPreviousPage"] == false {
            break;
        }
        arguments = format!("(last: 7, before: {})", info["startCursor"]);
    }
    assert_eq!(walked, expected);
}

#[tokio::test]
async fn a_walk_is_not_disturbed_by_bookings_that_arrive_meanwhile() {
    let server = Server::start("inserts").await;
    let before = forty(&server).await;
    let (mut walked, mut arguments) = (Vec::new(), "(first: 3)".to_owned());
    for number in 0.. {
        let page = page(&server, &arguments).await;
        walked.extend(places(&page));
        // One at the very beginning, one in the middle, one at the end.
        for day in ["2020-01-01", "2026-03-01", "2030-01-01"].iter().filter(|_| number < 20) {
            server.views.fill(&[booking(&format!("c{number}-{day}"), 1, day, &json!({}))]).await;
        }
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        arguments = format!("(first: 3, after: {})", page["pageInfo"]["endCursor"]);
    }
    let met: BTreeSet<_> = walked.iter().cloned().collect();
    assert_eq!(met.len(), walked.len(), "met twice");
    assert!(walked.is_sorted());
    assert!(before.iter().all(|place| met.contains(place)), "missed");
}

#[tokio::test]
async fn each_filter_lets_through_what_it_says_and_they_add_up() {
    let server = Server::start("filters").await;
    let all = forty(&server).await;
    let found = async |filter: &str| places(&page(&server, &format!("(first: 100, filter: {filter})")).await);
    let count = async |filter: &str| found(filter).await.len();
    assert_eq!(found("{}").await, all);
    assert_eq!(count(r#"{status: CANCELLED}"#).await, 5);
    assert_eq!(count(r#"{roomTypeId: "single"}"#).await, 7, "the cancelled one is a double");
    assert_eq!(count(r#"{accountId: "a2"}"#).await + count(r#"{accountId: "a1"}"#).await, 40);
    assert_eq!(count(r#"{accountId: "a2", roomTypeId: "single", status: CONFIRMED}"#).await, 2);
    let march: Vec<_> = all.iter().filter(|(day, _)| day.starts_with("2026-03-0")).cloned().collect();
    assert_eq!(found(r#"{checkInFrom: "2026-03-01", checkInTo: "2026-03-02"}"#).await, march);
    assert_eq!(found(r#"{checkInTo: "2026-03-02", checkInFrom: "2026-03-02"}"#).await, march[10..]);
    assert_eq!(count(r#"{checkInFrom: "2027-01-01"}"#).await, 0);
}

#[tokio::test]
async fn a_filtered_walk_keeps_to_its_filter() {
    let server = Server::start("filtered walk").await;
    let all = forty(&server).await;
    let expected: Vec<_> = all.into_iter().filter(|(day, _)| day.as_str() >= "2026-03-01").collect();
    let (mut walked, mut after) = (Vec::new(), String::new());
    loop {
        let page = page(&server, &format!(r#"(first: 4, filter: {{checkInFrom: "2026-03-01"}} {after})"#)).await;
        walked.extend(places(&page));
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = format!(", after: {}", page["pageInfo"]["endCursor"]);
    }
    assert_eq!(walked, expected);
}

/// Given many bookings, when pages of every shape are asked for, often enough that the planner settles, then each was
/// read from the index that has its order, and never all of the table.
#[tokio::test]
async fn a_page_is_read_from_an_index() {
    let server = Server::start("plans").await;
    let owner = server.views.owner().await;
    let rows =
        "INSERT INTO view.booking (id, version, erased, status, account_id, room_type_id, check_in, check_out, adults,
            children, babies, nightly_rate_minor, nightly_rate_currency, total_minor, total_currency, made_at,
            changed_at, applied_at)
        SELECT 'b' || n, 1, false, 'CONFIRMED', 'a' || n % 500, 'double',
            date '2026-01-01' + n % 700, date '2026-01-03' + n % 700, 2, 0, 0, 1, 'EUR', 1, 'EUR', now(), now(), now()
        FROM generate_series(1, 20000) n; ANALYZE view.booking";
    owner.batch_execute(rows).await.unwrap();
    const TIMES: i64 = 10;
    for _ in 0..TIMES {
        for arguments in [
            "(first: 20)",
            r#"(last: 20, filter: {checkInFrom: "2026-03-01", status: CONFIRMED})"#,
            r#"(first: 20, filter: {checkInFrom: "2026-03-01", roomTypeId: "single"})"#,
            r#"(last: 20, filter: {checkInTo: "2026-03-01", roomTypeId: "single"})"#,
            "(first: 20, orderBy: MADE_AT_DESC)",
            "(last: 20, orderBy: MADE_AT_ASC)",
            r#"(first: 20, filter: {accountId: "a7"})"#,
            r#"(last: 20, filter: {accountId: "a7", checkInTo: "2027-03-01"})"#,
            "(first: 20, filter: {status: EXPIRED})",
            r#"(last: 20, filter: {status: PENDING, checkInFrom: "2026-03-01"})"#,
            r#"(first: 20, filter: {guestId: "g7"})"#,
            r#"(last: 20, filter: {guestId: "g7", checkInTo: "2027-03-01"})"#,
            r#"(first: 20, filter: {siteId: "expo"})"#,
            r#"(last: 20, filter: {siteId: "expo", checkInTo: "2027-03-01"})"#,
        ] {
            page(&server, arguments).await;
        }
    }
    // A connection tells what it has read when it ends.
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'read-service serve'";
    owner.execute(end, &[]).await.unwrap();
    let by_index = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = $1";
    for kind in ["check_in", "account", "room_type", "made_at", "status", "guest", "site"] {
        let index = format!("booking_by_{kind}");
        servers::eventually("the index was used", crate::support::SOON, async || {
            let scans: i64 = owner.query_one(by_index, &[&index]).await.unwrap().get(0);
            if scans >= 2 * TIMES { Ok(Some(())) } else { Err(format!("{index}: {scans} scans")) }
        })
        .await;
    }
    let whole = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'booking'";
    assert_eq!(owner.query_one(whole, &[]).await.unwrap().get::<_, i64>(0), 0);
}
