//! A context's role can work in its own schema and nowhere else, and tells only what is its own to tell.

use tokio_postgres::{Client, NoTls, error::SqlState};

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

#[tokio::test]
async fn a_role_reads_and_writes_nothing_of_another_context() {
    let hotel = Hotel::open("isolation").await;
    for (role, other, tables) in [
        ("accounts", "direct_booking", &["room_type", "booking", "room_night", "account_copy"] as &[_]),
        ("direct_booking", "accounts", &["account", "card"]),
        ("direct_booking", "payments", &["card", "payment", "operation"]),
        ("payments", "accounts", &["account", "card"]),
        ("payments", "direct_booking", &["room_type", "booking", "room_night", "account_copy"]),
    ] {
        let client = as_role(&hotel, role).await;
        for table in tables.iter().chain(&["outbox", "command_answer", "refinery_schema_history"]) {
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

#[tokio::test]
async fn a_role_does_in_its_own_schema_only_what_commands_do() {
    let hotel = Hotel::open("least privilege").await;
    for (role, tables) in [
        ("accounts", &["account", "card"] as &[_]),
        ("direct_booking", &["room_type", "booking", "room_night", "account_copy"]),
        ("payments", &["card", "payment", "operation"]),
    ] {
        let client = as_role(&hotel, role).await;
        for table in tables {
            client.execute(&format!("select * from {role}.{table}"), &[]).await.unwrap();
        }
        for statement in [
            format!("select * from {role}.outbox"),
            format!("update {role}.outbox set type = ''"),
            format!("delete from {role}.outbox"),
            format!("update {role}.command_answer set status = 200"),
            format!("delete from {role}.{}", tables[0]),
            format!("truncate {role}.{}", tables[0]),
            format!("drop table {role}.{}", tables[0]),
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
async fn a_context_cannot_tell_what_another_one_owns() {
    let hotel = Hotel::open("foreign types").await;
    for (role, own, foreign) in [
        ("accounts", "hotel.accounts.account.v1", "hotel.direct-booking.booking.v1"),
        ("direct_booking", "hotel.direct-booking.booking.v1", "hotel.accounts.account.v1"),
        ("payments", "hotel.payments.payment.v1", "hotel.accounts.card-details.v1"),
    ] {
        let client = as_role(&hotel, role).await;
        let insert = format!("insert into {role}.outbox {EVENT}");
        client.execute(&insert, &[&own]).await.unwrap();
        assert_eq!(refused(client.execute(&insert, &[&foreign]).await), SqlState::CHECK_VIOLATION);
        assert_eq!(refused(client.execute(&insert, &[&"made.up.v1"]).await), SqlState::CHECK_VIOLATION);
    }
}

#[tokio::test]
async fn the_contracts_topics_are_the_types_that_the_schemas_allow() {
    let hotel = Hotel::open("types and topics").await;
    for (role, topics) in [
        ("accounts", contracts::accounts::TOPICS),
        ("direct_booking", contracts::direct_booking::TOPICS),
        ("payments", contracts::payments::TOPICS),
    ] {
        let client = as_role(&hotel, role).await;
        for topic in topics {
            client.execute(&format!("insert into {role}.outbox {EVENT}"), &[&topic.name]).await.unwrap();
        }
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
