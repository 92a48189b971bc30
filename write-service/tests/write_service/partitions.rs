//! The outbox's partitions: there before they are needed, and gone when nobody needs their rows any more.

use tokio_postgres::{Client, NoTls};
use write_service::{Period, Retention, Settings};

use crate::fixture::{DEADLINE, Hotel, account, connect};

async fn as_accounts(hotel: &Hotel) -> Client {
    let mut config: tokio_postgres::Config = hotel.login.url.parse().unwrap();
    let (client, connection) = config.options("-c role=accounts").connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The partitions of the accounts' outbox.
async fn partitions(client: &Client) -> Vec<String> {
    let sql = "select part.relname::text from pg_inherits join pg_class part on part.oid = inhrelid
        where inhparent = 'accounts.outbox'::regclass order by 1";
    client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// A hotel whose service leaves old partitions alone.
async fn hotel(purpose: &str) -> Hotel {
    Hotel::open_with(purpose, |settings| {
        let outbox = Retention { keep: "366d".parse::<Period>().unwrap(), slots: Vec::new() };
        Settings { outbox, ..settings }
    })
    .await
}

fn named(from_today: i64) -> String {
    format!("outbox_{}", crate::fixture::day(from_today).replace('-', ""))
}

/// Makes the partition of a day that is past, with a row in it.
async fn add_old(hotel: &Hotel, days_ago: i64) -> String {
    let name = named(-days_ago);
    let (day, next) = (crate::fixture::day(-days_ago), crate::fixture::day(1 - days_ago));
    hotel
        .admin
        .batch_execute(&format!(
            "create table accounts.{name} partition of accounts.outbox for values from ('{day} 00:00+00') to ('{next} 00:00+00');
             insert into accounts.outbox values (gen_random_uuid(), 'hotel.accounts.account.v1', 'ada', 'x', '{{}}', 1, '{{}}',
                '{day} 12:00+00')"
        ))
        .await
        .unwrap();
    name
}

async fn is_there(hotel: &Hotel, name: &str) -> bool {
    hotel
        .number(&format!("select count(*) from pg_tables where schemaname = 'accounts' and tablename = '{name}'"))
        .await
        == 1
}

#[tokio::test]
async fn a_week_of_partitions_is_there_and_a_row_goes_to_its_day() {
    let hotel = Hotel::open("partitions").await;
    let expected: Vec<_> = (0..=7).map(named).chain(["outbox_default".to_owned()]).collect();
    assert_eq!(partitions(&hotel.admin).await, expected);
    hotel.service.post("/accounts/accounts", &account("ada")).await.expect(201);
    assert_eq!(hotel.number(&format!("select count(*) from accounts.{}", named(0))).await, 1);
    // Over midnight, and also on a day for which nobody has made a partition.
    let role = as_accounts(&hotel).await;
    for from_today in [1, 400] {
        let insert = format!(
            "insert into accounts.outbox values (gen_random_uuid(), 'hotel.accounts.account.v1', 'ada', 'x', '{{}}', 1, '{{}}',
                '{} 00:00+00')",
            crate::fixture::day(from_today)
        );
        role.execute(&insert, &[]).await.unwrap();
    }
    assert_eq!(hotel.number(&format!("select count(*) from accounts.{}", named(1))).await, 1);
    assert_eq!(hotel.number("select count(*) from accounts.outbox_default").await, 1);
    // A day whose rows are in the default partition stays there; the others are made all the same.
    hotel.admin.batch_execute(&format!("drop table accounts.{}", named(3))).await.unwrap();
    let made: i32 = role.query_one("select accounts.ensure_outbox_partitions(7)", &[]).await.unwrap().get(0);
    assert_eq!(made, 1);
    assert_eq!(partitions(&hotel.admin).await, expected);
    for days in ["-1", "32", "null"] {
        assert!(role.query_one(&format!("select accounts.ensure_outbox_partitions({days})"), &[]).await.is_err());
    }
}

#[tokio::test]
async fn a_partition_goes_when_it_is_old_and_every_slot_has_confirmed_it() {
    let hotel = hotel("retention").await;
    let (old, young) = (add_old(&hotel, 9).await, add_old(&hotel, 7).await);
    let slot = hotel.login.role.clone();
    let role = as_accounts(&hotel).await;
    let retire = async |slots: &[&str]| -> (i32, i32) {
        let sql = "select * from accounts.retire_outbox_partitions(interval '7 days', $1)";
        let row = role.query_one(sql, &[&slots]).await.unwrap();
        (row.get(0), row.get(1))
    };
    // Out of the outbox at once, where nothing can be added any more; but there as long as nobody has confirmed it.
    assert_eq!(retire(&[]).await, (1, 0));
    assert!(!partitions(&hotel.admin).await.contains(&old));
    assert!(partitions(&hotel.admin).await.contains(&young));
    assert_eq!(retire(&[&slot]).await, (0, 0), "there is no such slot");
    hotel.admin.execute("select pg_create_logical_replication_slot($1, 'pgoutput')", &[&slot]).await.unwrap();
    hotel.service.post("/accounts/accounts", &account("ada")).await.expect(201);
    let late = add_old(&hotel, 10).await;
    // What was taken out before the slot's beginning is confirmed by it; what is taken out now is not.
    assert_eq!(retire(&[&slot]).await, (1, 1));
    assert!(!is_there(&hotel, &old).await && is_there(&hotel, &late).await);
    assert_eq!(retire(&[&slot, "another"]).await, (0, 0), "another slot is not there");
    let advance = "select pg_replication_slot_advance($1, pg_current_wal_lsn())";
    hotel.admin.execute(advance, &[&slot]).await.unwrap();
    assert_eq!(retire(&[&slot]).await, (0, 1));
    assert!(!is_there(&hotel, &late).await);
    hotel.admin.execute("select pg_drop_replication_slot($1)", &[&slot]).await.unwrap();
}

#[tokio::test]
async fn old_rows_of_the_default_partition_go_the_same_way() {
    let hotel = hotel("default").await;
    let slot = hotel.login.role.clone();
    let rows =
        "insert into accounts.outbox select gen_random_uuid(), 'hotel.accounts.account.v1', 'ada', 'x', '{}', 1, '{}',
        now() - make_interval(days => age) from generate_series(1, 20) as age";
    hotel.admin.execute(rows, &[]).await.unwrap();
    hotel.admin.execute("select pg_create_logical_replication_slot($1, 'pgoutput')", &[&slot]).await.unwrap();
    let role = as_accounts(&hotel).await;
    let retire = async || {
        let sql = "select * from accounts.retire_outbox_partitions(interval '7 days', $1)";
        role.query_one(sql, &[&[&slot].as_slice()]).await.unwrap();
    };
    retire().await;
    assert_eq!(hotel.number("select count(*) from accounts.outbox_default").await, 20);
    hotel.admin.execute("select pg_replication_slot_advance($1, pg_current_wal_lsn())", &[&slot]).await.unwrap();
    retire().await;
    let left = hotel.number("select count(*) from accounts.outbox_default").await;
    assert!((7..=8).contains(&left), "{left}");
    hotel.admin.execute("select pg_drop_replication_slot($1)", &[&slot]).await.unwrap();
}

#[tokio::test]
async fn the_service_sees_to_it() {
    let hotel = hotel("kept").await;
    let slot = hotel.login.role.clone();
    let old = add_old(&hotel, 3).await;
    hotel.admin.batch_execute(&format!("drop table accounts.{}", named(7))).await.unwrap();
    hotel.admin.execute("select pg_create_logical_replication_slot($1, 'pgoutput')", &[&slot]).await.unwrap();
    let outbox = Retention { keep: "1s".parse::<Period>().unwrap(), slots: vec![slot.clone()] };
    let database = telemetry::database::Database::parse(&hotel.login.url).unwrap();
    let settings = Settings::all_in(&database, hotel.kafka.clone(), crate::fixture::surroundings());
    let _service = crate::fixture::Service::start(Settings { outbox, ..settings }).await;
    let admin = connect(&hotel.admin_url).await;
    servers::eventually("the old partition to go", DEADLINE, async || {
        admin.execute("select pg_replication_slot_advance($1, pg_current_wal_lsn())", &[&slot]).await.unwrap();
        !is_there(&hotel, &old).await && is_there(&hotel, &named(7)).await
    })
    .await;
    hotel.admin.execute("select pg_drop_replication_slot($1)", &[&slot]).await.unwrap();
}
