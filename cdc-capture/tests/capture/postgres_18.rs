//! The newer PostgreSQL: what is delivered from the one that most tests run on is delivered from it too.

use servers::{Postgres, PostgresOptions, Release, TempDatabase, shared};

use crate::outbox::Outbox;

#[tokio::test]
async fn rows_arrive_once_each_in_commit_order_from_postgres_18() {
    let options = PostgresOptions { release: Release::Eighteen, ..PostgresOptions::default() };
    let server = Postgres::start(options).await.unwrap();
    let database = TempDatabase::create_on(&server.url("postgres"), "eighteen").await.unwrap();
    let outbox = Outbox::bare_in(database, "eighteen", &shared::kafka().bootstrap_servers).await;
    outbox.create_topic("order", 4).await;
    outbox.set_up().await.unwrap();
    let report = cdc_capture::check(&outbox.settings()).await;
    assert!(report.passed() && report.to_string().contains("ok PostgreSQL 18"), "{report}");

    let relay = outbox.start_ready().await;
    outbox.insert("k", 0..1_000).await;
    outbox.execute("BEGIN").await;
    outbox.insert("k", 5_000..6_000).await;
    outbox.execute("ROLLBACK").await;
    for n in 1_000..1_100 {
        outbox.insert("k", n..n + 1).await;
    }
    outbox.drained().await;
    relay.stop().await;
    outbox.insert("k", 1_100..1_200).await;
    let relay = outbox.start_ready().await;
    outbox.drained().await;
    relay.stop().await;
    assert_eq!(outbox.numbers().await["k"], (0..1_200).collect::<Vec<_>>());
}
