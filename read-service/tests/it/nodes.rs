//! Finding things by their global ids, and walking from one to the next.

use serde_json::json;

use crate::support::{Server, account, booking, code, guest, payment, rate_plan, room_type, site, site_booking, task};

#[tokio::test]
async fn everything_with_a_global_id_is_found_by_it() {
    let server = Server::start("nodes").await;
    let all = [
        account("x", 1, "Ada"),
        guest("x", 1, "Gus"),
        room_type("x", 1, &["101"]),
        rate_plan("x", 1, 7500),
        booking("x", 1, "2026-03-01", &json!({})),
        payment("x", 1, "TAKEN", &json!({})),
        task("x", 1, "2026-03-01", &json!({})),
        site("x", 1, &json!([])),
        site_booking("x", 1, "2026-03-01", &json!({})),
    ];
    server.views.fill(&all).await;
    let roots = ["account", "guest", "roomType", "ratePlan", "booking", "payment", "task", "site", "siteBooking"];
    for root in roots {
        let data = server.data(&format!(r#"{{ {root}(id: "x") {{ id version __typename }} }}"#)).await;
        let (found, ty) = (&data[root], data[root]["__typename"].as_str().unwrap());
        assert_eq!(found["id"], format!("{ty}:x"), "{root}");
        let query = format!(
            r#"{{ node(id: "{ty}:x") {{ __typename id ... on {ty} {{ version }} ... on Node {{ again: id }} }} }}"#
        );
        let again = server.data(&query).await;
        let expected = json!({"__typename": ty, "id": found["id"], "version": 1, "again": found["id"]});
        assert_eq!(again["node"], expected, "{root}");
        let by_global = server.data(&format!(r#"{{ {root}(id: "{ty}:x") {{ version }} }}"#)).await;
        assert_eq!(by_global[root], json!({"version": 1}), "{root}");
    }
    assert_eq!(server.data(r#"{ node(id: "Booking:nobody") { id } }"#).await, json!({"node": null}));
    for id in ["x", "Nonsense:x", "Query:x", "Booking:", "Booking:a b"] {
        let (status, answer) = server.post("query Q($id: ID!) { node(id: $id) { id } }", json!({"id": id})).await;
        assert_eq!((status, code(&answer)), (400, "BAD_USER_INPUT"), "{id}");
    }
}

#[tokio::test]
async fn one_statement_walks_from_a_booking_to_all_that_belongs_to_it() {
    let server = Server::start("walk").await;
    server
        .views
        .fill(&[
            account("a1", 1, "Ada"),
            room_type("double", 1, &["101"]),
            rate_plan("flex", 1, 7500),
            booking("7", 1, "2026-03-01", &json!({"ratePlanId": "flex", "room": "101"})),
            booking("8", 1, "2026-02-01", &json!({})),
            payment("7", 2, "TAKEN", &json!({})),
            task("t2", 1, "2026-03-02", &json!({"kind": "DAILY_CLEANING"})),
            task("t1", 1, "2026-03-01", &json!({"room": "101"})),
        ])
        .await;
    let before = server.statements().await;
    let data = server
        .data(
            r#"{ booking(id: "7") {
              room payment { status amount { amountMinor } booking { bookingId } }
              tasks { taskId kind day room }
              roomType { rooms { number } ratePlans { ratePlanId nightlyRate { amountMinor } validUntil } }
              account { bookings(first: 1, orderBy: CHECK_IN_DESC) { nodes { bookingId } pageInfo { hasNextPage } } }
            } }"#,
        )
        .await;
    assert_eq!(server.statements().await - before, 1);
    let expected = json!({
        "room": "101",
        "payment": {"status": "TAKEN", "amount": {"amountMinor": 22500}, "booking": {"bookingId": "7"}},
        "tasks": [
            {"taskId": "t1", "kind": "PREPARATION", "day": "2026-03-01", "room": "101"},
            {"taskId": "t2", "kind": "DAILY_CLEANING", "day": "2026-03-02", "room": null},
        ],
        "roomType": {
            "rooms": [{"number": "101"}],
            "ratePlans": [{"ratePlanId": "flex", "nightlyRate": {"amountMinor": 7500}, "validUntil": "2026-12-31T23:59:59Z"}],
        },
        "account": {"bookings": {"nodes": [{"bookingId": "7"}], "pageInfo": {"hasNextPage": true}}},
    });
    assert_eq!(data["booking"], expected);
}

#[tokio::test]
async fn fields_of_one_key_are_merged_and_left_out_parts_are() {
    let server = Server::start("merged").await;
    server.views.fill(&[booking("7", 1, "2026-03-01", &json!({}))]).await;
    let query = r#"query Q($no: Boolean = false, $yes: Boolean!) { booking(id: "7") {
        guests { adults } ...F guests { babies } version @include(if: $no) status @skip(if: $yes) __typename
    } } fragment F on Booking { guests { children adults } }"#;
    let (_, answer) = server.post(query, json!({"yes": true})).await;
    let expected = json!({"guests": {"adults": 2, "children": 1, "babies": 0}, "__typename": "Booking"});
    assert_eq!(answer["data"]["booking"], expected);
    let (status, answer) = server.post(query, json!({})).await;
    assert_eq!((status, code(&answer)), (400, "BAD_USER_INPUT"), "a variable that must be given is not");
}
