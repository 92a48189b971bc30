//! Migrating twice, and twice at once.

use serde_json::json;
use servers::TempDatabase;
use telemetry::database::Database;

use crate::fixture::{Hotel, account, booking, connect};

#[tokio::test]
async fn a_second_migration_changes_nothing() {
    let database = TempDatabase::create("migrate twice").await;
    let admin = Database::parse(&database.url()).unwrap();
    write_service::migrate(&admin).await.unwrap();
    connect(&database.url())
        .await
        .batch_execute("insert into accounts.account values ('1', 1, true, '', '', '', '', '', '')")
        .await
        .unwrap();
    write_service::migrate(&admin).await.unwrap();
    let client = connect(&database.url()).await;
    let count: i64 = client.query_one("select count(*) from accounts.account", &[]).await.unwrap().get(0);
    assert_eq!(count, 1);
}

#[tokio::test]
async fn several_migrations_at_once_follow_each_other() {
    let (one, other) = tokio::join!(TempDatabase::create("migrate at once"), TempDatabase::create("migrate at once"));
    let [one, other] = [&one, &other].map(|database| Database::parse(&database.url()).unwrap());
    let (a, b, c, d) = tokio::join!(
        write_service::migrate(&one),
        write_service::migrate(&other),
        write_service::migrate(&one),
        write_service::migrate(&other),
    );
    for result in [a, b, c, d] {
        result.unwrap();
    }
}

#[tokio::test]
async fn a_column_that_a_newer_migration_adds_disturbs_no_running_service() {
    let hotel = Hotel::open_for_bookings("newer", 2).await;
    let (accounts, bookings) = ("/accounts/accounts", "/direct-booking/bookings");
    hotel.service.post(accounts, &account("ada")).await.expect(201);
    hotel.service.post(bookings, &booking("first", 1, 1)).await.expect(202);
    let paths = [format!("{accounts}/ada"), format!("{bookings}/first")];
    let read_all = async || {
        // Often enough for every pooled connection to have the statements prepared.
        for path in paths.iter().cycle().take(40) {
            hotel.service.get(path).await.expect(200);
        }
    };
    read_all().await;
    let newer =
        "alter table accounts.account add column note text; alter table direct_booking.booking add column note text;
        alter table direct_booking.room_type add column note text";
    hotel.admin.batch_execute(newer).await.unwrap();
    read_all().await;
    hotel.service.post(&format!("{bookings}/first/cancel"), &json!({})).await.expect(200);
    hotel.service.post(bookings, &booking("second", 1, 1)).await.expect(202);
}
