//! What is worked out from several rows when it is asked: availability, schedules, folios, allotments, the journal.

use std::time::Duration;

use read_service::projection::Journal;
use serde_json::{Value, json};

use crate::support::{Server, booking, cancelled, code, payment, room_type, site, site_booking, task};

#[tokio::test]
async fn availability_counts_the_bookings_of_each_night() {
    let server = Server::start("availability").await;
    let day_use = json!({"checkOut": "2026-03-02"});
    let other = json!({"roomTypeId": "single"});
    let over_the_end = json!({"checkOut": "2026-04-01"});
    server
        .views
        .fill(&[
            room_type("double", 1, &["101", "102"]),
            booking("1", 1, "2026-03-01", &json!({})),
            booking("2", 1, "2026-03-02", &day_use),
            booking("3", 1, "2026-03-02", &over_the_end),
            booking("4", 1, "2026-02-25", &json!({"status": "CHECKED_OUT"})),
            booking("5", 1, "2026-03-01", &json!({"status": "EXPIRED"})),
            booking("6", 1, "2026-03-01", &other),
            cancelled("7", 2, "2026-03-01"),
        ])
        .await;
    let query = r#"{ roomAvailability(roomTypeId: "double", from: "2026-02-27", to: "2026-03-06") { night rooms taken free } }"#;
    let data = server.data(query).await;
    let nights: Vec<_> = data["roomAvailability"]
        .as_array()
        .unwrap()
        .iter()
        .map(|night| {
            (night["night"].as_str().unwrap(), night["taken"].as_i64().unwrap(), night["free"].as_i64().unwrap())
        })
        .collect();
    let expected = [
        ("2026-02-27", 1, 1),
        ("2026-02-28", 0, 2),
        ("2026-03-01", 1, 1),
        ("2026-03-02", 3, 0),
        ("2026-03-03", 2, 0),
        ("2026-03-04", 1, 1),
        ("2026-03-05", 1, 1),
    ];
    assert_eq!(nights, expected);
    assert_eq!(data["roomAvailability"][0]["rooms"], 2);
    let none =
        server.data(r#"{ roomAvailability(roomTypeId: "x", from: "2026-03-01", to: "2026-03-02") { free } }"#).await;
    assert_eq!(none, json!({"roomAvailability": []}));
    for (from, to) in [("2026-03-02", "2026-03-02"), ("2026-03-02", "2026-03-01"), ("2026-01-01", "2027-01-03")] {
        let query = format!(r#"{{ roomAvailability(roomTypeId: "double", from: "{from}", to: "{to}") {{ free }} }}"#);
        let (status, answer) = server.post(&query, json!({})).await;
        assert_eq!((status, code(&answer)), (400, "BAD_USER_INPUT"), "{from} {to}");
    }
}

#[tokio::test]
async fn a_schedule_has_the_tasks_of_its_day() {
    let server = Server::start("schedule").await;
    server
        .views
        .fill(&[
            task("a", 1, "2026-03-01", &json!({})),
            task("b", 2, "2026-03-01", &json!({"status": "COMPLETED", "completedAt": "2026-03-01T11:00:00Z"})),
            task("c", 1, "2026-03-02", &json!({})),
        ])
        .await;
    let ids = async |arguments: &str| {
        let query = format!("{{ housekeepingSchedule({arguments}) {{ nodes {{ taskId }} }} }}");
        let data = server.data(&query).await;
        let nodes = data["housekeepingSchedule"]["nodes"].as_array().unwrap().clone();
        nodes.iter().map(|node| node["taskId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(r#"date: "2026-03-01""#).await, ["a", "b"]);
    assert_eq!(ids(r#"date: "2026-03-01", filter: {status: SCHEDULED}"#).await, ["a"]);
    assert_eq!(ids(r#"date: "2026-03-02", last: 1"#).await, ["c"]);
}

#[tokio::test]
async fn a_folio_says_what_is_owed_paid_and_left() {
    let server = Server::start("folio").await;
    server
        .views
        .fill(&[
            booking("7", 1, "2026-03-01", &json!({})),
            booking("8", 1, "2026-03-01", &json!({})),
            payment("8", 2, "TAKEN", &json!({})),
            cancelled("9", 2, "2026-03-01"),
            payment("9", 3, "REFUNDING", &json!({})),
        ])
        .await;
    let folio = async |id: &str| {
        let query = format!(
            r#"{{ folio(bookingId: "{id}") {{ charged {{ amountMinor }} paid {{ amountMinor }} balance {{ amountMinor currency }}
                lines {{ night amount {{ amountMinor }} }} payment {{ status }} }} }}"#
        );
        server.data(&query).await["folio"].clone()
    };
    let sums = |folio: &Value| ["charged", "paid", "balance"].map(|sum| folio[sum]["amountMinor"].as_i64().unwrap());
    let (open, paid, called_off) = (folio("7").await, folio("8").await, folio("9").await);
    assert_eq!(sums(&open), [22_500, 0, 22_500]);
    assert_eq!((open["lines"].as_array().unwrap().len(), &open["lines"][2]["night"]), (3, &json!("2026-03-03")));
    assert_eq!((sums(&paid), &paid["payment"]["status"]), ([22_500, 22_500, 0], &json!("TAKEN")));
    assert_eq!((sums(&called_off), &called_off["lines"]), ([0, 22_500, -22_500], &json!([])));
    assert_eq!(folio("nobody").await, json!(null));
}

#[tokio::test]
async fn an_allotment_says_what_is_left_to_sell() {
    let server = Server::start("allotment").await;
    let accepted = json!({"status": "ACCEPTED"});
    server
        .views
        .fill(&[
            site("example", 1, &json!([{"roomTypeId": "double", "rooms": 2}, {"roomTypeId": "single", "rooms": 1}])),
            site_booking("1", 1, "2026-03-01", &accepted),
            site_booking("2", 1, "2026-03-02", &accepted),
            site_booking("3", 1, "2026-03-01", &json!({"status": "REJECTED"})),
        ])
        .await;
    let query = r#"{ channelAllotment(siteId: "example", from: "2026-03-01", to: "2026-03-03") { night roomTypeId allotted sold left }
        site(id: "example") { allotments { roomTypeId rooms roomType { name } } } }"#;
    let data = server.data(query).await;
    let night = |night: &str, room: &str, allotted: i64, sold: i64| json!({"night": night, "roomTypeId": room, "allotted": allotted, "sold": sold, "left": allotted - sold});
    let expected = json!([
        night("2026-03-01", "double", 2, 1),
        night("2026-03-01", "single", 1, 0),
        night("2026-03-02", "double", 2, 2),
        night("2026-03-02", "single", 1, 0),
    ]);
    assert_eq!(data["channelAllotment"], expected);
    assert_eq!(data["site"]["allotments"][1], json!({"roomTypeId": "single", "rooms": 1, "roomType": null}));
}

#[tokio::test]
async fn the_journal_tells_a_story_in_its_order() {
    let server = Server::start("journal of a story").await;
    let now = chrono::Utc::now();
    let mut events = Vec::new();
    for (number, message) in [
        booking("7", 1, "2026-03-01", &json!({})),
        payment("7", 1, "CHARGING", &json!({})),
        payment("7", 2, "TAKEN", &json!({})),
        booking("7", 2, "2026-03-01", &json!({})),
        booking("8", 1, "2026-03-01", &json!({})),
    ]
    .into_iter()
    .enumerate()
    {
        let mut event = message;
        event.envelope.id = format!("01999999-0000-7000-8000-{number:012}").parse().unwrap();
        event.envelope.time = now + chrono::TimeDelta::milliseconds(number.try_into().unwrap());
        event.envelope.correlation_id = Some(if number == 4 { "another" } else { "story" }.to_owned());
        event.published_at = (number == 0).then_some(now + chrono::TimeDelta::milliseconds(3));
        events.push(event);
    }
    server.views.apply(&Journal::new(Duration::from_secs(60)), &events).await;
    let told = async |arguments: &str| {
        let data = server.data(&format!("{{ journal({arguments}) {{ nodes {{ topic subject version }} }} }}")).await;
        let nodes = data["journal"]["nodes"].as_array().unwrap().clone();
        let line = |node: &Value| {
            format!("{} {}", node["topic"].as_str().unwrap().split('.').nth(2).unwrap(), node["version"])
        };
        nodes.iter().map(line).collect::<Vec<_>>()
    };
    let story = ["booking 1", "payment 1", "payment 2", "booking 2"];
    assert_eq!(told(r#"correlationId: "story""#).await, story);
    assert_eq!(told(r#"subject: "7""#).await, story);
    assert_eq!(told(r#"subject: "7", first: 2"#).await, story[..2]);
    assert_eq!(told(r#"subject: "8", correlationId: "story""#).await, Vec::<String>::new());
    let times =
        server.data(r#"{ journal(subject: "7") { nodes { recordedAt publishedAt } } }"#).await["journal"]["nodes"]
            .clone();
    let published = events[0].published_at.unwrap().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    assert_eq!((&times[0]["publishedAt"], &times[1]["publishedAt"]), (&json!(published), &json!(null)));
    let (status, answer) = server.post("{ journal { nodes { type } } }", json!({})).await;
    assert_eq!((status, code(&answer)), (400, "BAD_USER_INPUT"));
}
