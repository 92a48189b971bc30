//! Availability of nights that two partitions write about at once.

use std::collections::BTreeMap;

use contracts::direct_booking;
use inbox::{Delivery, Handler};
use proptest::{prelude::*, test_runner::TestRunner};
use read_service::{projection::Projector, view::View};
use serde_json::{Value, json};

use crate::support::{Server, booking, room_type, tombstone};

/// Each is of one partition: the first half of the one, the others of the other.
const BOOKINGS: usize = 6;
/// Nights are counted from the first of March 2026.
const NIGHTS: u32 = 6;
const TAKING: [&str; 4] = ["PENDING", "CONFIRMED", "CHECKED_IN", "CHECKED_OUT"];
const OTHERS: [&str; 3] = ["CANCELLED", "EXPIRED", "REJECTED"];

/// A version of a booking; `None`: it is gone.
type Version = Option<Stay>;

#[derive(Clone, Debug)]
struct Stay {
    room_type: &'static str,
    status: &'static str,
    from: u32,
    nights: u32,
}

impl Stay {
    /// Whether it takes a double room in that night. Who does not stay overnight takes it for the day.
    fn takes(&self, night: u32) -> bool {
        self.room_type == "double"
            && TAKING.contains(&self.status)
            && (self.from..self.from + self.nights.max(1)).contains(&night)
    }
}

/// What the bookings become, and how that arrives.
#[derive(Clone, Debug)]
struct Arrival {
    histories: Vec<Vec<Version>>,
    /// Of each partition: which booking's next version comes next, as Kafka keeps them, and then what comes again.
    orders: [Vec<usize>; 2],
    again: [Vec<prop::sample::Index>; 2],
    /// Of each partition: how many events go into each batch.
    batches: [Vec<usize>; 2],
    /// Whether the first partition's transaction is the first to commit, of those that are open at the same time.
    first_commits: Vec<bool>,
}

fn arrivals() -> impl Strategy<Value = Arrival> {
    let status = prop::sample::select([&TAKING[..], &OTHERS].concat());
    let stay = (prop::sample::select(vec!["double", "double", "single"]), status, 0..NIGHTS, 0..4_u32)
        .prop_map(|(room_type, status, from, nights)| Some(Stay { room_type, status, from, nights }));
    let version = prop_oneof![9 => stay, 1 => Just(None)];
    let histories = prop::collection::vec(prop::collection::vec(version, 1..5), BOOKINGS);
    histories.prop_flat_map(|histories| {
        let events = |of: std::ops::Range<usize>| -> Vec<usize> {
            of.flat_map(|number| vec![number; histories[number].len()]).collect()
        };
        let orders = [0..BOOKINGS / 2, BOOKINGS / 2..BOOKINGS].map(|of| Just(events(of)).prop_shuffle());
        let again = || prop::collection::vec(any::<prop::sample::Index>(), 0..4);
        let batches = || prop::collection::vec(1..4_usize, 4 * BOOKINGS);
        (Just(histories), orders, [again(), again()], [batches(), batches()], prop::collection::vec(any::<bool>(), 40))
            .prop_map(|(histories, orders, again, batches, first_commits)| Arrival {
                histories,
                orders,
                again,
                batches,
                first_commits,
            })
    })
}

fn event(number: usize, version: usize, of: &Version) -> Delivery {
    let (id, version) = (number.to_string(), i64::try_from(version).unwrap());
    let Some(stay) = of else { return tombstone(direct_booking::BOOKING, &id, version) };
    let day = |night: u32| format!("2026-03-{:02}", 1 + night);
    let changes =
        json!({"roomTypeId": stay.room_type, "status": stay.status, "checkOut": day(stay.from + stay.nights)});
    booking(&id, version, &day(stay.from), &changes)
}

impl Arrival {
    /// A partition's batches.
    fn batches_of(&self, partition: usize) -> Vec<Vec<Delivery>> {
        let mut seen = [0; BOOKINGS];
        let mut events = Vec::new();
        for &number in &self.orders[partition] {
            seen[number] += 1;
            events.push(event(number, seen[number], &self.histories[number][seen[number] - 1]));
        }
        let again: Vec<_> = self.again[partition].iter().map(|which| which.get(&events).clone()).collect();
        events.extend(again);
        let mut batches = Vec::new();
        for size in &self.batches[partition] {
            let batch: Vec<_> = events.drain(..(*size).min(events.len())).collect();
            batches.extend((!batch.is_empty()).then_some(batch));
        }
        batches
    }

    /// How many double rooms the last documents take, night by night.
    fn taken(&self) -> BTreeMap<u32, i64> {
        let last = || self.histories.iter().filter_map(|history| history.last()?.as_ref());
        let taken = |night| i64::try_from(last().filter(|stay| stay.takes(night)).count()).unwrap();
        (0..NIGHTS).map(|night| (night, taken(night))).collect()
    }
}

/// Applies the batches of both partitions, two transactions open at a time.
async fn apply(clients: &mut [deadpool_postgres::Object; 2], arrival: &Arrival) {
    let projector = Projector::of(View::Booking);
    let [first, second] = clients;
    let (mut ones, mut others) = (arrival.batches_of(0).into_iter(), arrival.batches_of(1).into_iter());
    let mut turns = arrival.first_commits.iter().cycle();
    let decode = |batch: Option<Vec<Delivery>>| -> Vec<_> {
        batch.iter().flatten().filter_map(|delivery| projector.decode(delivery).unwrap()).collect()
    };
    loop {
        let (one, other) = (ones.next(), others.next());
        if one.is_none() && other.is_none() {
            return;
        }
        let (one, other) = (decode(one), decode(other));
        let (one_open, other_open) = (first.transaction().await.unwrap(), second.transaction().await.unwrap());
        tokio::try_join!(projector.apply(&one_open, &one), projector.apply(&other_open, &other)).unwrap();
        let in_turn = if *turns.next().unwrap() { [one_open, other_open] } else { [other_open, one_open] };
        for transaction in in_turn {
            transaction.commit().await.unwrap();
        }
    }
}

/// Given bookings of two partitions about the same nights, when both are applied at once, in whatever batches, commits and
/// repetitions, then the availability is that of the last documents.
#[test]
fn availability_does_not_depend_on_how_two_partitions_interleave() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (server, owner, clients) = runtime.block_on(async {
        let server = Server::start("interleaved").await;
        server.views.fill(&[room_type("double", 1, &["101", "102"])]).await;
        let clients = [server.views.client().await, server.views.client().await];
        let owner = server.views.owner().await;
        (server, owner, clients)
    });
    let clients = tokio::sync::Mutex::new(clients);
    let mut runner = TestRunner::new(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() });
    let result = runner.run(&arrivals(), |arrival| {
        let found = runtime.block_on(async {
            owner.batch_execute("TRUNCATE view.booking").await.unwrap();
            apply(&mut *clients.lock().await, &arrival).await;
            let query =
                r#"{ roomAvailability(roomTypeId: "double", from: "2026-03-01", to: "2026-03-07") { taken free } }"#;
            server.data(query).await
        });
        let night = |taken: i64| json!({"taken": taken, "free": (2 - taken).max(0)});
        let expected: Vec<Value> = arrival.taken().into_values().map(night).collect();
        prop_assert_eq!(&found["roomAvailability"], &Value::from(expected));
        Ok(())
    });
    runtime.block_on(async { drop((clients, owner, server)) });
    result.unwrap();
}
