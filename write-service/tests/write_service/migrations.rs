//! Migrating twice, and twice at once.

use servers::TempDatabase;
use telemetry::database::Database;

use crate::fixture::connect;

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
