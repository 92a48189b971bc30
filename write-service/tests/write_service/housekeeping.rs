//! Housekeeping: what follows for the rooms from what happens to bookings, once, and that it is done.

use chrono::{NaiveDate, TimeDelta, Utc};
use contracts::{
    direct_booking::{BOOKING, BookedBy, BookingDocument, BookingEvent, BookingStatus, Guests, SOURCE},
    envelope::{AggregateVersion, Envelope, TraceContext},
    housekeeping::{TaskDocument, TaskEvent},
    money::{Currency, Money},
};
use futures::future::join_all;
use serde_json::{Value, json};
use servers::{eventually, topics::NewRecord};
use telemetry::database::Database;
use uuid::Uuid;
use write_service::Settings;

use crate::fixture::{DEADLINE, Hotel, OutboxRow, Service, booking, connect, day, record, surroundings};

const BOOKINGS: &str = "/direct-booking/bookings";
const TASKS: &str = "/housekeeping/tasks";

async fn open(purpose: &str) -> Hotel {
    let hotel = Hotel::open_for_bookings(purpose, 9).await;
    hotel.service.report_when("readiness", |report| report.ready).await;
    hotel
}

fn on(from_today: i64) -> NaiveDate {
    Utc::now().date_naive() + TimeDelta::days(from_today)
}

/// A booking as its context would tell of it, from one day to another, counted from today.
fn booked(id: &str, version: i64, status: BookingStatus, days: (i64, i64)) -> BookingDocument {
    let nothing = Money { amount_minor: 0, currency: Currency::EUR };
    let in_the_house = matches!(status, BookingStatus::CheckedIn | BookingStatus::CheckedOut);
    BookingDocument {
        booking_id: id.parse().unwrap(),
        version: version.try_into().unwrap(),
        status,
        booked_by: BookedBy::Channel { site_id: "site".parse().unwrap(), reference: id.to_owned() },
        room_type_id: "double".parse().unwrap(),
        room: in_the_house.then(|| "7".to_owned()),
        check_in: on(days.0),
        check_out: on(days.1),
        guests: Guests { adults: 2, children: 0, babies: 0 },
        rate_plan_id: None,
        nightly_rate: nothing,
        total: nothing,
        made_at: Utc::now(),
        rejection: None,
        confirmation_requested_at: None,
        cancelled_at: None,
        checked_in_at: None,
        checked_out_at: (status == BookingStatus::CheckedOut).then(Utc::now),
    }
}

fn event(document: &BookingDocument) -> NewRecord {
    let ty = match document.status {
        BookingStatus::Pending => BookingEvent::BookingMadeOnAccount,
        BookingStatus::Confirmed if document.version == AggregateVersion::FIRST => {
            BookingEvent::BookingMadeThroughChannel
        }
        BookingStatus::Confirmed => BookingEvent::BookingConfirmed,
        BookingStatus::Rejected => BookingEvent::BookingRejected,
        BookingStatus::Cancelled => BookingEvent::BookingCancelled,
        BookingStatus::Expired => BookingEvent::BookingExpired,
        BookingStatus::CheckedIn => BookingEvent::GuestCheckedIn,
        BookingStatus::CheckedOut => BookingEvent::GuestCheckedOut,
    };
    let envelope = Envelope {
        id: Uuid::now_v7(),
        source: SOURCE.to_owned(),
        ty: ty.ty().to_owned(),
        subject: document.booking_id.to_string(),
        sequence: Some(document.version),
        time: Utc::now(),
        dataschema: None,
        correlation_id: None,
        causation_id: None,
        valid_until: None,
        trace: TraceContext::default(),
        position: None,
    };
    record(&envelope, Some(serde_json::to_string(document).unwrap()))
}

async fn tell(hotel: &Hotel, documents: &[BookingDocument]) {
    hotel.publish(BOOKING, documents.iter().map(event).collect()).await;
}

/// Does by hand what the capture does: publishes all that was told of bookings, also what was published before.
async fn relay(hotel: &Hotel) {
    let rows = hotel.outbox("direct_booking").await;
    let rows = rows.iter().filter(|row| row.aggregatetype == BOOKING.name);
    hotel.publish(BOOKING, rows.map(OutboxRow::record).collect()).await;
}

