//! The read side beside what was posted.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use anyhow::Context;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::post::Accepted;
use crate::client::Client;

/// How many tokens are waited for in one query.
const TOKENS_A_QUERY: usize = 16;

const PAGE: &str = "query Bookings($after: String) {
  bookings(first: 100, after: $after) {
    nodes {
      id status checkIn checkOut nightlyRate { amountMinor } total { amountMinor currency }
      guests { adults children babies } account { id } roomType { id }
    }
    pageInfo { hasNextPage endCursor }
  }
}";

/// What was found, in numbers.
#[derive(Default)]
pub(crate) struct Comparison {
    posted: Sums,
    seen: Sums,
    /// Bookings that differ, are missing, or were never posted: the first few, each with what is wrong.
    wrong: Vec<String>,
    wrong_rows: usize,
}

#[derive(Default, PartialEq, Eq)]
struct Sums {
    bookings: usize,
    cancelled: usize,
    guests: u64,
    nights: i64,
    total_cents: i64,
}

/// Waits until the read side has all that was posted, then reads every booking and compares it.
///
/// # Errors
/// When a query fails.
pub(crate) async fn read_side(
    client: &Client,
    posted: &[Accepted<'_>],
    progress: &ProgressBar,
) -> anyhow::Result<Comparison> {
    for some in posted.chunks(TOKENS_A_QUERY) {
        let tokens: Vec<&str> = some.iter().map(|accepted| accepted.read_after.as_str()).collect();
        client.wait_for(&tokens).await?;
    }
    let mut expected: HashMap<String, Value> = HashMap::new();
    let mut found = Comparison::default();
    for accepted in posted {
        let document = document(accepted);
        found.posted.add(&document);
        expected.insert(accepted.row.line.to_string(), document);
    }
    let mut after = Value::Null;
    loop {
        let (data, _) = client.query(PAGE, json!({"after": after}), &[]).await?;
        let page = &data["bookings"];
        for node in page["nodes"].as_array().context("no nodes in the answer")? {
            found.seen.add(node);
            let id = node["id"].as_str().unwrap_or_default();
            match expected.remove(id) {
                None => found.note(format!("booking {id}: seen, but not posted or seen twice")),
                Some(document) if document != *node => {
                    found.note(format!("booking {id}: posted {document}, seen {node}"));
                }
                Some(_) => {}
            }
            progress.inc(1);
        }
        if page["pageInfo"]["hasNextPage"] != true {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    let missing: BTreeMap<_, _> = expected.into_iter().collect();
    missing.keys().for_each(|id| found.note(format!("booking {id}: posted, but not seen")));
    Ok(found)
}

/// The booking as the query should answer it.
fn document(accepted: &Accepted<'_>) -> Value {
    let row = accepted.row;
    let [adults, children, babies] = row.guests;
    json!({
        "id": row.line.to_string(),
        "status": if row.cancelled_at.is_some() { "CANCELLED" } else { "CONFIRMED" },
        "checkIn": row.check_in, "checkOut": row.check_out,
        "nightlyRate": {"amountMinor": row.rate_cents},
        "total": {"amountMinor": row.rate_cents * row.nights().count() as i64, "currency": "EUR"},
        "guests": {"adults": adults, "children": children, "babies": babies},
        "account": {"id": accepted.account}, "roomType": {"id": row.room_type},
    })
}

impl Sums {
    fn add(&mut self, booking: &Value) {
        let day = |name: &str| booking[name].as_str().and_then(|text| text.parse::<chrono::NaiveDate>().ok());
        self.bookings += 1;
        self.cancelled += usize::from(booking["status"] == "CANCELLED");
        self.guests +=
            ["adults", "children", "babies"].iter().filter_map(|kind| booking["guests"][*kind].as_u64()).sum::<u64>();
        self.nights += day("checkIn").zip(day("checkOut")).map_or(0, |(from, to)| (to - from).num_days());
        self.total_cents += booking["total"]["amountMinor"].as_i64().unwrap_or_default();
    }
}

impl Comparison {
    /// Whether the read side is what was posted.
    pub(crate) fn agrees(&self) -> bool {
        self.wrong_rows == 0 && self.posted == self.seen
    }

    fn note(&mut self, what: String) {
        self.wrong_rows += 1;
        if self.wrong.len() < 10 {
            self.wrong.push(what);
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (posted, seen) = (&self.posted, &self.seen);
        let euros = |cents: i64| {
            format!("{}{}.{:02}", if cents < 0 { "-" } else { "" }, (cents / 100).abs(), (cents % 100).abs())
        };
        writeln!(f, "  {:<22} {:>16} {:>16}", "", "posted", "read side")?;
        writeln!(f, "  {:<22} {:>16} {:>16}", "bookings", posted.bookings, seen.bookings)?;
        writeln!(f, "  {:<22} {:>16} {:>16}", "cancelled", posted.cancelled, seen.cancelled)?;
        writeln!(f, "  {:<22} {:>16} {:>16}", "guests", posted.guests, seen.guests)?;
        writeln!(f, "  {:<22} {:>16} {:>16}", "nights", posted.nights, seen.nights)?;
        writeln!(f, "  {:<22} {:>16} {:>16}", "total, EUR", euros(posted.total_cents), euros(seen.total_cents))?;
        write!(f, "  {:<22} {:>16} {:>16}", "rows that differ", "", self.wrong_rows)?;
        self.wrong.iter().try_for_each(|what| write!(f, "\n    {what}"))
    }
}
