//! Sites that sell the hotel's rooms: what they sell is accepted or rejected, and they are told; and what they may sell is always
//! right in the end. The sites are stand-ins, over real HTTP; "told" is what their ledgers say.

use std::collections::BTreeMap;

use aggregator_site::{Ledger, Told};
use chrono::NaiveDate;
use contracts::{
    Topic,
    channel_manager::SITE_BOOKING,
    direct_booking::{BOOKING, v1::ROOM_TYPE},
};
use serde_json::{Value, json};
use servers::eventually;
use telemetry::CancellationToken;
use tokio::net::TcpListener;

use crate::fixture::{Answer, DEADLINE, Hotel, Relay, booking, day, site, sold};

const SITES: &str = "/channel-manager/sites";
const SITE_BOOKINGS: &str = "/channel-manager/site-bookings";
const BOOKINGS: &str = "/direct-booking/bookings";

/// A hotel beside aggregator sites, with word going round between its contexts.
struct Place {
    hotel: Hotel,
    relay: Relay,
    sites: BTreeMap<&'static str, String>,
    http: reqwest::Client,
    ended: CancellationToken,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

impl Place {
    /// With so many rooms of the type `double`.
    async fn open(purpose: &str, rooms: usize) -> Self {
        let hotel = Hotel::open_for_bookings(purpose, rooms).await;
        hotel.service.report_when("readiness", |report| report.ready).await;
        let (relay, http, ended) = (Relay::default(), reqwest::Client::new(), CancellationToken::new());
        Self { hotel, relay, sites: BTreeMap::new(), http, ended }
    }

    /// Connects a site that may sell so many rooms of `double`.
    async fn connect(&mut self, id: &'static str, rooms: u32) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(aggregator_site::serve(listener, self.ended.clone()));
        self.hotel.service.post(SITES, &site(id, &format!("{url}/?key=s3cret"))).await.expect(201);
        self.sites.insert(id, url);
        self.allot(id, rooms).await;
    }

    async fn allot(&self, id: &str, rooms: u32) {
        let body = json!({"roomTypeId": "double", "rooms": rooms});
        self.hotel.service.post(&format!("{SITES}/{id}/allot"), &body).await.expect(200);
    }

    async fn relay(&self) {
        let told: [(&str, &[Topic]); 2] =
            [("channel_manager", &[SITE_BOOKING]), ("direct_booking", &[BOOKING, ROOM_TYPE])];
        self.relay.publish(&self.hotel, &told).await;
    }

    async fn sells(&self, id: &str, sold: &Value) -> Answer {
        self.hotel.service.post(&format!("{SITES}/{id}/receive-booking"), sold).await
    }

    async fn site_cancels(&self, booking: &str) -> Answer {
        self.hotel.service.post(&format!("{SITE_BOOKINGS}/{booking}/cancel"), &json!({})).await
    }

    /// A booking at the hotel itself, which costs nothing and so holds at once.
    async fn book(&self, id: &str, check_in: i64, nights: i64) {
        let mut free = booking(id, check_in, nights);
        free["nightlyRate"]["amountMinor"] = json!(0);
        self.hotel.service.post(BOOKINGS, &free).await.expect(201);
    }

    async fn hotel_cancels(&self, booking: &str) {
        self.hotel.service.post(&format!("{BOOKINGS}/{booking}/cancel"), &json!({})).await.expect(200);
    }

    async fn behave(&self, site: &str, behaviour: Value) {
        let request = self.http.put(format!("{}/v1/behaviour", self.sites[site])).json(&behaviour);
        assert!(request.send().await.unwrap().status().is_success());
    }

