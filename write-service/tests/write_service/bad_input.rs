//! Bad input: problem details that name every bad field, and nothing written.

use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Map, Value, json};

use crate::fixture::{Answer, Hotel, account, booking, by_guest, day, details, rate_plan, site, sold, tariff};

/// A command's path, with a body that it takes.
pub(crate) type Command = (&'static str, fn() -> Value);

/// Every command.
pub(crate) const COMMANDS: &[Command] = &[
    ("/accounts/accounts", || account("new")),
    ("/accounts/accounts/ada/change-details", || details("Gent")),
    ("/accounts/accounts/ada/change-card-details", || json!({"cardToken": "tok_new"})),
    ("/accounts/accounts/ada/close", || json!({})),
    (
        "/direct-booking/room-types",
        || json!({"roomTypeId": "new", "name": "N", "rooms": ["1", {"number": "2", "stepFree": true}]}),
    ),
    ("/direct-booking/room-types/double/add-rooms", || json!({"rooms": ["new"]})),
    ("/direct-booking/rate-plans", || rate_plan("new", 1)),
    ("/direct-booking/rate-plans/flexible/reprice", || tariff(1)),
    ("/direct-booking/bookings", || booking("new", 2, 2)),
    ("/direct-booking/bookings/b0/cancel", || json!({})),
    ("/direct-booking/bookings/b1/send-confirmation", || json!({})),
    ("/direct-booking/bookings/b1/check-in", || json!({"room": "1"})),
    ("/direct-booking/bookings/b2/check-out", || json!({})),
    ("/direct-booking/guests/zoe/erase", || json!({})),
    ("/housekeeping/tasks/t1/complete", || json!({})),
    ("/channel-manager/sites", || site("new", "http://127.0.0.1:9/hotel?key=secret")),
    ("/channel-manager/sites/expo/allot", || json!({"roomTypeId": "double", "rooms": 3})),
    ("/channel-manager/sites/gone/disconnect", || json!({})),
    ("/channel-manager/sites/expo/receive-booking", || sold("new", 1, 2)),
    ("/channel-manager/site-bookings/c0/cancel", || json!({})),
];

const ACCOUNTS: &str = "/accounts/accounts";
const ROOM_TYPES: &str = "/direct-booking/room-types";
const BOOKINGS: &str = "/direct-booking/bookings";

/// A hotel in which every command can be done once at least.
pub(crate) async fn hotel(purpose: &str) -> Hotel {
    let hotel = Hotel::open_for_bookings(purpose, 9).await;
    let service = &hotel.service;
    service.post(ACCOUNTS, &account("ada")).await.expect(201);
    service.post("/direct-booking/rate-plans", &rate_plan("flexible", 1)).await.expect(201);
    for (id, check_in) in [("b0", 1), ("b1", 0), ("b2", 0)] {
        let mut free = booking(id, check_in, 1);
        free["nightlyRate"]["amountMinor"] = json!(0);
        service.post(BOOKINGS, &free).await.expect(201);
    }
    service.post(&format!("{BOOKINGS}/b2/check-in"), &json!({"room": "9"})).await.expect(200);
    service.post(BOOKINGS, &by_guest("b3", "zoe")).await.expect(202);
    service.post(&format!("{BOOKINGS}/b3/cancel"), &json!({})).await.expect(200);
    service.post(BOOKINGS, &by_guest("b4", "ann")).await.expect(202);
    for id in ["expo", "gone"] {
        service.post("/channel-manager/sites", &site(id, "http://127.0.0.1:9")).await.expect(201);
    }
    service.post("/channel-manager/sites/expo/receive-booking", &sold("c0", 1, 1)).await.expect(202);
    let payment =
        "insert into payments.payment values ('b0', 1, 'TAKEN', 'account:ada', 7500, 'EUR', 1, 1, false, null, now(), now(),
        'story', '0199aaaa-0000-7000-8000-000000000001', null, null)";
    hotel.admin.execute(payment, &[]).await.unwrap();
    let task = "with stay as (
            insert into housekeeping.stay values ('b0', 1, 'CONFIRMED', 'double', null, current_date + 1, current_date + 2,
                current_date + 2, '0199aaaa-0000-7000-8000-000000000001', 'story', null, null)
        ) insert into housekeeping.task values ('t1', 1, 'PREPARATION', 'SCHEDULED', 'b0', 'double', null, current_date + 1, null)";
    hotel.admin.execute(task, &[]).await.unwrap();
    hotel
}

async fn raw(hotel: &Hotel, path: &str, content_type: Option<&str>, body: &[u8]) -> Answer {
    let request = hotel.service.command(path).body(body.to_vec());
    let request = content_type.into_iter().fold(request, |request, value| request.header("content-type", value));
    hotel.service.send(request).await
}

