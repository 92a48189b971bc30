//! Several instances of the service on one database and one Kafka, which come and go at random.

use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::{
    support::Views,
    witness::{Hotel, Witness, rounds},
};

#[derive(Clone, Copy)]
enum Departure {
    Killed,
    InOrder,
}

/// Given three instances under load, when they are killed, leave and come back at random, then each event is applied once and no
/// client ever sees a version go back, whichever instance it asks.
#[tokio::test(flavor = "multi_thread")]
async fn instances_come_and_go_and_nothing_is_lost_or_doubled_or_goes_back() {
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |seed| seed.parse().expect("SEED is a number"));
    // Shown when the test fails.
    println!("with SEED={seed} the same instances come and go in the same order");
    let mut chance = StdRng::seed_from_u64(seed);
    let hotel = Hotel::open(Views::create("instances").await, "instances").await;
    let mut instances = [hotel.instance(), hotel.instance(), hotel.instance()];
    let mut changes = hotel.change();
    let mut witness = Witness::of(&instances);
    for _ in 0..rounds(1) {
        witness.is_told_more().await;
        // Those who live wait for the dead until their session is over: so several go within that time.
        let mut departures = [Departure::Killed, Departure::InOrder, Departure::Killed];
        departures.shuffle(&mut chance);
        for departure in departures {
            let number = chance.random_range(0..instances.len());
            let victim = &mut instances[number];
            victim.start();
            changes.go_on(chance.random_range(1..10)).await;
            match departure {
                Departure::Killed => victim.kill().await,
                Departure::InOrder => victim.leave().await,
            }
            changes.go_on(chance.random_range(1..6)).await;
            if chance.random() {
                victim.start();
            }
        }
        instances.iter_mut().for_each(|instance| instance.start());
    }
    let last = changes.end().await;
    hotel.has_all_once(last).await;
    witness.end(last).await;
}