/// A booking's tasks: `PREPARATION SCHEDULED 2026-03-01 7`, without a room `-`.
async fn tasks(hotel: &Hotel, booking: &str) -> Vec<String> {
    let sql = "select concat_ws(' ', kind, status, day, coalesce(room, '-')) from housekeeping.task
        where booking_id = $1 order by kind desc, day";
    hotel.admin.query(sql, &[&booking]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Waits until a booking's tasks are these, each with its status, its day and its room.
#[track_caller]
fn tasks_are(hotel: &Hotel, booking: &str, expected: &[(&str, &str, i64, &str)]) -> impl Future<Output = ()> {
    let expected: Vec<_> =
        expected.iter().map(|(kind, status, on, room)| format!("{kind} {status} {} {room}", day(*on))).collect();
    eventually("tasks", DEADLINE, async move || {
        let found = tasks(hotel, booking).await;
        if found == expected { Ok(Some(())) } else { Err(format!("{found:?} and not {expected:?}")) }
    })
}

/// The document of a booking's task of this kind.
async fn task(hotel: &Hotel, booking: &str, kind: &str) -> TaskDocument {
    let sql = "select task_id from housekeeping.task where booking_id = $1 and kind = $2";
    let id: String = hotel.admin.query_one(sql, &[&booking, &kind]).await.unwrap().get(0);
    serde_json::from_slice(&hotel.service.get(&format!("{TASKS}/{id}")).await.expect(200).bytes).unwrap()
}

async fn complete(hotel: &Hotel, task: &TaskDocument) -> Value {
    hotel.service.post(&format!("{TASKS}/{}/complete", task.task_id), &json!({})).await.expect(200).body
}

#[tokio::test]
async fn a_room_is_prepared_given_and_cleaned_when_its_guest_has_left() {
    let hotel = open("a guest's rooms").await;
    let mut free = booking("b1", 0, 3);
    free["nightlyRate"]["amountMinor"] = json!(0);
    let story = [("x-correlation-id", "the-story")];
    hotel.service.post_with(BOOKINGS, &free, &story).await.expect(201);
    relay(&hotel).await;
    tasks_are(&hotel, "b1", &[("PREPARATION", "SCHEDULED", 0, "-"), ("DEPARTURE_CLEANING", "SCHEDULED", 3, "-")]).await;

    let body = json!({"room": "5"});
    hotel.service.post_with(&format!("{BOOKINGS}/b1/check-in"), &body, &story).await.expect(200);
    relay(&hotel).await;
    tasks_are(&hotel, "b1", &[("PREPARATION", "SCHEDULED", 0, "5"), ("DEPARTURE_CLEANING", "SCHEDULED", 3, "5")]).await;

    hotel.service.post_with(&format!("{BOOKINGS}/b1/check-out"), &json!({}), &story).await.expect(200);
    relay(&hotel).await;
    tasks_are(&hotel, "b1", &[("PREPARATION", "CANCELLED", 0, "5"), ("DEPARTURE_CLEANING", "SCHEDULED", 0, "5")]).await;

    // Each is told with what caused it, as one story.
    let (told, of) = (hotel.outbox("housekeeping").await, hotel.outbox("direct_booking").await);
    for kind in ["PREPARATION", "DEPARTURE_CLEANING"] {
        let now = task(&hotel, "b1", kind).await;
        let events: Vec<_> = told.iter().filter(|row| row.aggregateid == now.task_id.as_str()).collect();
        let last = if kind == "PREPARATION" { TaskEvent::TaskCancelled } else { TaskEvent::TaskChanged };
        let types: Vec<_> = events.iter().map(|row| row.ty.as_str()).collect();
        assert_eq!(types, [TaskEvent::TaskScheduled.ty(), TaskEvent::TaskChanged.ty(), last.ty()]);
        assert_eq!(events.iter().map(|row| row.version).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(serde_json::from_str::<TaskDocument>(events[2].text.as_ref().unwrap()).unwrap(), now);
        let causes = of.iter().filter(|row| row.aggregatetype == BOOKING.name);
        for (event, cause) in events.iter().zip(causes) {
            assert_eq!(event.headers["ce_causationid"], cause.id.to_string());
            assert_eq!(event.headers["ce_correlationid"], "the-story");
        }
    }
}

#[tokio::test]
async fn a_booking_is_prepared_for_once_it_is_confirmed_however_it_was_made() {
    use BookingStatus::{Confirmed, Pending};
    let hotel = open("confirmed").await;
    tell(&hotel, &[booked("paid", 1, Pending, (4, 6)), booked("sold", 1, Confirmed, (2, 2))]).await;
    // Day use needs both on one day.
    tasks_are(&hotel, "sold", &[("PREPARATION", "SCHEDULED", 2, "-"), ("DEPARTURE_CLEANING", "SCHEDULED", 2, "-")])
        .await;
    eventually("the copy", DEADLINE, async || hotel.number("select count(*) from housekeeping.stay").await == 2).await;
    assert!(tasks(&hotel, "paid").await.is_empty());
    tell(&hotel, &[booked("paid", 2, Confirmed, (4, 6))]).await;
    tasks_are(&hotel, "paid", &[("PREPARATION", "SCHEDULED", 4, "-"), ("DEPARTURE_CLEANING", "SCHEDULED", 6, "-")])
        .await;
}

#[tokio::test]
async fn what_is_open_is_cancelled_when_a_booking_ends_and_what_is_done_stays_done() {
    use BookingStatus::{Cancelled, Confirmed, Expired, Rejected};
    let hotel = open("ended").await;
    let ends = [("b1", Cancelled), ("b2", Rejected), ("b3", Expired)];
    tell(&hotel, &ends.map(|(id, _)| booked(id, 1, Confirmed, (0, 2)))).await;
    for (id, end) in ends {
        tasks_are(&hotel, id, &[("PREPARATION", "SCHEDULED", 0, "-"), ("DEPARTURE_CLEANING", "SCHEDULED", 2, "-")])
            .await;
        complete(&hotel, &task(&hotel, id, "PREPARATION").await).await;
        tell(&hotel, &[booked(id, 2, end, (0, 2))]).await;
        tasks_are(&hotel, id, &[("PREPARATION", "COMPLETED", 0, "-"), ("DEPARTURE_CLEANING", "CANCELLED", 2, "-")])
            .await;
    }
}

#[tokio::test]
async fn events_that_come_again_or_late_change_nothing() {
    use BookingStatus::{Cancelled, CheckedIn, Confirmed, Pending};
    let hotel = open("again").await;
    // All in one partition, so that what comes last shows that the rest has been dealt with.
    let tell = async |documents: &[BookingDocument]| {
        let records = documents.iter().map(|document| NewRecord { partition: Some(0), ..event(document) });
        hotel.publish(BOOKING, records.collect()).await;
    };
    let life = [
        booked("b1", 1, Pending, (0, 4)),
        booked("b1", 2, Confirmed, (0, 4)),
        booked("b1", 3, CheckedIn, (0, 4)),
        booked("b2", 1, Confirmed, (1, 2)),
        booked("b2", 2, Cancelled, (1, 2)),
    ];
    tell(&life).await;
    tell(&[booked("first", 1, Confirmed, (1, 2))]).await;
    tasks_are(&hotel, "first", &[("PREPARATION", "SCHEDULED", 1, "-"), ("DEPARTURE_CLEANING", "SCHEDULED", 2, "-")])
        .await;
    tasks_are(&hotel, "b1", &[("PREPARATION", "SCHEDULED", 0, "7"), ("DEPARTURE_CLEANING", "SCHEDULED", 4, "7")]).await;
    let all = "select string_agg(task::text, ' ' order by task_id) from housekeeping.task where booking_id like 'b%'";
    let all = async || hotel.admin.query_one(all, &[]).await.unwrap().get::<_, Option<String>>(0);
    let (before, told) = (all().await, hotel.number("select count(*) from housekeeping.outbox").await);

    // Each alone, so that it is not merely overtaken in its batch.
    for (at, document) in life.iter().enumerate() {
        let marker = format!("marker-{at}");
        tell(&[document.clone(), booked(&marker, 1, Confirmed, (1, 2))]).await;
        tasks_are(
            &hotel,
            &marker,
            &[("PREPARATION", "SCHEDULED", 1, "-"), ("DEPARTURE_CLEANING", "SCHEDULED", 2, "-")],
        )
        .await;
    }
    assert_eq!(all().await, before);
    assert_eq!(hotel.number("select count(*) from housekeeping.outbox").await, told + 2 * 5);
}

#[tokio::test]
async fn what_makes_no_sense_is_set_aside_and_the_rest_goes_on() {
    let hotel = open("nonsense").await;
    let good = booked("good", 1, BookingStatus::Confirmed, (1, 2));
    let mut early = booked("early", 1, BookingStatus::Confirmed, (1, 2));
    early.check_in = NaiveDate::MIN;
    let nul = BookingDocument { room: Some("\0".to_owned()), ..booked("nul", 1, BookingStatus::CheckedIn, (1, 2)) };
    let mut anothers = event(&booked("another", 1, BookingStatus::Confirmed, (1, 2)));
    anothers.value = Some(serde_json::to_vec(&good).unwrap());
    let records = [
        event(&booked("upside-down", 1, BookingStatus::Confirmed, (2, 1))),
        event(&early),
        event(&nul),
        anothers,
        event(&good),
    ];
    let in_one = records.map(|record| NewRecord { partition: Some(0), ..record });
    hotel.publish(BOOKING, in_one.into()).await;
    tasks_are(&hotel, "good", &[("PREPARATION", "SCHEDULED", 1, "-"), ("DEPARTURE_CLEANING", "SCHEDULED", 2, "-")])
        .await;
    assert_eq!(hotel.number("select count(*) from housekeeping.stay").await, 1);
    assert_eq!(hotel.number("select count(*) from housekeeping.inbox_dead_letter").await, 4);
}

#[tokio::test]
async fn a_room_is_cleaned_on_each_day_of_a_stay_once_though_two_services_see_to_it() {
    use BookingStatus::{CheckedIn, CheckedOut};
    let (hotel, began) = (open("daily").await, on(0));
    let database = Database::parse(&hotel.login.url).unwrap();
    let other = Service::start(Settings::all_in(&database, hotel.kafka.clone(), surroundings())).await;
    other.report_when("readiness", |report| report.ready).await;
    // Their days are: long begun, just begun, begun today, over; and one whose guest has left.
    let mut stays = vec![
        booked("today", 1, CheckedIn, (0, 9)),
        booked("over", 1, CheckedIn, (-5, 0)),
        booked("left", 1, CheckedOut, (-5, 5)),
    ];
    stays.extend((0..150).map(|n| booked(&format!("long-{n}"), 1, CheckedIn, (-5, 5))));
    stays.extend((0..150).map(|n| booked(&format!("short-{n}"), 1, CheckedIn, (-1, 5))));
    tell(&hotel, &stays).await;
    let of_daily = |what: &str| format!("select {what} from housekeeping.task where kind = 'DAILY_CLEANING'");
    eventually("the day's cleaning", DEADLINE, async || {
        let seen = "select count(*) from housekeeping.stay where next_cleaning > current_date or next_cleaning >= departure or status <> 'CHECKED_IN'";
        match (hotel.number(seen).await, hotel.number(&of_daily("count(distinct booking_id)")).await) {
            (303, 300) => Ok(Some(())),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let none = of_daily("count(*)") + " and booking_id in ('today', 'over', 'left')";
    assert_eq!(hotel.number(&none).await, 0);
    let early = hotel.admin.query_one(&of_daily("min(day)"), &[]).await.unwrap().get::<_, NaiveDate>(0);
    assert!(early >= began, "{early}");
    // Each was told once.
    let told = "select count(*) from housekeeping.outbox where payload->>'kind' = 'DAILY_CLEANING'";
    assert_eq!(hotel.number(told).await, hotel.number(&of_daily("count(*)")).await);

    // What was scheduled by itself belongs to the story that made it due.
    let row = hotel.outbox("housekeeping").await;
    let row = row.iter().find(|row| row.text.as_ref().is_some_and(|text| text.contains("DAILY_CLEANING"))).unwrap();
    let document: TaskDocument = serde_json::from_str(row.text.as_ref().unwrap()).unwrap();
    let sql = "select cause_id::text, correlation_id from housekeeping.stay where booking_id = $1";
    let cause = hotel.admin.query_one(sql, &[&document.booking_id.as_str()]).await.unwrap();
    let (id, story): (String, String) = (cause.get(0), cause.get(1));
    assert_eq!((&row.headers["ce_causationid"], &row.headers["ce_correlationid"]), (&id, &story));
    assert_eq!(document.room.as_deref(), Some("7"));

    tell(&hotel, &[booked("long-0", 2, CheckedOut, (-5, 5))]).await;
    tasks_are(
        &hotel,
        "long-0",
        &[
            ("PREPARATION", "CANCELLED", -5, "7"),
            ("DEPARTURE_CLEANING", "SCHEDULED", 0, "7"),
            ("DAILY_CLEANING", "CANCELLED", 0, "7"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_task_is_completed_once_unless_it_is_cancelled_or_another_version_was_meant() {
    use BookingStatus::{Cancelled, CheckedIn, Confirmed};
    let hotel = open("completed").await;
    let service = &hotel.service;
    tell(&hotel, &[booked("b1", 1, Confirmed, (0, 2)), booked("b2", 1, Confirmed, (0, 2))]).await;
    for id in ["b1", "b2"] {
        tasks_are(&hotel, id, &[("PREPARATION", "SCHEDULED", 0, "-"), ("DEPARTURE_CLEANING", "SCHEDULED", 2, "-")])
            .await;
    }
    let path = format!("{TASKS}/{}", task(&hotel, "b1", "PREPARATION").await.task_id);
    let got = service.get(&path).await.expect(200);
    assert_eq!((got.header("etag"), &got.body["status"]), ("\"1-1\"", &json!("SCHEDULED")));
    service.send(service.request("GET", &path).header("if-none-match", "\"1-1\"")).await.expect(304);
    service.get(&format!("{TASKS}/nothing")).await.expect_problem(404, "not-found");

    let complete = format!("{path}/complete");
    let nothing = json!({});
    service.post_with(&complete, &nothing, &[("if-match", "\"1-2\"")]).await.expect_problem(412, "precondition-failed");
    // Only once the room is known here: word of it comes while the command waits.
    let read_after = contracts::ReadAfter {
        topic: BOOKING.name.to_owned(),
        subject: "b1".to_owned(),
        version: 2.try_into().unwrap(),
    };
    let wait = [("idempotency-key", "k"), ("if-match", "\"1-2\""), ("read-after", &read_after.to_string())];
    let request = service.request("POST", &complete).json(&nothing);
    let request = wait.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let room_given = [booked("b1", 2, CheckedIn, (0, 2))];
    let (completed, ()) = tokio::join!(service.send(request), tell(&hotel, &room_given));
    let completed = completed.expect(200);
    assert_eq!((&completed.body["status"], &completed.body["room"]), (&json!("COMPLETED"), &json!("7")));
    assert_eq!((completed.header("etag"), &completed.body["version"]), ("\"1-3\"", &json!(3)));
    assert!(completed.body["completedAt"].is_string());
    assert_eq!(service.get(&path).await.bytes, completed.bytes);

    let again = service.post_as("k", &complete, &nothing).await.expect(200);
    assert_eq!((&again.bytes, again.header("idempotency-replayed")), (&completed.bytes, "true"));
    service.post(&complete, &nothing).await.expect_problem(409, "already-completed");
    let told = hotel.outbox("housekeeping").await;
    let told: Vec<_> = told.iter().filter(|row| row.ty == TaskEvent::TaskCompleted.ty()).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].text.as_ref().unwrap().as_bytes(), completed.bytes);

    tell(&hotel, &[booked("b2", 2, Cancelled, (0, 2))]).await;
    tasks_are(&hotel, "b2", &[("PREPARATION", "CANCELLED", 0, "-"), ("DEPARTURE_CLEANING", "CANCELLED", 2, "-")]).await;
    let cancelled = format!("{TASKS}/{}/complete", task(&hotel, "b2", "PREPARATION").await.task_id);
    service.post(&cancelled, &nothing).await.expect_problem(409, "task-cancelled");
    service.post(&format!("{TASKS}/nothing/complete"), &nothing).await.expect_problem(404, "not-found");
    service.post(&complete, &json!({"by": "me"})).await.expect_problem(422, "invalid-fields");
}

#[tokio::test]
async fn a_room_whose_booking_is_being_changed_holds_up_no_other() {
    let hotel = Hotel::open_with("held up", |mut settings| {
        settings.contexts.retain(|(context, _)| context.name != "housekeeping");
        settings
    })
    .await;
    let due = "insert into housekeeping.stay
        select id, 1, 'CHECKED_IN', 'double', '7', current_date - 1, current_date + 5, current_date,
            gen_random_uuid(), 'story', null, null from unnest(array['b1', 'b2']) as id";
    hotel.admin.execute(due, &[]).await.unwrap();
    let locker = connect(&hotel.admin_url).await;
    locker.batch_execute("begin; select from housekeeping.stay where booking_id = 'b1' for update").await.unwrap();
    let database = Database::parse(&hotel.login.url).unwrap();
    let _service = Service::start(Settings::all_in(&database, hotel.kafka.clone(), surroundings())).await;
    tasks_are(&hotel, "b2", &[("DAILY_CLEANING", "SCHEDULED", 0, "7")]).await;
    assert!(tasks(&hotel, "b1").await.is_empty());
    locker.batch_execute("rollback").await.unwrap();
    tasks_are(&hotel, "b1", &[("DAILY_CLEANING", "SCHEDULED", 0, "7")]).await;
}

#[tokio::test]
async fn what_is_completed_while_its_booking_ends_stays_completed() {
    let hotel = open("at the same time").await;
    tell(&hotel, &[booked("b1", 1, BookingStatus::Confirmed, (0, 2))]).await;
    tasks_are(&hotel, "b1", &[("PREPARATION", "SCHEDULED", 0, "-"), ("DEPARTURE_CLEANING", "SCHEDULED", 2, "-")]).await;
    // A command that has not committed yet.
    let command = connect(&hotel.admin_url).await;
    let completes = "begin; update housekeeping.task set version = 2, status = 'COMPLETED', completed_at = now()
        where kind = 'PREPARATION'";
    command.batch_execute(completes).await.unwrap();
    tell(&hotel, &[booked("b1", 2, BookingStatus::Cancelled, (0, 2))]).await;
    let waiting =
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    eventually("the reactor waits for it", DEADLINE, async || hotel.number(waiting).await == 1).await;
    command.batch_execute("commit").await.unwrap();
    tasks_are(&hotel, "b1", &[("PREPARATION", "COMPLETED", 0, "-"), ("DEPARTURE_CLEANING", "CANCELLED", 2, "-")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_are_cleaned_while_guests_come_and_go_without_a_deadlock() {
    use BookingStatus::{CheckedIn, CheckedOut, Confirmed};
    let hotel = open("busy").await;
    let ids: Vec<String> = (0..120).map(|n| format!("b{n}")).collect();
    let all = |version, status| -> Vec<_> { ids.iter().map(|id| booked(id, version, status, (-1, 3))).collect() };
    tell(&hotel, &all(1, Confirmed)).await;
    let count = async |sql: &str| hotel.number(&format!("select count(*) from housekeeping.task where {sql}")).await;
    eventually("all scheduled", DEADLINE, async || count("status = 'SCHEDULED'").await == 240).await;
    let sql = "select task_id from housekeeping.task where kind = 'PREPARATION' order by random()";
    let tasks: Vec<String> = hotel.admin.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    let complete = async |id: &String| hotel.service.post(&format!("{TASKS}/{id}/complete"), &json!({})).await;
    let come_and_go = async {
        tell(&hotel, &all(2, CheckedIn)).await;
        // The other way round, so that the batches are too.
        let gone: Vec<_> = all(3, CheckedOut).into_iter().rev().collect();
        tell(&hotel, &gone).await;
    };
    let (answers, ()) = tokio::join!(join_all(tasks.iter().map(complete)), come_and_go);
    let mut completed = 0;
    for answer in answers {
        match answer.status {
            200 => completed += 1,
            // Its guest had gone.
            _ => drop(answer.expect_problem(409, "task-cancelled")),
        }
    }
    let open = "status = 'SCHEDULED' and not (kind = 'DEPARTURE_CLEANING' and day = current_date and room = '7')";
    eventually("all gone", DEADLINE, async || match count(open).await {
        0 => Ok(Some(())),
        open => Err(format!("{open} are open")),
    })
    .await;
    assert_eq!(count("kind = 'PREPARATION' and status = 'COMPLETED'").await, completed);
    assert_eq!(count("kind = 'DEPARTURE_CLEANING' and status = 'SCHEDULED'").await, 120);
    // Every version was told, and none twice.
    let untold = "select count(*) from housekeeping.task where version <> (
        select count(distinct aggregateversion) from housekeeping.outbox where aggregateid = task_id)
        or version <> (select count(*) from housekeeping.outbox where aggregateid = task_id)";
    assert_eq!(hotel.number(untold).await, 0);
}
