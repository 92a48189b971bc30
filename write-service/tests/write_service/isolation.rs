//! A context's role can work in its own schema and nowhere else, and tells only what is its own to tell.

use tokio_postgres::{Client, NoTls, error::SqlState};

use write_service::contexts;

use crate::fixture::{Hotel, connect};

const EVENT: &str = "(id, aggregatetype, aggregateid, type, payload, aggregateversion, headers)
    values (gen_random_uuid(), $1, '1', 'x', '{}', 1, '{}')";

async fn as_role(hotel: &Hotel, role: &str) -> Client {
    let mut config: tokio_postgres::Config = hotel.login.url.parse().unwrap();
    let (client, connection) = config.options(format!("-c role={role}")).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[track_caller]
fn refused(result: Result<u64, tokio_postgres::Error>) -> SqlState {
    result.unwrap_err().code().unwrap().clone()
}

/// The tables of a schema.
async fn tables(hotel: &Hotel, schema: &str) -> Vec<String> {
    let sql = "select tablename::text from pg_tables where schemaname = $1 order by tablename";
    hotel.admin.query(sql, &[&schema]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_role_reads_and_writes_nothing_of_another_context() {
    let hotel = Hotel::open("isolation").await;
    for context in contexts::ALL {
        let client = as_role(&hotel, context.schema).await;
        for other in contexts::ALL.iter().filter(|other| other.schema != context.schema) {
            let (role, other) = (context.schema, other.schema);
            let tables = tables(&hotel, other).await;
            assert!(
                ["outbox", "command_answer"].iter().all(|name| tables.iter().any(|table| table == name)),
                "{other}"
            );
            for table in tables {
                for statement in [
                    format!("select * from {other}.{table}"),
                    format!("insert into {other}.{table} default values"),
                    format!("delete from {other}.{table}"),
                ] {
                    let code = refused(client.execute(&statement, &[]).await);
                    assert_eq!(code, SqlState::INSUFFICIENT_PRIVILEGE, "{role}: {statement}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_role_does_in_its_own_schema_only_what_commands_do() {
    let hotel = Hotel::open("least privilege").await;
    for context in contexts::ALL {
        let role = context.schema;
        let client = as_role(&hotel, role).await;
        for table in tables(&hotel, role)
            .await
            .iter()
            .filter(|table| !table.starts_with("outbox") && !table.ends_with("_migrations"))
        {
            client.execute(&format!("select * from {role}.{table}"), &[]).await.unwrap();
            for statement in [format!("truncate {role}.{table}"), format!("drop table {role}.{table}")] {
                let code = refused(client.execute(&statement, &[]).await);
                assert_eq!(code, SqlState::INSUFFICIENT_PRIVILEGE, "{role}: {statement}");
            }
        }
        for statement in [
            format!("select * from {role}.outbox"),
            format!("update {role}.outbox set type = ''"),
            format!("delete from {role}.outbox"),
            format!("update {role}.command_answer set status = 200"),
            format!("create table {role}.mine ()"),
            format!("delete from {role}.refinery_schema_history"),
            "create schema mine".to_owned(),
        ] {
            let code = refused(client.execute(&statement, &[]).await);
            assert_eq!(code, SqlState::INSUFFICIENT_PRIVILEGE, "{role}: {statement}");
        }
    }
}

#[tokio::test]
async fn a_context_tells_what_it_owns_and_not_what_another_one_does() {
    let hotel = Hotel::open("foreign types").await;
    for context in contexts::ALL {
        let client = as_role(&hotel, context.schema).await;
        let insert = format!("insert into {}.outbox {EVENT}", context.schema);
        for topic in contracts::topics() {
            let result = client.execute(&insert, &[&topic.name]).await;
            match context.topics.contains(&topic) {
                true => assert_eq!(result.unwrap(), 1, "{}", topic.name),
                false => assert_eq!(refused(result), SqlState::CHECK_VIOLATION, "{}", topic.name),
            }
        }
        assert_eq!(refused(client.execute(&insert, &[&"made.up.v1"]).await), SqlState::CHECK_VIOLATION);
    }
}

#[tokio::test]
async fn the_services_login_has_no_rights_of_its_own() {
    let hotel = Hotel::open("login").await;
    let client = connect(&hotel.login.url).await;
    for table in ["accounts.account", "accounts.card", "direct_booking.booking", "payments.payment"] {
        let code = refused(client.execute(&format!("select * from {table}"), &[]).await);
        assert_eq!(code, SqlState::INSUFFICIENT_PRIVILEGE, "{table}");
    }
}
