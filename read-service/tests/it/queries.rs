//! What each query answers, and what it costs.

use contracts::{accounts, direct_booking};
use serde_json::json;

use crate::support::{Server, account, booking, cancelled, code, room_type, tombstone};

#[tokio::test]
async fn each_type_is_answered_with_all_its_fields() {
    let server = Server::start("fields").await;
    server
        .views
        .fill(&[account("a1", 2, "Ada"), room_type("double", 1, &["101", "102"]), cancelled("7", 2, "2026-03-01")])
        .await;
    let data = server
        .data(
            r#"{
              account(id: "a1") { id accountId version status name address { street postalCode city country } email changedAt }
              roomType(id: "double") { id roomTypeId version name rooms { number stepFree } changedAt }
              booking(id: "7") {
                id bookingId version status accountId roomTypeId checkIn checkOut guests { adults children babies }
                nightlyRate { amountMinor currency } total { amountMinor currency } madeAt cancelledAt changedAt
              }
            }"#,
        )
        .await;
    let changed = "2026-11-21T10:00:00.123456Z";
    let expected = json!({
        "account": {
            "id": "Account:a1", "accountId": "a1", "version": 2, "status": "OPEN", "name": "Ada", "email": "ada@example.org", "changedAt": changed,
            "address": {"street": "High Street 1", "postalCode": "8001", "city": "Zürich", "country": "CH"},
        },
        "roomType": {
            "id": "RoomType:double", "roomTypeId": "double", "version": 1, "name": "Room double",
            "rooms": [{"number": "101", "stepFree": true}, {"number": "102", "stepFree": false}], "changedAt": changed},
        "booking": {
            "id": "Booking:7", "bookingId": "7", "version": 2, "status": "CANCELLED", "accountId": "a1", "roomTypeId": "double",
            "checkIn": "2026-03-01", "checkOut": "2026-03-04", "guests": {"adults": 2, "children": 1, "babies": 0},
            "nightlyRate": {"amountMinor": 7500, "currency": "EUR"}, "total": {"amountMinor": 22500, "currency": "EUR"},
            "madeAt": "2026-01-02T03:04:05Z", "cancelledAt": "2026-01-03T00:00:00Z", "changedAt": changed,
        },
    });
    assert_eq!(data, expected);
    let data = server.data(r#"{ booking(id: "7") { appliedAt } }"#).await;
    let applied: chrono::DateTime<chrono::Utc> = data["booking"]["appliedAt"].as_str().unwrap().parse().unwrap();
    assert!((chrono::Utc::now() - applied).num_seconds().abs() < 60);
}

#[tokio::test]
async fn what_is_not_there_is_null() {
    let server = Server::start("null").await;
    let data = server.data(r#"{ account(id: "x") { id } roomType(id: "x") { id } booking(id: "x") { id } }"#).await;
    assert_eq!(data, json!({"account": null, "roomType": null, "booking": null}));
}

#[tokio::test]
async fn a_joined_part_is_null_until_it_arrives_and_when_it_is_gone() {
    let server = Server::start("joins").await;
    let query =
        r#"{ booking(id: "7") { bookingId account { name } roomType { rooms { number stepFree } } accountId } }"#;
    let joined = async || server.data(query).await["booking"].clone();
    server.views.fill(&[booking("7", 1, "2026-03-01", &json!({}))]).await;
    assert_eq!(joined().await, json!({"bookingId": "7", "account": null, "roomType": null, "accountId": "a1"}));
    server.views.fill(&[room_type("double", 1, &[])]).await;
    assert_eq!(
        joined().await,
        json!({"bookingId": "7", "account": null, "roomType": {"rooms": []}, "accountId": "a1"})
    );
    server.views.fill(&[account("a1", 1, "Ada")]).await;
    assert_eq!(joined().await["account"], json!({"name": "Ada"}));
    server.views.fill(&[tombstone(accounts::ACCOUNT, "a1", 2)]).await;
    assert_eq!(joined().await["account"], json!(null));
}

#[tokio::test]
async fn what_is_gone_is_in_no_answer() {
    let server = Server::start("gone").await;
    let gone = [
        tombstone(direct_booking::BOOKING, "7", 2),
        tombstone(accounts::ACCOUNT, "a1", 2),
        tombstone(direct_booking::ROOM_TYPE, "double", 2),
    ];
    server.views.fill(&gone).await;
    let data = server
        .data(
            r#"{ booking(id: "7") { id } account(id: "a1") { id } roomType(id: "double") { id }
                 bookings { nodes { bookingId } } bookingsSummary { count } }"#,
        )
        .await;
    let nothing = json!({"booking": null, "account": null, "roomType": null, "bookings": {"nodes": []}, "bookingsSummary": {"count": 0}});
    assert_eq!(data, nothing);
}

