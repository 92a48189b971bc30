//! Posting the file as commands.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::{
    inventory::Inventory,
    row::{Refused, Row},
    sites::{Booker, Site, Sites},
};
use crate::client::{Answer, Client, Command};

/// How many commands are under way at once.
const AT_ONCE: usize = 32;

/// What became of the rows.
pub(crate) struct Posted<'a> {
    pub(crate) accepted: Vec<Accepted<'a>>,
    pub(crate) refused: Vec<Refused>,
}

/// A row that was taken.
pub(crate) struct Accepted<'a> {
    pub(crate) row: &'a Row,
    pub(crate) booker: Booker,
}

impl Accepted<'_> {
    /// The id of its booking.
    pub(crate) fn id(&self) -> String {
        self.row.line.to_string()
    }

    /// What its booking costs.
    pub(crate) fn total_cents(&self) -> i64 {
        self.row.nights().count() as i64 * self.row.rate_cents
    }

    /// Whether the hotel charges a card for it.
    pub(crate) fn is_charged(&self) -> bool {
        !matches!(self.booker, Booker::Site(_)) && self.total_cents() > 0
    }
}

/// Defines the room types.
pub(crate) async fn room_types(client: &Client, inventory: &Inventory) -> anyhow::Result<()> {
    for (room_type, rooms) in inventory.iter() {
        let rooms: Vec<String> = (1..=rooms).map(|number| number.to_string()).collect();
        let body = json!({"roomTypeId": room_type, "name": format!("Room type {room_type}"), "rooms": rooms});
        must(client, "/direct-booking/room-types", &body).await?;
    }
    Ok(())
}

/// Connects the sites, and allots each the rooms that it is to sell.
pub(crate) async fn sites(client: &Client, sites: &Sites) -> anyhow::Result<()> {
    for Site { id, url, allotment } in &sites.all {
        let body = json!({"siteId": id, "name": format!("Site {id}"), "url": url});
        must(client, "/channel-manager/sites", &body).await?;
        for (room_type, rooms) in allotment.iter() {
            let body = json!({"roomTypeId": room_type, "rooms": rooms});
            must(client, &format!("/channel-manager/sites/{id}/allot"), &body).await?;
        }
    }
    Ok(())
}

/// Opens the accounts on which is booked, each with a card. Answers each account's token.
pub(crate) async fn accounts(client: &Client, rows: &[Row], sites: &Sites) -> anyhow::Result<BTreeMap<String, String>> {
    let ids: BTreeSet<String> = rows
        .iter()
        .filter_map(|row| match sites.booker(row) {
            Booker::Account(id) => Some(id),
            Booker::Site(_) | Booker::Guest(_) => None,
        })
        .collect();
    stream::iter(ids)
        .map(async |id| {
            let body = json!({
                "accountId": id, "name": format!("Account {id}"), "email": format!("{id}@example.org"),
                "address": {"street": "Rua 1", "city": "Faro", "country": "PT"},
            });
            let opened = must(client, "/accounts/accounts", &body).await?;
            let card = json!({"cardToken": format!("tok_{id}")});
            must(client, &format!("/accounts/accounts/{id}/change-card-details"), &card).await?;
            Ok((id, opened.read_after.context("no Read-After header in a command's answer")?))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Posts every row as a booking: at the site that has sold it, or at the hotel.
pub(crate) async fn bookings<'a>(
    client: &Client,
    rows: &'a [Row],
    sites: &Sites,
    accounts: &BTreeMap<String, String>,
    progress: &ProgressBar,
) -> anyhow::Result<Posted<'a>> {
    let mut posted = Posted { accepted: Vec::with_capacity(rows.len()), refused: Vec::new() };
    let mut answers = stream::iter(rows)
        .map(async |row| {
            let booker = sites.booker(row);
            let answer = book(client, row, &booker, sites, accounts).await;
            answer.with_context(|| format!("line {}", row.line)).map(|answer| (row, booker, answer))
        })
        .buffer_unordered(AT_ONCE);
    while let Some(answered) = answers.next().await {
        let (row, booker, answer) = answered?;
        if answer.status.is_client_error() {
            posted.refused.push(Refused { line: row.line, reason: reason(&answer) });
        } else {
            ensure!(answer.status.is_success(), "line {}: {}: {}", row.line, answer.status, answer.body);
            posted.accepted.push(Accepted { row, booker });
        }
        progress.inc(1);
    }
    Ok(posted)
}

async fn book(
    client: &Client,
    row: &Row,
    booker: &Booker,
    sites: &Sites,
    accounts: &BTreeMap<String, String>,
) -> anyhow::Result<Answer> {
    let [adults, children, babies] = row.guests;
    let mut body = json!({
        "bookingId": row.line.to_string(), "roomTypeId": row.room_type,
        "checkIn": row.check_in, "checkOut": row.check_out,
        "guests": {"adults": adults, "children": children, "babies": babies},
        "nightlyRate": {"amountMinor": row.rate_cents, "currency": "EUR"},
    });
    let mut path = "/direct-booking/bookings".to_owned();
    let mut read_after = None;
    match booker {
        Booker::Site(number) => {
            let site = sites.all.get(*number).context("a site that does not run")?;
            path = format!("/channel-manager/sites/{}/receive-booking", site.id);
            body["reference"] = json!(format!("R-{}", row.line));
        }
        Booker::Account(id) => {
            read_after = Some(accounts.get(id).context("an account that was not opened")?.as_str());
            body["accountId"] = json!(id);
        }
        Booker::Guest(id) => {
            let (name, email) = (format!("Guest {}", row.line), format!("{id}@example.org"));
            body["guest"] = json!({"guestId": id, "name": name, "email": email, "cardToken": format!("tok_{id}")});
        }
    }
    client.post(Command { path: &path, body: &body, read_after, at: Some(row.made_at) }).await
}

/// Calls off the bookings that the file says were called off, each where it was made. Answers how many.
pub(crate) async fn cancellations(
    client: &Client,
    accepted: &[Accepted<'_>],
    progress: &ProgressBar,
) -> anyhow::Result<usize> {
    let mut cancelled = stream::iter(accepted.iter().filter(|accepted| accepted.row.cancelled_at.is_some()))
        .map(async |Accepted { row, booker }| {
            let collection = match booker {
                Booker::Site(_) => "/channel-manager/site-bookings",
                Booker::Account(_) | Booker::Guest(_) => "/direct-booking/bookings",
            };
            let path = format!("{collection}/{}/cancel", row.line);
            let command = Command { path: &path, body: &json!({}), read_after: None, at: row.cancelled_at };
            client.must(command).await.with_context(|| format!("line {}", row.line))
        })
        .buffer_unordered(AT_ONCE);
    let mut count = 0;
    while let Some(answer) = cancelled.next().await {
        answer?;
        count += 1;
        progress.inc(1);
    }
    Ok(count)
}

async fn must(client: &Client, path: &str, body: &Value) -> anyhow::Result<Answer> {
    client.must(Command { path, body, read_after: None, at: None }).await
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