    async fn ledger(&self, site: &str) -> Ledger {
        let answer = self.http.get(format!("{}/v1/ledger", self.sites[site])).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// Lets word go round until the booking has this status, and gives it.
    #[track_caller]
    fn booking_is(&self, id: &str, status: &'static str) -> impl Future<Output = Value> {
        let path = format!("{SITE_BOOKINGS}/{id}");
        eventually("a status", DEADLINE, async move || {
            self.relay().await;
            let document = self.hotel.service.get(&path).await.body;
            if document["status"] == status { Ok(Some(document)) } else { Err(format!("{status}: {document}")) }
        })
    }

    /// Lets word go round until the site knows that this became of its booking.
    #[track_caller]
    fn is_told(&self, site: &'static str, id: &str, status: &'static str) -> impl Future<Output = ()> {
        let reference = format!("X-{id}");
        eventually("a site to be told", DEADLINE, async move || {
            self.relay().await;
            let told = self.ledger(site).await.bookings.get(&reference).cloned();
            if told.as_ref().is_some_and(|told| told.status == status) {
                Ok(Some(()))
            } else {
                Err(format!("{told:?}"))
            }
        })
    }

    /// What a site may sell of `double` for each night of a year, as Direct booking's own tables have it.
    async fn right(&self, site: &str) -> BTreeMap<NaiveDate, u32> {
        let sql = "select night::date, greatest(0, least(
                coalesce((select rooms from channel_manager.allotment where site_id = $1), 0) - (
                    select count(*) from direct_booking.booking
                    where site_id = $1 and status in ('CONFIRMED', 'CHECKED_IN')
                        and check_in <= night and night < greatest(check_out, check_in + 1)),
                room_count - coalesce((select taken from direct_booking.room_night as taken
                    where taken.room_type_id = 'double' and taken.night = days.night::date), 0)))
            from direct_booking.room_type,
                generate_series($2::date::timestamp, $2::date::timestamp + interval '365 days', interval '1 day') as days (night)
            where room_type_id = 'double'";
        let today: NaiveDate = day(0).parse().unwrap();
        let rows = self.hotel.admin.query(sql, &[&site, &today]).await.unwrap();
        rows.iter().map(|row| (row.get(0), u32::try_from(row.get::<_, i64>(1)).unwrap())).collect()
    }

    /// What a site goes by.
    async fn known(&self, site: &str) -> BTreeMap<NaiveDate, u32> {
        let nights = self.ledger(site).await.availability.remove("double").unwrap_or_default();
        nights.into_iter().map(|(night, told)| (night, told.available)).collect()
    }

    /// Lets word go round until the site goes by what is right.
    #[track_caller]
    fn is_right(&self, site: &'static str) -> impl Future<Output = BTreeMap<NaiveDate, u32>> {
        eventually("what the site may sell to be right", DEADLINE, async move || {
            self.relay().await;
            let (known, right) = (self.known(site).await, self.right(site).await);
            let wrong: Vec<_> = right.iter().filter(|(night, rooms)| known.get(night) != Some(rooms)).take(3).collect();
            if wrong.is_empty() { Ok(Some(known)) } else { Err(format!("{wrong:?}, but {} known", known.len())) }
        })
    }

    /// Lets word go round until nobody has to be told anything.
    async fn is_quiet(&self) {
        eventually("nothing to be due", DEADLINE, async || {
            self.relay().await;
            self.hotel.number("select count(*) from channel_manager.notice where settled < revision").await == 0
        })
        .await;
    }
}

fn night(from_today: i64) -> NaiveDate {
    day(from_today).parse().unwrap()
}