#[tokio::test]
async fn an_operation_is_one_statement_whatever_is_selected() {
    let server = Server::start("statements").await;
    server.views.fill(&[account("a1", 1, "Ada"), booking("7", 1, "2026-03-01", &json!({}))]).await;
    let all = "id account { name address { city } } roomType { name rooms { number stepFree } }";
    for query in [
        r#"{ booking(id: "7") { id } }"#.to_owned(),
        format!(
            r#"{{ one: booking(id: "7") {{ {all} }} account(id: "a1") {{ name }} bookings {{ nodes {{ {all} }} }} }}"#
        ),
        format!(r#"{{ booking(id: "7") {{ {all} }} }}"#),
        format!(
            "{{ bookings {{ nodes {{ {all} }} edges {{ cursor node {{ {all} }} }} pageInfo {{ hasNextPage }} }} }}"
        ),
        "{ bookingsSummary { count byStatus { status count totals { amountMinor } } } }".to_owned(),
        format!(r#"query Q {{ booking(id: "7") {{ ...B }} }} fragment B on Booking {{ ... {{ {all} }} }}"#),
    ] {
        let before = server.statements().await;
        server.data(&query).await;
        assert_eq!(server.statements().await - before, 1, "{query}");
    }
}

#[tokio::test]
async fn a_join_that_is_selected_in_a_fragment_or_skipped_is_seen() {
    let server = Server::start("look ahead").await;
    server.views.fill(&[account("a1", 1, "Ada"), booking("7", 1, "2026-03-01", &json!({}))]).await;
    let query = r#"query Q($with: Boolean!) { booking(id: "7") { ...B } }
        fragment B on Booking { payer: account @include(if: $with) { ... on Account { name } } bookingId }"#;
    let (_, with) = server.post(query, json!({"with": true})).await;
    assert_eq!(with["data"]["booking"], json!({"payer": {"name": "Ada"}, "bookingId": "7"}));
    let (_, without) = server.post(query, json!({"with": false})).await;
    assert_eq!(without["data"]["booking"], json!({"bookingId": "7"}));
}

#[tokio::test]
async fn fields_are_answered_in_the_order_of_the_selection() {
    let server = Server::start("order").await;
    server.views.fill(&[account("a1", 1, "Ada"), booking("7", 1, "2026-03-01", &json!({}))]).await;
    // The first is the slowest, the last needs no statement at all.
    let query = r#"{ sums: bookingsSummary { count } ...F one: booking(id: "7") { version bookingId } kind: __typename }
        fragment F on Query { two: account(id: "a1") { name id } list: bookings { nodes { bookingId } } }"#;
    for _ in 0..20 {
        let response = server.http.post(server.url("/graphql")).json(&json!({"query": query})).send().await.unwrap();
        let text = response.text().await.unwrap();
        let expected = r#"{"data":{"sums":{"count":1},"two":{"name":"Ada","id":"Account:a1"},"list":{"nodes":[{"bookingId":"7"}]},"one":{"version":1,"bookingId":"7"},"kind":"Query"}}"#;
        assert_eq!(text, expected);
    }
}

#[tokio::test]
async fn a_summary_counts_and_sums_what_the_filter_lets_through() {
    let server = Server::start("summary").await;
    let yen = json!({"total": {"amountMinor": 5, "currency": "JPY"}, "roomTypeId": "single"});
    server
        .views
        .fill(&[
            booking("1", 1, "2026-03-01", &json!({})),
            booking("2", 1, "2026-03-02", &yen),
            cancelled("3", 2, "2026-03-03"),
        ])
        .await;
    let fields = "count totals { amountMinor currency } byStatus { status count totals { amountMinor currency } }";
    let all = server.data(&format!("{{ bookingsSummary {{ {fields} }} }}")).await;
    let expected = json!({
        "count": 3,
        "totals": [{"amountMinor": 45000, "currency": "EUR"}, {"amountMinor": 5, "currency": "JPY"}],
        "byStatus": [
            {"status": "CANCELLED", "count": 1, "totals": [{"amountMinor": 22500, "currency": "EUR"}]},
            {"status": "CONFIRMED", "count": 2, "totals": [{"amountMinor": 22500, "currency": "EUR"}, {"amountMinor": 5, "currency": "JPY"}]},
        ],
    });
    assert_eq!(all["bookingsSummary"], expected);
    for (filter, count) in [
        ("{}", 3),
        (r#"{roomTypeId: "single"}"#, 1),
        (r#"{accountId: "a1", status: CONFIRMED}"#, 2),
        (r#"{checkInFrom: "2026-03-02", checkInTo: "2026-03-02"}"#, 1),
        (r#"{accountId: "nobody"}"#, 0),
    ] {
        let data = server.data(&format!("{{ bookingsSummary(filter: {filter}) {{ count }} }}")).await;
        assert_eq!(data["bookingsSummary"]["count"], count, "{filter}");
    }
}

#[tokio::test]
async fn a_sum_beyond_64_bits_is_refused_with_a_code() {
    let server = Server::start("large sum").await;
    let much = json!({"total": {"amountMinor": i64::MAX, "currency": "EUR"}});
    server.views.fill(&[booking("1", 1, "2026-03-01", &much), booking("2", 1, "2026-03-01", &much)]).await;
    let (_, answer) = server.post("{ bookingsSummary { count } }", json!({})).await;
    assert_eq!(code(&answer), "BAD_USER_INPUT");
    let data = server.data("{ bookings { nodes { total { amountMinor } } } }").await;
    assert_eq!(data["bookings"]["nodes"][0]["total"]["amountMinor"], i64::MAX);
}
