//! PostgreSQL crashes in the middle of projecting and of answers.

use servers::{Mode, Postgres, PostgresOptions};

use crate::{
    support::Views,
    witness::{Hotel, Witness, rounds},
};

/// Given a database that crashes under load, when it is back, then whatever a client was told is there, and each event is applied
/// once: a view commits synchronously, whatever the database's setting, so what can be seen is on the disk.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_was_told_survives_a_crash_of_the_database() {
    let mut server = Postgres::start(PostgresOptions { fsync: true, ..PostgresOptions::default() }).await.unwrap();
    let hotel = Hotel::open(Views::create_on(&server.url("postgres"), "crash").await, "crash").await;
    hotel.answer_early().await;
    let instances = [hotel.instance(), hotel.instance()];
    let mut changes = hotel.change();
    let mut witness = Witness::of(&instances);
    for _ in 0..rounds(2) {
        witness.is_told_more().await;
        changes.go_on(rand::random_range(1..12)).await;
        server.stop(Mode::Immediate).await.unwrap();
        server.start_again().await.unwrap();
    }
    let last = changes.end().await;
    hotel.has_all_once(last).await;
    assert_eq!(hotel.durability().await, ["on", "on"], "fsync and synchronous_commit");
    witness.end(last).await;
    drop((hotel, instances));
}
