//! The inbox's own tables.

use servers::TempDatabase;

use crate::fixture::connect;

#[tokio::test(flavor = "multi_thread")]
async fn several_may_migrate_at_once_and_again() {
    let database = TempDatabase::create("migrate").await;
    let login = database.create_login("worker", "").await.unwrap();
    let admin = connect(&database.url()).await;
    let schema = format!(r#"CREATE SCHEMA "a ""b"; GRANT USAGE ON SCHEMA "a ""b" TO {}"#, login.role);
    admin.batch_execute(&schema).await.unwrap();
    let migrate = async || {
        let mut client = connect(&database.url()).await;
        client.batch_execute("SET search_path = pg_catalog, public").await.unwrap();
        inbox::migrate(&mut client, "a \"b", &login.role).await.unwrap();
        let path: String = client.query_one("SHOW search_path", &[]).await.unwrap().get(0);
        assert_eq!(path, "pg_catalog, public");
    };
    tokio::join!(migrate(), migrate(), migrate());
    migrate().await;
    let worker = connect(&login.url).await;
    for table in ["inbox_offset", "inbox_dead_letter", "inbox_parked"] {
        worker.query(&format!(r#"SELECT * FROM "a ""b".{table} FOR UPDATE"#), &[]).await.unwrap();
        worker.execute(&format!(r#"DELETE FROM "a ""b".{table}"#), &[]).await.unwrap();
    }
    let elsewhere = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'inbox%' AND schemaname <> 'a \"b'";
    assert_eq!(admin.query_one(elsewhere, &[]).await.unwrap().get::<_, i64>(0), 0);
}