#[tokio::test]
async fn what_is_not_json_is_malformed() {
    let hotel = hotel("malformed").await;
    let written = hotel.written().await;
    let deep = "[".repeat(60_000);
    let bodies: [&[u8]; 9] = [
        b"{",
        b"{\"name\":}",
        b"nul",
        b"{} {}",
        b"\xff\xfe",
        b"{\"name\":\"a\",\"name\":\"b\"}",
        b"{\"name\":\"\\ud800\"}",
        b"[1e999]",
        deep.as_bytes(),
    ];
    for (path, _) in COMMANDS {
        for body in bodies {
            raw(&hotel, path, Some("application/json"), body).await.expect_problem(400, "malformed-body");
        }
    }
    raw(&hotel, ACCOUNTS, Some("application/json"), b"").await.expect_problem(400, "malformed-body");
    assert_eq!(hotel.written().await, written);
}

#[tokio::test]
async fn only_json_of_bounded_size_is_read() {
    let hotel = hotel("media types").await;
    let written = hotel.written().await;
    for (path, _) in COMMANDS {
        for content_type in
            [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonx")]
        {
            raw(&hotel, path, content_type, b"{}").await.expect_problem(415, "unsupported-media-type");
        }
        let large = format!("{{\"name\":\"{}\"}}", "x".repeat(64 * 1024));
        raw(&hotel, path, Some("application/json"), large.as_bytes()).await.expect_problem(413, "body-too-large");
    }
    assert_eq!(hotel.written().await, written);
    let body = serde_json::to_vec(&account("bob")).unwrap();
    raw(&hotel, ACCOUNTS, Some("Application/JSON; charset=utf-8"), &body).await.expect(201);
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let hotel = hotel("bad fields").await;
    let written = hotel.written().await;
    let cases = [
        (
            ACCOUNTS,
            json!({"accountId": "a/b", "name": "", "address": {"street": 1, "city": "a\u{0}b", "country": "be"}, "email": "x", "age": 7}),
            vec!["/accountId", "/name", "/address/street", "/address/city", "/address/country", "/email", "/age"],
        ),
        (ACCOUNTS, json!({}), vec!["/name", "/address", "/email"]),
        (ACCOUNTS, json!([]), vec![""]),
        (
            "/accounts/accounts/ada/change-details",
            json!({"accountId": "ada", "name": "x".repeat(201), "address": null, "email": "a b@c"}),
            vec!["/name", "/address", "/email", "/accountId"],
        ),
        ("/accounts/accounts/ada/close", json!({"reason": "none"}), vec!["/reason"]),
        (
            ROOM_TYPES,
            json!({"roomTypeId": "", "rooms": ["1", "", "1", 7, "x".repeat(17)]}),
            vec!["/roomTypeId", "/name", "/rooms/1", "/rooms/2", "/rooms/3", "/rooms/4"],
        ),
        (ROOM_TYPES, json!({"name": "A", "rooms": []}), vec!["/rooms"]),
        (
            ROOM_TYPES,
            json!({"name": "A", "rooms": ["1", {"number": "1"}, {}, {"number": 2, "stepFree": "yes", "floor": 1}]}),
            vec!["/rooms/1", "/rooms/2/number", "/rooms/3/number", "/rooms/3/stepFree", "/rooms/3/floor"],
        ),
        (
            "/direct-booking/room-types/double/add-rooms",
            json!({"rooms": (0..2001).map(|n| n.to_string()).collect::<Vec<_>>()}),
            vec!["/rooms"],
        ),
        (BOOKINGS, json!({}), vec!["/accountId", "/roomTypeId", "/checkIn", "/checkOut", "/guests", "/nightlyRate"]),
        (
            BOOKINGS,
            json!({"bookingId": 7, "accountId": "a b", "roomTypeId": true, "checkIn": "2026-02-30", "checkOut": 5,
                "guests": {"adults": 0, "children": -1, "dogs": 1}, "nightlyRate": {"amountMinor": 1.5, "currency": "eur"}}),
            vec![
                "/bookingId",
                "/accountId",
                "/roomTypeId",
                "/checkIn",
                "/checkOut",
                "/guests/children",
                "/guests/dogs",
                "/nightlyRate/amountMinor",
                "/nightlyRate/currency",
            ],
        ),
        ("/direct-booking/bookings/b0/cancel", json!("please"), vec![""]),
        ("/accounts/accounts/ada/change-card-details", json!({"cardToken": 1}), vec!["/cardToken"]),
    ];
    for (path, body, pointers) in cases {
        let answer = hotel.service.post(path, &body).await.expect_problem(422, "invalid-fields");
        assert_eq!(answer.pointers(), pointers, "{path} {body}");
    }
    assert_eq!(hotel.written().await, written);
}

#[tokio::test]
async fn a_stay_has_to_make_sense() {
    let hotel = hotel("stays").await;
    let written = hotel.written().await;
    for (check_in, check_out, pointer) in
        [(5, 4, "/checkOut"), (5, 5 + 367, "/checkOut"), (-1, 1, "/checkIn"), (3 * 366, 3 * 366 + 1, "/checkIn")]
    {
        let mut body = booking("b1", 1, 1);
        (body["checkIn"], body["checkOut"]) = (json!(day(check_in)), json!(day(check_out)));
        let answer = hotel.service.post("/direct-booking/bookings", &body).await.expect_problem(422, "invalid-fields");
        assert_eq!(answer.pointers(), [pointer]);
    }
    for (field, value, pointer) in [
        ("guests", json!({"adults": 0}), "/guests"),
        ("guests", json!({"adults": 100}), "/guests/adults"),
        ("nightlyRate", json!({"amountMinor": -1, "currency": "EUR"}), "/nightlyRate/amountMinor"),
        ("nightlyRate", json!({"amountMinor": 10_000_000_001i64, "currency": "EUR"}), "/nightlyRate/amountMinor"),
    ] {
        let mut body = booking("b1", 1, 1);
        body[field] = value;
        let answer = hotel.service.post("/direct-booking/bookings", &body).await.expect_problem(422, "invalid-fields");
        assert_eq!(answer.pointers(), [pointer]);
    }
    assert_eq!(hotel.written().await, written);
}

#[tokio::test]
async fn paths_methods_and_headers_are_checked_too() {
    let hotel = hotel("paths").await;
    let (service, written) = (&hotel.service, hotel.written().await);
    for path in [
        "/",
        "/accounts",
        "/accounts/accounts/ada/reopen",
        "/minibar",
        "/accounts/accounts/",
        "/direct-booking/rooms/1",
    ] {
        service.get(path).await.expect_problem(404, "not-found");
    }
    for path in [
        "/accounts/accounts/nobody",
        "/direct-booking/bookings/nothing",
        "/direct-booking/room-types/%20",
        "/accounts/accounts/%ff",
        "/accounts/accounts/a%2Fb",
    ] {
        service.get(path).await.expect_problem(404, "not-found");
    }
    service.post("/accounts/accounts/nobody/change-details", &details("Gent")).await.expect_problem(404, "not-found");
    service.post("/accounts/accounts/nobody/close", &json!({})).await.expect_problem(404, "not-found");
    service.post("/direct-booking/bookings/nothing/cancel", &json!({})).await.expect_problem(404, "not-found");
    service
        .post("/direct-booking/room-types/none/add-rooms", &json!({"rooms": ["1"]}))
        .await
        .expect_problem(404, "not-found");

    for (method, path, allow) in [
        ("GET", "/accounts/accounts", "POST"),
        ("DELETE", "/accounts/accounts/ada", "GET,HEAD"),
        ("PUT", "/direct-booking/bookings/b0/cancel", "POST"),
    ] {
        let answer = service.send(service.request(method, path)).await.expect_problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), allow);
    }
    for (name, value) in [
        ("x-correlation-id", ""),
        ("x-correlation-id", "a b"),
        ("x-correlation-id", &"x".repeat(65)),
        ("waybill-time", "now"),
    ] {
        let answer = service.post_with("/accounts/accounts", &account("bob"), &[(name, value)]).await;
        answer.expect_problem(400, "invalid-header");
    }
    assert_eq!(hotel.written().await, written);
}

pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        prop::sample::select(vec!["2026-02-28", "9999-12-31", "0000-01-01", "EUR", "ada", "double", "\0", "\u{feff}"])
            .prop_map(Value::from),
    ];
    let name = prop_oneof![
        prop::sample::select(vec![
            "name",
            "address",
            "rooms",
            "guests",
            "adults",
            "nightlyRate",
            "checkIn",
            "accountId"
        ])
        .prop_map(str::to_owned),
        ".{0,8}",
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A valid body with one of its values replaced, or with a field too many: arbitrary, but close to what is accepted.
fn nearly_valid() -> impl Strategy<Value = (usize, Value)> {
    (0..COMMANDS.len(), any::<prop::sample::Index>(), any_json()).prop_map(move |(command, place, value)| {
        let mut body = COMMANDS[command].1();
        let mut places = vec!["/surplus".to_owned()];
        collect(&body, "", &mut places);
        let place = place.get(&places);
        match body.pointer_mut(place) {
            Some(old) => *old = value,
            None => drop(body.as_object_mut().map(|object| object.insert("surplus".to_owned(), value))),
        }
        (command, body)
    })
}

/// The pointers of everything in a value.
pub(crate) fn collect(value: &Value, pointer: &str, places: &mut Vec<String>) {
    places.push(pointer.to_owned());
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(name, value)| collect(value, &format!("{pointer}/{name}"), places));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, value)| collect(value, &format!("{pointer}/{at}"), places));
        }
        _ => {}
    }
}

#[test]
fn whatever_json_comes_it_is_taken_or_refused_and_a_refusal_writes_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let hotel = runtime.block_on(hotel("any json"));
    let arbitrary = (0..COMMANDS.len(), any_json());
    let bodies = prop_oneof![2 => nearly_valid(), 1 => arbitrary];
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() });
    let checked = runner.run(&bodies, |(command, body)| {
        runtime.block_on(async {
            let before = hotel.written().await;
            let answer = hotel.service.post(COMMANDS[command].0, &body).await;
            match answer.status {
                200 | 201 | 202 | 204 => {}
                400 | 404 | 409 | 422 => prop_assert_eq!(hotel.written().await, before),
                other => prop_assert!(false, "{} {}: {}", other, COMMANDS[command].0, answer.body),
            }
            Ok(())
        })
    });
    checked.unwrap();
}