#[tokio::test]
async fn what_a_site_sells_is_accepted_where_there_is_a_room_and_the_site_is_told() {
    let mut place = Place::open("accepted", 5).await;
    place.connect("expo", 3).await;
    assert_eq!(place.is_right("expo").await[&night(2)], 3);
    let received = place.sells("expo", &sold("b1", 2, 2)).await.expect(202);
    assert_eq!((&received.body["status"], &received.body["bookingId"]), (&json!("RECEIVED"), &json!("b1")));
    let outcome = received.header("location").to_owned();
    assert_eq!(place.hotel.service.get(&outcome).await.expect(200).body["isKnown"], false);
    let accepted = place.booking_is("b1", "ACCEPTED").await;
    assert_eq!(accepted["version"], 2);
    let known = place.hotel.service.get(&outcome).await.expect(200).body;
    assert_eq!((&known["isKnown"], &known["status"]), (&json!(true), &json!("ACCEPTED")));
    place.is_told("expo", "b1", "ACCEPTED").await;
    let told = place.ledger("expo").await.bookings.remove("X-b1").unwrap();
    assert_eq!((told.booking_id.as_str(), told.revision), ("b1", 2));
    let available = place.is_right("expo").await;
    assert_eq!([1, 2, 3, 4].map(|at| available[&night(at)]), [3, 2, 2, 3]);
    // One story, from the command to its end.
    let story = received.header("x-correlation-id");
    for schema in ["channel_manager", "direct_booking"] {
        for row in place.hotel.outbox(schema).await.iter().filter(|row| row.aggregateid == "b1") {
            assert_eq!(row.headers["ce_correlationid"], story, "{}", row.ty);
        }
    }
    // Where a site is, nobody is told.
    let document = place.hotel.service.get(&format!("{SITES}/expo")).await.expect(200);
    let allotment = json!([{"roomTypeId": "double", "rooms": 3}]);
    let expected =
        json!({"siteId": "expo", "version": 2, "status": "CONNECTED", "name": "Expo", "allotments": allotment});
    assert_eq!(document.body, expected);
    let rows = place.hotel.outbox("channel_manager").await;
    assert!(rows.iter().all(|row| !row.text.as_ref().unwrap().contains("s3cret")));
}

#[tokio::test]
async fn whoever_waits_is_answered_once_it_is_decided() {
    let mut place = Place::open("prefer", 5).await;
    place.connect("expo", 3).await;
    let (path, sold) = (format!("{SITES}/expo/receive-booking"), sold("b1", 2, 2));
    let (decided, _) = tokio::join!(
        place.hotel.service.post_with(&path, &sold, &[("prefer", "wait=8")]),
        place.booking_is("b1", "ACCEPTED"),
    );
    let decided = decided.expect(201);
    assert_eq!(
        (&decided.body["status"], decided.header("location")),
        (&json!("ACCEPTED"), "/channel-manager/site-bookings/b1")
    );
}

#[tokio::test]
async fn of_two_sites_that_sell_the_last_room_one_is_told_that_there_is_none() {
    let mut place = Place::open("last room", 1).await;
    place.connect("expo", 5).await;
    place.connect("trip", 5).await;
    let (one, other) = (sold("b1", 3, 2), sold("b2", 4, 2));
    let (one, other) = tokio::join!(place.sells("expo", &one), place.sells("trip", &other));
    one.expect(202);
    other.expect(202);
    let [one, other] = [("expo", "b1"), ("trip", "b2")].map(|(site, id)| {
        let place = &place;
        async move {
            let path = format!("{SITE_BOOKINGS}/{id}");
            let document = eventually("a decision", DEADLINE, async || {
                place.relay().await;
                let document = place.hotel.service.get(&path).await.body;
                (document["status"] != "RECEIVED").then_some(document)
            })
            .await;
            let status = document["status"].as_str().unwrap().to_owned();
            assert_eq!(document["rejection"] == "no-room", status == "REJECTED", "{document}");
            let told = eventually("the site to be told", DEADLINE, async || {
                place.ledger(site).await.bookings.remove(&format!("X-{id}"))
            })
            .await;
            assert_eq!(told.status, status);
            status
        }
    });
    let (one, other) = tokio::join!(one, other);
    let mut both = [one, other];
    both.sort();
    assert_eq!(both, ["ACCEPTED", "REJECTED"]);
    for site in ["expo", "trip"] {
        assert_eq!(place.is_right(site).await[&night(4)], 0);
    }
    // A type that nobody knows is no room either.
    let mut unknown = sold("b3", 1, 1);
    unknown["roomTypeId"] = json!("castle");
    place.sells("expo", &unknown).await.expect(202);
    assert_eq!(place.booking_is("b3", "REJECTED").await["rejection"], "unknown-room-type");
}

