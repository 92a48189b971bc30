//! Posting the file as commands.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use contracts::ReadAfter;
use futures::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::{
    inventory::Inventory,
    row::{Refused, Row},
};
use crate::client::{Answer, Client, Command};

/// How many commands are under way at once.
const AT_ONCE: usize = 32;

/// What became of the rows.
pub(crate) struct Posted<'a> {
    pub(crate) accepted: Vec<Accepted<'a>>,
    pub(crate) refused: Vec<Refused>,
    pub(crate) commands: usize,
}

/// A row that was booked, and cancelled where the file says so.
pub(crate) struct Accepted<'a> {
    pub(crate) row: &'a Row,
    pub(crate) account: String,
    /// The token of the last command on it.
    pub(crate) read_after: String,
}

/// Defines the room types.
pub(crate) async fn room_types(client: &Client, inventory: &Inventory) -> anyhow::Result<()> {
    for (room_type, rooms) in inventory.iter() {
        let body = json!({"roomTypeId": room_type, "name": format!("Room type {room_type}"), "rooms": rooms});
        client.must(Command { path: "/direct-booking/room-types", body: &body, read_after: None, at: None }).await?;
    }
    Ok(())
}

/// Opens an account for each agent of the file, and one for those who came without. Answers each account's token.
pub(crate) async fn accounts(client: &Client, rows: &[Row]) -> anyhow::Result<BTreeMap<String, String>> {
    let ids: BTreeSet<String> = rows.iter().map(account).collect();
    stream::iter(ids)
        .map(async |id| {
            let body = json!({
                "accountId": id, "name": format!("Account {id}"), "email": format!("{id}@example.org"),
                "address": {"street": "Rua 1", "city": "Faro", "country": "PT"},
            });
            let path = "/accounts/accounts";
            let opened = client.must(Command { path, body: &body, read_after: None, at: None }).await?;
            let path = format!("{path}/{id}/change-card-details");
            let card = json!({"cardToken": format!("tok_{id}")});
            client.must(Command { path: &path, body: &card, read_after: None, at: None }).await?;
            Ok((id, token(&opened)?))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// The account that a row is booked on.
fn account(row: &Row) -> String {
    match row.agent.as_str() {
        "NULL" => "without-agent".to_owned(),
        agent => format!("agent-{agent}"),
    }
}

/// Books every row, and cancels those that the file says were cancelled.
pub(crate) async fn bookings<'a>(
    client: &Client,
    rows: &'a [Row],
    accounts: &BTreeMap<String, String>,
    progress: &ProgressBar,
) -> anyhow::Result<Posted<'a>> {
    let mut posted = Posted { accepted: Vec::with_capacity(rows.len()), refused: Vec::new(), commands: 0 };
    let mut outcomes = stream::iter(rows)
        .map(async |row| {
            let account = account(row);
            let token = accounts.get(&account).context("an account that was not opened")?;
            book(client, row, account, token).await.with_context(|| format!("line {}", row.line))
        })
        .buffer_unordered(AT_ONCE);
    while let Some(outcome) = outcomes.next().await {
        match outcome? {
            Ok(accepted) => {
                posted.commands += 1 + usize::from(accepted.row.cancelled_at.is_some());
                posted.accepted.push(accepted);
            }
            Err(refused) => {
                posted.commands += 1;
                posted.refused.push(refused);
            }
        }
        progress.inc(1);
    }
    Ok(posted)
}

async fn book<'a>(
    client: &Client,
    row: &'a Row,
    account: String,
    account_token: &str,
) -> anyhow::Result<Result<Accepted<'a>, Refused>> {
    let [adults, children, babies] = row.guests;
    let body = json!({
        "bookingId": row.line.to_string(), "accountId": account, "roomTypeId": row.room_type,
        "checkIn": row.check_in, "checkOut": row.check_out,
        "guests": {"adults": adults, "children": children, "babies": babies},
        "nightlyRate": {"amountMinor": row.rate_cents, "currency": "EUR"},
    });
    let path = "/direct-booking/bookings";
    let command = Command { path, body: &body, read_after: Some(account_token), at: Some(row.made_at) };
    let mut answer = client.post(command).await?;
    if answer.status.is_client_error() {
        return Ok(Err(Refused { line: row.line, reason: reason(&answer) }));
    }
    ensure!(answer.status.is_success(), "{}: {}", answer.status, answer.body);
    if row.cancelled_at.is_some() {
        let path = format!("{path}/{}/cancel", row.line);
        let command = Command { path: &path, body: &json!({}), read_after: None, at: row.cancelled_at };
        answer = client.must(command).await?;
    }
    let mut read_after: ReadAfter = token(&answer)?.parse()?;
    if row.cancelled_at.is_none() && answer.body["status"] == "PENDING" {
        // What comes next is that it is paid.
        read_after.version = read_after.version.next();
    }
    Ok(Ok(Accepted { row, account, read_after: read_after.to_string() }))
}

fn token(answer: &Answer) -> anyhow::Result<String> {
    answer.read_after.clone().context("no Read-After header in a command's answer")
}

/// A refusal in one line: the status, and each bad field or else the title.
fn reason(answer: &Answer) -> String {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let fields: Vec<String> = answer.body["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|error| format!("{} {}", text(error, "pointer"), text(error, "detail")))
        .collect();
    let what = if fields.is_empty() { text(&answer.body, "detail") } else { fields.join("; ") };
    format!("{} {what}", answer.status.as_u16())
}
