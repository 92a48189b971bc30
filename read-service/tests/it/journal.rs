//! The journal of events: a line for each, without what it says of people, for as long as it is to be kept.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use contracts::{Topic, accounts, direct_booking, payments};
use inbox::{Delivery, Handler};
use read_service::{projection::Journal, view::prune_journal};
use serde_json::{Value, json};

use crate::support::{Views, account, booking, payment, tombstone};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The message, as the event of this number: its id ends so, and it was recorded so many days ago.
fn event(number: u64, days_ago: i64, message: Delivery) -> Delivery {
    let mut event = message;
    event.envelope.id = format!("01999999-0000-7000-8000-{number:012}").parse().unwrap();
    event.envelope.time = Utc::now() - TimeDelta::days(days_ago);
    event
}

fn booked(number: u64, days_ago: i64) -> Delivery {
    event(number, days_ago, booking(&number.to_string(), 1, "2026-03-01", &json!({})))
}

async fn subjects(views: &Views) -> Vec<String> {
    let rows = views.client().await.query("SELECT subject FROM view.event ORDER BY id", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn an_event_is_told_with_its_story_and_without_its_document() {
    let views = Views::create("journal").await;
    let recorded: DateTime<Utc> = "2026-03-01T10:00:00.123456Z".parse().unwrap();
    let mut taken = event(1, 0, payment("7", 2, "TAKEN", &json!({})));
    (taken.partition, taken.offset, taken.published_at) = (3, 41, Some(recorded + TimeDelta::milliseconds(2)));
    taken.envelope.time = recorded;
    taken.envelope.correlation_id = Some("story".to_owned());
    taken.envelope.causation_id = Some("cause".to_owned());
    taken.envelope.trace.traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
    views.apply(&Journal::new(36_500 * DAY), &[taken]).await;
    let client = views.client().await;
    let row = client.query_one("SELECT to_jsonb(held) - 'applied_at' FROM view.event held", &[]).await.unwrap();
    let expected = json!({
        "id": "01999999-0000-7000-8000-000000000001", "type": "hotel.test.Changed.v1", "source": "/hotel/test",
        "topic": payments::PAYMENT.name, "subject": "7", "version": 2, "correlation_id": "story",
        "causation_id": "cause", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "partition": 3, "message_offset": 41,
        "recorded_at": "2026-03-01T10:00:00.123456+00:00", "published_at": "2026-03-01T10:00:00.125456+00:00",
    });
    assert_eq!(row.get::<_, Value>(0), expected);
}

#[tokio::test]
async fn an_event_is_there_once_however_often_it_comes() {
    let (views, journal) = (Views::create("journal once").await, Journal::new(DAY));
    let opened = event(1, 0, account("a", 1, "Ada"));
    let gone = event(2, 0, tombstone(accounts::ACCOUNT, "a", 2));
    views.apply(&journal, &[gone.clone(), opened.clone(), gone.clone()]).await;
    views.apply(&journal, &[opened, booked(3, 0), gone]).await;
    assert_eq!(subjects(&views).await, ["a", "a", "3"]);
}

/// Given events of all ages, when the old end is removed, then what is younger stays; and what comes again of the others is
/// not taken.
#[tokio::test]
async fn what_was_kept_long_enough_goes_and_does_not_come_back() {
    let views = Views::create("journal end").await;
    // More than go in one statement.
    let old: Vec<_> = (1..=2_500).map(|number| booked(number, 31)).collect();
    views.apply(&Journal::new(365 * DAY), &old).await;
    views.apply(&Journal::new(365 * DAY), &[booked(3_000, 29), booked(3_001, 0), booked(3_002, -1)]).await;
    assert_eq!(prune_journal(&*views.client().await, 30 * DAY).await.unwrap(), 2_500);
    views.apply(&Journal::new(30 * DAY), &old).await;
    assert_eq!(subjects(&views).await, ["3000", "3001", "3002"]);
    assert_eq!(prune_journal(&*views.client().await, 30 * DAY).await.unwrap(), 0);
}

#[test]
fn no_event_about_a_card_is_read() {
    let topics = Journal::new(DAY).topics();
    for secret in [accounts::CARD, accounts::BOOKING_WITH_CARD, direct_booking::GUEST_CARD, direct_booking::COMMANDS] {
        assert!(!topics.contains(&secret), "{secret:?}");
    }
    // Of a contract's versions one is read.
    let is_older = |topic: &Topic| *topic == direct_booking::v1::ROOM_TYPE;
    let open = |topic: &Topic| !topic.name.contains("card") && !is_older(topic);
    assert!(!topics.iter().any(is_older));
    assert_eq!(topics.iter().filter(|topic| open(topic)).count(), contracts::topics().filter(open).count());
}

/// Every event of an aggregate has made a version of it: the schema promises one.
#[test]
fn what_says_no_version_is_refused() {
    let mut unnumbered = booked(1, 0);
    unnumbered.envelope.sequence = None;
    assert_eq!(Journal::new(DAY).decode(&unnumbered).unwrap_err().to_string(), "an event without a version");
}

#[test]
fn what_no_index_has_a_place_for_is_refused() {
    let mut long = booked(1, 0);
    long.envelope.correlation_id = Some("x".repeat(257));
    assert_eq!(Journal::new(DAY).decode(&long).unwrap_err().to_string(), "correlation_id: 257 bytes, more than 256");
}