#[tokio::test]
async fn what_the_site_cancels_is_free_again_also_when_it_was_not_decided_yet() {
    let mut place = Place::open("site cancels", 1).await;
    place.connect("expo", 1).await;
    place.sells("expo", &sold("b1", 2, 1)).await.expect(202);
    place.is_told("expo", "b1", "ACCEPTED").await;
    assert_eq!(place.is_right("expo").await[&night(2)], 0);
    assert_eq!(place.site_cancels("b1").await.expect(200).body["status"], "CANCELLING");
    place.site_cancels("b1").await.expect_problem(409, "already-cancelled");
    place.is_told("expo", "b1", "CANCELLED").await;
    assert_eq!(place.is_right("expo").await[&night(2)], 1);
    let booking = place.hotel.service.get(&format!("{BOOKINGS}/b1")).await.expect(200);
    assert_eq!(booking.body["status"], "CANCELLED");

    // Both before Direct booking hears of it, for which there is a room; and for which there is none.
    place.sells("expo", &sold("b2", 2, 1)).await.expect(202);
    place.site_cancels("b2").await.expect(200);
    place.book("d1", 5, 1).await;
    place.sells("expo", &sold("b3", 5, 1)).await.expect(202);
    place.site_cancels("b3").await.expect(200);
    place.is_told("expo", "b2", "CANCELLED").await;
    place.is_told("expo", "b3", "REJECTED").await;
    place.site_cancels("b3").await.expect_problem(409, "rejected");
    assert_eq!(place.is_right("expo").await[&night(2)], 1);
}

#[tokio::test]
async fn what_the_hotel_cancels_the_site_is_told_and_a_guest_who_is_here_stays() {
    let mut place = Place::open("hotel cancels", 2).await;
    place.connect("expo", 2).await;
    for id in ["b1", "b2"] {
        place.sells("expo", &sold(id, 0, 2)).await.expect(202);
        place.is_told("expo", id, "ACCEPTED").await;
    }
    place.hotel_cancels("b1").await;
    place.is_told("expo", "b1", "CANCELLED").await;
    let check_in = |id: &str| format!("{BOOKINGS}/{id}/check-in");
    place.hotel.service.post(&check_in("b2"), &json!({})).await.expect(200);
    // The site is faster than word of the arrival.
    place.site_cancels("b2").await.expect(200);
    place.booking_is("b2", "ACCEPTED").await;
    place.site_cancels("b2").await.expect_problem(409, "checked-in");
    place.hotel.service.post(&format!("{BOOKINGS}/b2/check-out"), &json!({})).await.expect(200);
    eventually("the nights to be free", DEADLINE, async || {
        place.relay().await;
        place.known("expo").await[&night(1)] == 2
    })
    .await;
}

#[tokio::test]
async fn what_sites_may_sell_goes_down_and_up_with_everything_that_happens() {
    let mut place = Place::open("up and down", 4).await;
    place.connect("expo", 3).await;
    place.connect("trip", 9).await;
    assert_eq!((place.is_right("expo").await[&night(9)], place.is_right("trip").await[&night(9)]), (3, 4));
    for (id, check_in) in [("d1", 8), ("d2", 9), ("d3", 9), ("d4", 300)] {
        place.book(id, check_in, 3).await;
    }
    place.sells("trip", &sold("b1", 9, 1)).await.expect(202);
    place.is_told("trip", "b1", "ACCEPTED").await;
    let available = place.is_right("expo").await;
    assert_eq!([7, 8, 9, 10, 11, 12].map(|at| available[&night(at)]), [3, 3, 0, 1, 2, 3]);
    place.is_right("trip").await;

    place.hotel_cancels("d2").await;
    place.site_cancels("b1").await.expect(200);
    assert_eq!(place.is_right("expo").await[&night(9)], 2);
    let rooms = json!({"rooms": ["5", "6"]});
    place.hotel.service.post("/direct-booking/room-types/double/add-rooms", &rooms).await.expect(200);
    assert_eq!((place.is_right("expo").await[&night(9)], place.is_right("trip").await[&night(9)]), (3, 4));
    place.allot("trip", 1).await;
    assert_eq!(place.is_right("trip").await[&night(9)], 1);
    place.allot("trip", 0).await;
    assert_eq!(place.is_right("trip").await[&night(9)], 0);

    place.hotel.service.post(&format!("{SITES}/expo/disconnect"), &json!({})).await.expect(200);
    assert!(place.is_right("expo").await.values().all(|rooms| *rooms == 0));
    place.is_quiet().await;
    // What a site was told in order is what it goes by, but for what came late.
    for site in ["expo", "trip"] {
        let ledger = place.ledger(site).await;
        let mut last = BTreeMap::new();
        for told in &ledger.told {
            if let Told::Night { told, .. } = told {
                let known = last.entry(told.night).or_insert(*told);
                // One revision always says the same.
                assert!(known.revision != told.revision || known == told, "{known:?} {told:?}");
                *known = if told.revision >= known.revision { *told } else { *known };
            }
        }
        assert_eq!(last, ledger.availability["double"]);
    }
}

