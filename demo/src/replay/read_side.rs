//! The read side's books: every booking with its account and room type joined in, and its own sums of them.

use std::collections::BTreeMap;

use anyhow::Context;
use contracts::{ReadAfter, direct_booking::BOOKING, envelope::AggregateVersion};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::{
    books::{Comparison, Record, Unit},
    post::Accepted,
    sites::Booker,
    write_side::WriteSide,
};
use crate::client::Client;

/// How many tokens are waited for in one query.
const TOKENS_A_QUERY: usize = 16;

const VERSIONS: &str = "select booking_id, version from direct_booking.booking";

const PAGE: &str = "query Bookings($after: String) {
  bookings(first: 100, after: $after) {
    nodes {
      bookingId status checkIn checkOut nightlyRate { amountMinor } total { amountMinor currency }
      guests { adults children babies } account { accountId } roomType { roomTypeId }
    }
    pageInfo { hasNextPage endCursor }
  }
}";

const SUMS: &str = "{ bookingsSummary { byStatus { status count totals { amountMinor currency } } } }";

/// Waits until the read side has all that the write side has, then reads every booking and the sums.
///
/// # Errors
/// When a query fails.
pub(crate) async fn compare(
    client: &Client,
    write_side: &WriteSide,
    posted: &[Accepted<'_>],
    progress: &ProgressBar,
) -> anyhow::Result<Vec<Comparison>> {
    let mut tokens = Vec::with_capacity(posted.len());
    for row in write_side.query(VERSIONS).await? {
        let version = AggregateVersion::try_from(row.try_get::<_, i64>(1)?)?;
        let token = ReadAfter { topic: BOOKING.name.to_owned(), subject: row.try_get(0)?, version };
        tokens.push(token.to_string());
    }
    for some in tokens.chunks(TOKENS_A_QUERY) {
        client.wait_for(&some.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    }
    let expected: BTreeMap<String, Record> = posted.iter().map(|accepted| (accepted.id(), booking(accepted))).collect();
    let sums = sums(expected.values());
    Ok(vec![
        Comparison::of("Read side", Unit::Cents, expected, all(client, progress).await?),
        Comparison::of("Read side: sums", Unit::Cents, sums, summed_up(client).await?),
    ])
}

/// The booking as the query should answer it.
fn booking(accepted: &Accepted<'_>) -> Record {
    let row = accepted.row;
    let [adults, children, babies] = row.guests;
    let account = match &accepted.booker {
        Booker::Account(id) => json!({"accountId": id}),
        Booker::Site(_) | Booker::Guest(_) => Value::Null,
    };
    seen(json!({
        "bookingId": accepted.id(),
        "status": if row.cancelled_at.is_some() { "CANCELLED" } else { "CONFIRMED" },
        "checkIn": row.check_in, "checkOut": row.check_out,
        "nightlyRate": {"amountMinor": row.rate_cents},
        "total": {"amountMinor": accepted.total_cents(), "currency": "EUR"},
        "guests": {"adults": adults, "children": children, "babies": babies},
        "account": account, "roomType": {"roomTypeId": row.room_type},
    }))
}

/// A booking as the view has it.
fn seen(node: Value) -> Record {
    let state = node["status"].as_str().unwrap_or_default().to_owned();
    Record { state, amount: node["total"]["amountMinor"].as_i64().unwrap_or_default(), details: node }
}

async fn all(client: &Client, progress: &ProgressBar) -> anyhow::Result<Vec<(String, Record)>> {
    let (mut found, mut after) = (Vec::new(), Value::Null);
    loop {
        let (mut data, _) = client.query(PAGE, json!({"after": after}), &[]).await?;
        let mut page = data["bookings"].take();
        let Value::Array(nodes) = page["nodes"].take() else { anyhow::bail!("no nodes in the answer") };
        progress.inc(nodes.len() as u64);
        for node in nodes {
            found.push((node["bookingId"].as_str().context("a booking without an id")?.to_owned(), seen(node)));
        }
        if page["pageInfo"]["hasNextPage"] != true {
            return Ok(found);
        }
        after = page["pageInfo"]["endCursor"].take();
    }
}

/// The sums as the view should have them: one record for each status, with how many there are.
fn sums<'a>(bookings: impl Iterator<Item = &'a Record>) -> BTreeMap<String, Record> {
    let mut by_status: BTreeMap<String, (u64, i64)> = BTreeMap::new();
    for booking in bookings {
        let (count, total) = by_status.entry(booking.state.clone()).or_default();
        (*count, *total) = (*count + 1, *total + booking.amount);
    }
    by_status.into_iter().map(|(status, (count, total))| (status.clone(), sum(status, count, total))).collect()
}

async fn summed_up(client: &Client) -> anyhow::Result<Vec<(String, Record)>> {
    let (data, _) = client.query(SUMS, Value::Null, &[]).await?;
    let by_status = data["bookingsSummary"]["byStatus"].as_array().context("no sums in the answer")?;
    by_status
        .iter()
        .map(|of| {
            let status = of["status"].as_str().context("a sum without a status")?.to_owned();
            let [total] = &of["totals"].as_array().context("a sum without totals")?[..] else {
                anyhow::bail!("totals in other currencies than were posted: {of}");
            };
            let count = of["count"].as_u64().unwrap_or_default();
            Ok((status.clone(), sum(status, count, total["amountMinor"].as_i64().unwrap_or_default())))
        })
        .collect()
}

fn sum(status: String, count: u64, total: i64) -> Record {
    Record { state: status, amount: total, details: json!({"count": count}) }
}
