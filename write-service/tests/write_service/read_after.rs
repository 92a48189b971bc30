//! Direct booking's own copy of the accounts, and commands that wait for it.

use std::time::Duration;

use contracts::{
    ReadAfter,
    accounts::ACCOUNT,
    envelope::{AggregateVersion, Envelope, TraceContext},
};
use serde_json::json;
use servers::eventually;
use uuid::Uuid;
use write_service::Settings;

use crate::fixture::{DEADLINE, Hotel, account, booking, details, record, token};

const BOOKINGS: &str = "/direct-booking/bookings";

async fn ready(purpose: &str) -> Hotel {
    let hotel =
        Hotel::open_with(purpose, |settings| Settings { read_after_timeout: Duration::from_secs(8), ..settings }).await;
    hotel.service.report_when("readiness", |report| report.ready).await;
    hotel.define_rooms("double", 5).await;
    hotel
}

impl Hotel {
    async fn copy(&self, id: &str) -> Option<(i64, bool)> {
        let sql = "select version, open from direct_booking.account_copy where account_id = $1";
        self.admin.query_opt(sql, &[&id]).await.unwrap().map(|row| (row.get(0), row.get(1)))
    }

    async fn await_copy(&self, id: &str, version: i64, open: bool) {
        eventually("the copy", DEADLINE, async || {
            let copy = self.copy(id).await;
            if copy == Some((version, open)) { Ok(Some(())) } else { Err(format!("{copy:?}")) }
        })
        .await;
    }
}

#[tokio::test]
async fn a_booking_waits_for_the_account_that_its_token_names() {
    let hotel = ready("wait for the account").await;
    let opened = hotel.service.post("/accounts/accounts", &account("ada")).await.expect(201);
    hotel.service.post(BOOKINGS, &booking("b1", 1, 1)).await.expect_problem(409, "unknown-account");
    let headers = [("read-after", opened.header("read-after"))];
    let body = booking("b1", 1, 1);
    let (made, ()) = tokio::join!(hotel.service.post_with(BOOKINGS, &body, &headers), hotel.relay_accounts());
    made.expect(202);

    let closed = hotel.service.post("/accounts/accounts/ada/close", &json!({})).await.expect(200);
    let headers = [("read-after", closed.header("read-after"))];
    let body = booking("b2", 1, 1);
    let (refused, ()) = tokio::join!(hotel.service.post_with(BOOKINGS, &body, &headers), hotel.relay_accounts());
    refused.expect_problem(409, "account-closed");
}

#[tokio::test]
async fn an_old_or_repeated_event_changes_nothing() {
    let hotel = ready("old events").await;
    let service = &hotel.service;
    service.post("/accounts/accounts", &account("ada")).await.expect(201);
    service.post("/accounts/accounts/ada/change-details", &details("Brugge")).await.expect(200);
    hotel.relay_accounts().await;
    hotel.await_copy("ada", 2, true).await;
    service.post("/accounts/accounts/ada/close", &json!({})).await.expect(200);
    // All three once more, and then another account, to know that they have been seen.
    hotel.relay_accounts().await;
    service.post("/accounts/accounts", &account("bob")).await.expect(201);
    hotel.relay_accounts().await;
    hotel.await_copy("ada", 3, false).await;
    hotel.await_copy("bob", 1, true).await;
    assert_eq!(hotel.copy("ada").await, Some((3, false)));
}

#[tokio::test]
async fn an_account_that_is_gone_cannot_be_booked_on_nor_come_back() {
    let hotel = ready("tombstone").await;
    hotel.service.post("/accounts/accounts", &account("ada")).await.expect(201);
    let tombstone = Envelope {
        id: Uuid::now_v7(),
        source: contracts::accounts::SOURCE.to_owned(),
        ty: "hotel.accounts.AccountErased.v1".to_owned(),
        subject: "ada".to_owned(),
        sequence: Some(AggregateVersion::try_from(2).unwrap()),
        time: chrono::Utc::now(),
        dataschema: None,
        correlation_id: None,
        causation_id: None,
        valid_until: None,
        trace: TraceContext::default(),
        position: None,
    };
    hotel.publish(ACCOUNT, vec![record(&tombstone, None)]).await;
    hotel.await_copy("ada", 2, false).await;
    hotel.relay_accounts().await;
    hotel.service.post(BOOKINGS, &booking("b1", 1, 1)).await.expect_problem(409, "account-closed");
}

#[tokio::test]
async fn what_does_not_arrive_in_time_is_not_yet_visible() {
    let hotel = Hotel::open_with("not yet visible", |settings| Settings {
        read_after_timeout: Duration::from_millis(50),
        ..settings
    })
    .await;
    hotel.define_rooms("double", 5).await;
    let opened = hotel.service.post("/accounts/accounts", &account("ada")).await.expect(201);
    let written = hotel.written().await;
    let headers = [("read-after", opened.header("read-after"))];
    let answer = hotel.service.post_with(BOOKINGS, &booking("b1", 1, 1), &headers).await;
    assert_eq!(answer.expect_problem(409, "not-yet-visible").header("retry-after"), "1");
    assert_eq!(hotel.written().await, written);
}

#[tokio::test]
async fn a_token_of_something_that_is_not_copied_here_is_refused() {
    let hotel = Hotel::open_for_bookings("foreign tokens", 5).await;
    let service = &hotel.service;
    let account_token =
        ReadAfter { topic: ACCOUNT.name.to_owned(), subject: "ada".to_owned(), version: AggregateVersion::FIRST };
    let foreign = ReadAfter { topic: "hotel.payments.payment.v1".to_owned(), ..account_token.clone() }.to_string();
    let made = service.post(BOOKINGS, &booking("b1", 1, 1)).await.expect(202);
    let own = token(&made).to_string();

    for text in [foreign.as_str(), "", "nonsense", &format!("{account_token}, {foreign}"), &[own.as_str(); 9].join(",")]
    {
        let answer = service.post_with(BOOKINGS, &booking("b2", 1, 1), &[("read-after", text)]).await;
        answer.expect_problem(400, "invalid-header");
    }
    // Accounts keeps no copy of bookings.
    let answer = service.post_with("/accounts/accounts", &account("bob"), &[("read-after", &own)]).await;
    answer.expect_problem(400, "invalid-header");
    // Its own aggregates a context has always seen; and the account is known.
    let both = format!("{own}, {account_token}");
    service.post_with(BOOKINGS, &booking("b2", 1, 1), &[("read-after", &both)]).await.expect(202);
}