#[tokio::test]
async fn a_site_that_fails_or_hangs_up_is_told_all_the_same() {
    let mut place = Place::open("misbehaving", 50).await;
    place.connect("expo", 50).await;
    for (at, mode) in ["fail", "drop-after-commit", "drop-before-commit"].iter().enumerate() {
        place.behave("expo", json!({"mode": mode, "times": 4})).await;
        for n in 0..3 {
            place.sells("expo", &sold(&format!("b{at}{n}"), 1 + n, 2)).await.expect(202);
        }
        for n in 0..3 {
            place.is_told("expo", &format!("b{at}{n}"), "ACCEPTED").await;
        }
    }
    assert_eq!(place.is_right("expo").await[&night(3)], 44);
}

#[tokio::test]
async fn a_dead_site_holds_up_no_other() {
    let mut place = Place::open("dead site", 9).await;
    place.connect("dead", 9).await;
    place.connect("expo", 9).await;
    place.behave("dead", json!({"mode": "hang"})).await;
    place.sells("dead", &sold("b1", 2, 1)).await.expect(202);
    place.booking_is("b1", "ACCEPTED").await;
    place.sells("expo", &sold("b2", 2, 1)).await.expect(202);
    place.is_told("expo", "b2", "ACCEPTED").await;
    assert_eq!(place.is_right("expo").await[&night(2)], 7);
    assert!(!place.ledger("dead").await.bookings.contains_key("X-b1"));
    // And when it is well again, it is told how things are now.
    place.behave("dead", json!({"mode": "normal"})).await;
    place.is_told("dead", "b1", "ACCEPTED").await;
    place.is_right("dead").await;
}

#[tokio::test]
async fn what_a_site_refuses_for_good_is_kept_with_its_reason_and_told_when_it_is_allotted_again() {
    let mut place = Place::open("refused", 9).await;
    place.connect("expo", 9).await;
    place.is_right("expo").await;
    place.behave("expo", json!({"mode": "refuse"})).await;
    place.allot("expo", 2).await;
    place.is_quiet().await;
    let refused = "select count(*) from channel_manager.notice where last_error like '%422%'";
    assert_eq!(place.hotel.number(refused).await, 366);
    assert_eq!(place.known("expo").await[&night(1)], 9);
    place.behave("expo", json!({"mode": "normal"})).await;
    place.allot("expo", 2).await;
    assert_eq!(place.is_right("expo").await[&night(1)], 2);
    place.is_quiet().await;
    assert_eq!(place.hotel.number(refused).await, 0);
}

