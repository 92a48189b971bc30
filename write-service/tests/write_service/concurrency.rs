//! Never two bookings for the last room, whoever comes at the same moment, and no deadlock.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::json;

use crate::fixture::{Hotel, account, booking, details};

const BOOKINGS: &str = "/direct-booking/bookings";

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_bookings_for_the_last_five_rooms() {
    let hotel = Hotel::open_for_bookings("last five rooms", 5).await;
    // All of them take the night of day 10, most of them others before and after it.
    let bookings: Vec<_> = (0..200).map(|n| booking(&format!("b{n}"), 10 - n % 5, n % 5 + 1 + n % 3)).collect();
    let answers = join_all(bookings.iter().map(|body| hotel.service.post(BOOKINGS, body))).await;
    let mut made = 0;
    for answer in answers {
        match answer.status {
            202 => made += 1,
            _ => drop(answer.expect_problem(409, "no-room")),
        }
    }
    assert_eq!(made, 5);
    assert_eq!(hotel.number("select count(*) from direct_booking.booking").await, 5);
    assert_eq!(hotel.number("select count(*) from direct_booking.outbox where type like '%BookingMade%'").await, 5);
    assert_nights_agree(&hotel).await;
    assert_eq!(hotel.number("select max(taken)::bigint from direct_booking.room_night").await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_sent_twice_at_once_for_the_last_room_is_told_apart_from_a_full_house() {
    let hotel = Hotel::open_for_bookings("sent twice", 1).await;
    for night in 0..20 {
        let body = booking(&format!("twice-{night}"), night, 1);
        let answers = join_all((0..2).map(|_| hotel.service.post(BOOKINGS, &body))).await;
        let mut made = 0;
        for answer in answers {
            match answer.status {
                202 => made += 1,
                _ => drop(answer.expect_problem(409, "already-exists")),
            }
        }
        assert_eq!(made, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bookings_and_cancellations_at_once_neither_deadlock_nor_miscount() {
    let hotel = Hotel::open_for_bookings("book and cancel", 3).await;
    let guest = async |guest: i64| {
        let mut outcomes = BTreeMap::new();
        for round in 0..12 {
            let id = format!("g{guest}-{round}");
            let stay = booking(&id, (guest + round) % 4, 1 + (guest * round) % 6);
            let made = hotel.service.post(BOOKINGS, &stay).await;
            *outcomes.entry(made.status).or_insert(0) += 1;
            if made.status == 202 && round % 4 != 3 {
                hotel.service.post(&format!("{BOOKINGS}/{id}/cancel"), &json!({})).await.expect(200);
            }
        }
        outcomes
    };
    for outcomes in join_all((0..24).map(guest)).await {
        assert!(outcomes.keys().all(|status| [202, 409].contains(status)), "{outcomes:?}");
    }
    assert_nights_agree(&hotel).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_changes_at_once_is_a_version_of_its_own() {
    let hotel = Hotel::open("versions").await;
    let service = &hotel.service;
    let opened =
        join_all((0..20).map(async |_| service.post("/accounts/accounts", &account("ada")).await.status)).await;
    assert_eq!(opened.iter().filter(|status| **status == 201).count(), 1);
    assert_eq!(opened.iter().filter(|status| **status == 409).count(), 19);

    let details = details("Brugge");
    let change = async |_| {
        service.post("/accounts/accounts/ada/change-details", &details).await.expect(200).body["version"].as_i64()
    };
    let mut versions = join_all((0..50).map(change)).await;
    versions.sort_unstable();
    assert_eq!(versions, (2..=51).map(Some).collect::<Vec<_>>());
    let told: Vec<_> = hotel.admin.query("select aggregateversion from accounts.outbox order by 1", &[]).await.unwrap();
    assert_eq!(told.iter().map(|row| row.get::<_, i64>(0)).collect::<Vec<_>>(), (1..=51).collect::<Vec<_>>());

    // Of those who expect the same version, one gets it.
    let only = async |_| {
        service.post_with("/accounts/accounts/ada/close", &json!({}), &[("if-match", "\"1-51\"")]).await.status
    };
    let statuses = join_all((0..10).map(only)).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 412].contains(status)), "{statuses:?}");
}

/// The nights that are taken are those of the bookings that stand, and never more than there are rooms.
async fn assert_nights_agree(hotel: &Hotel) {
    let different = "
        with stays as (
            select room_type_id, check_in + n as night
            from direct_booking.booking, generate_series(0, greatest(check_out - check_in, 1) - 1) as n
            where cancelled_at is null
        ), counted as (select room_type_id, night, count(*) as taken from stays group by 1, 2)
        select count(*) from counted full join direct_booking.room_night as kept using (room_type_id, night)
        where coalesce(counted.taken, 0) <> coalesce(kept.taken, 0)";
    assert_eq!(hotel.number(different).await, 0, "nights and bookings disagree");
    let overbooked = "select count(*) from direct_booking.room_night join direct_booking.room_type using (room_type_id)
        where taken > room_count";
    assert_eq!(hotel.number(overbooked).await, 0);
}