#[tokio::test]
async fn events_that_come_twice_or_late_change_nothing() {
    let mut place = Place::open("twice", 30).await;
    place.connect("expo", 5).await;
    for (id, check_in) in [("b1", 2), ("b2", 3)] {
        place.sells("expo", &sold(id, check_in, 2)).await.expect(202);
        place.is_told("expo", id, "ACCEPTED").await;
    }
    place.book("d1", 2, 2).await;
    place.site_cancels("b1").await.expect(200);
    place.is_told("expo", "b1", "CANCELLED").await;
    place.hotel_cancels("d1").await;
    place.is_right("expo").await;
    place.is_quiet().await;
    let (known, rows) = (place.known("expo").await, place.hotel.outbox("channel_manager").await.len());
    let stays = "select count(*) from channel_manager.stay where held_until > check_in";
    assert_eq!(place.hotel.number(stays).await, 1);
    let revisions = "select sum(revision)::bigint from channel_manager.notice where night < current_date + 20";
    let before = place.hotel.number(revisions).await;
    let held = "select sum(taken)::bigint from direct_booking.room_night where night < current_date + 20";
    assert_eq!(place.hotel.number(held).await, 2, "the two nights of b2");

    place.relay.forget();
    place.relay().await;
    // What comes behind the repetitions in each partition has been dealt with: so have they.
    for id in 2..20 {
        place.book(&format!("d{id}"), 30, 1).await;
    }
    eventually("the last to have come", DEADLINE, async || {
        place.relay().await;
        place.hotel.number(stays).await == 19
    })
    .await;
    place.is_quiet().await;
    let all_twice = "select sum(next_offset)::bigint = 2 * (select count(*) from channel_manager.outbox
            where aggregatetype = 'hotel.channel-manager.site-booking.v1')
        from direct_booking.inbox_offset where handler = 'direct-booking.site-bookings'";
    eventually("what the site sold came twice", DEADLINE, async || place.hotel.holds(all_twice).await).await;
    assert_eq!(place.hotel.outbox("channel_manager").await.len(), rows);
    assert_eq!(place.known("expo").await, known);
    assert_eq!(place.hotel.number(revisions).await, before);
    assert_eq!(place.hotel.number(held).await, 2, "no room is held twice");
}

#[tokio::test]
async fn nights_that_come_near_are_told_and_those_that_are_over_are_forgotten() {
    let mut place = Place::open("near", 9).await;
    place.connect("expo", 5).await;
    place.is_right("expo").await;
    // As it was three days ago.
    place
        .hotel
        .admin
        .batch_execute(
            "delete from channel_manager.notice where night >= (select told_until - 3 from channel_manager.allotment);
             update channel_manager.allotment set told_until = told_until - 3;
             insert into channel_manager.notice (site_id, kind, subject, night) values ('expo', 'night', 'double', '2020-01-01')",
        )
        .await
        .unwrap();
    eventually("a year ahead, and nothing that is over", DEADLINE, async || {
        let ahead =
            "select count(*) from channel_manager.notice where settled = revision and night >= current_date + 363";
        let over = "select count(*) from channel_manager.notice where night < '2021-01-01'";
        place.hotel.number(ahead).await >= 3 && place.hotel.number(over).await == 0
    })
    .await;
    place.is_right("expo").await;
}

#[tokio::test]
async fn a_site_sells_nothing_twice_and_nothing_once_it_is_disconnected() {
    let place = Place::open("commands", 9).await;
    let service = &place.hotel.service;
    service.post(SITES, &site("expo", "http://127.0.0.1:9")).await.expect(201);
    service.post(SITES, &site("trip", "http://127.0.0.1:9")).await.expect(201);
    service.post(SITES, &site("expo", "http://127.0.0.1:9")).await.expect_problem(409, "already-exists");
    place.sells("nobody", &sold("b1", 1, 1)).await.expect_problem(404, "not-found");
    place.sells("expo", &sold("b1", 1, 1)).await.expect(202);
    let mut again = sold("b2", 1, 1);
    again["reference"] = json!("X-b1");
    let refused = place.sells("expo", &again).await.expect_problem(409, "already-exists");
    assert!(refused.body["detail"].as_str().unwrap().contains("/channel-manager/site-bookings/b1"));
    place.sells("trip", &again).await.expect(202);
    let mut taken = sold("b1", 1, 1);
    taken["reference"] = json!("X-other");
    place.sells("trip", &taken).await.expect_problem(409, "already-exists");

    let path = format!("{SITES}/expo/disconnect");
    service.post_with(&path, &json!({}), &[("if-match", "\"1-7\"")]).await.expect_problem(412, "precondition-failed");
    let gone = service.post_with(&path, &json!({}), &[("if-match", "\"1-1\"")]).await.expect(200);
    assert_eq!(gone.body["status"], "DISCONNECTED");
    service.post(&path, &json!({})).await.expect_problem(409, "site-disconnected");
    let body = json!({"roomTypeId": "double", "rooms": 1});
    service.post(&format!("{SITES}/expo/allot"), &body).await.expect_problem(409, "site-disconnected");
    place.sells("expo", &sold("b3", 1, 1)).await.expect_problem(409, "site-disconnected");
    // What it has sold it may still cancel.
    place.site_cancels("b1").await.expect(200);
}

#[tokio::test]
async fn a_site_is_reached_over_http_and_its_address_holds_no_password() {
    let place = Place::open("urls", 1).await;
    let long = format!("http://a.example/{}", "x".repeat(500));
    for url in [
        "ftp://a.example",
        "a.example",
        "http://",
        "http://ada:s3cret@a.example",
        "http://ada@a.example",
        "http://a.example/#x",
        &long,
        "mailto:a@b",
    ] {
        let refused = place.hotel.service.post(SITES, &site("new", url)).await.expect_problem(422, "invalid-fields");
        assert_eq!(refused.pointers(), ["/url"], "{url}");
        assert!(!refused.body.to_string().contains("s3cret"));
    }
    for reference in ["..", "a/b", "-a", "a b", "ä", &"x".repeat(65)] {
        let mut sold = sold("b1", 1, 1);
        sold["reference"] = json!(reference);
        let refused = place.sells("expo", &sold).await.expect_problem(422, "invalid-fields");
        assert_eq!(refused.pointers(), ["/reference"], "{reference}");
    }
}

#[tokio::test]
async fn each_sites_queue_and_breaker_are_seen_at_metrics() {
    let mut place = Place::open("site metrics", 2).await;
    place.connect("good", 1).await;
    place.connect("dead", 1).await;
    place.behave("dead", json!({"mode": "fail"})).await;
    // Whatever it was told before, it is to be told more.
    place.allot("dead", 2).await;
    let of = |name: &str, site: &str, more: &str| {
        format!("third_party_{name}{{context=\"channel-manager\",third_party=\"{site}\"{more}}}")
    };
    let breaker = |site: &str, state: &str| of("breaker_state", site, &format!(",state=\"{state}\""));
    let attempts = |site: &str, outcome: &str| of("attempts_total", site, &format!(",outcome=\"{outcome}\""));
    let service = &place.hotel.service;
    service.metric_is(&breaker("dead", "open"), |is| is == 1.0).await;
    service.metric_is(&of("waiting", "dead", ""), |waiting| waiting > 0.0).await;
    service.metric_is(&of("oldest_waiting_seconds", "dead", ""), |age| age > 1.0).await;
    service.metric_is(&of("waiting", "good", ""), |waiting| waiting == 0.0).await;
    assert_eq!(service.metric(&breaker("good", "closed")).await, Some(1.0));
    assert!(service.metric(&attempts("dead", "unknown")).await.unwrap() >= 5.0);
    assert!(service.metric(&attempts("good", "done")).await.unwrap() >= 1.0);

    place.behave("dead", json!({"mode": "normal"})).await;
    place.relay().await;
    place.is_right("dead").await;
    service.metric_is(&of("waiting", "dead", ""), |waiting| waiting == 0.0).await;
    service.metric_is(&of("oldest_waiting_seconds", "dead", ""), |age| age == 0.0).await;
    service.metric_is(&breaker("dead", "closed"), |is| is == 1.0).await;
    let text = String::from_utf8(service.get("/metrics").await.bytes).unwrap();
    assert!(!text.contains("s3cret"), "a site's address is in it");
}
