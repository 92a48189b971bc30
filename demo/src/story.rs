//! One guest's story. Each step is printed with its latency, and its answer must be right.

use std::time::{Duration, Instant};

use aggregator_site::Ledger;
use anyhow::{Context, ensure};
use chrono::{Days, NaiveDate, Utc};
use contracts::{
    ReadAfter,
    id::{AccountId, RoomTypeId},
};
use serde_json::{Value, json};

use crate::{
    client::{Answer, Client, Command},
    millis::millis,
    urls::Urls,
};

/// How long a booking site may take to hear of something.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is asked for that.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The account of the story.
pub(crate) struct Account {
    pub(crate) id: AccountId,
}

impl Account {
    /// Its holder's details, living in this street.
    pub(crate) fn details(&self, street: &str) -> Value {
        json!({
            "name": "Ada Peeters",
            "address": {"street": street, "postalCode": "2000", "city": "Antwerpen", "country": "BE"},
            "email": "ada@example.org",
        })
    }
}

const BOOKING: &str =
    "query Booking($id: ID!) { booking(id: $id) { status checkIn checkOut account { name address { street } } } }";

/// Tells the story and answers the account that it is about.
///
/// # Errors
/// When any answer is not the right one.
pub(crate) async fn tell(client: &Client, urls: &Urls) -> anyhow::Result<Account> {
    let mut teller = Teller { client, step: 0 };
    println!("\n      {:<58} {:>6} {:>10}", "", "status", "latency");

    let account = Account { id: AccountId::generate() };
    let mut details = account.details("Meir 1");
    details["accountId"] = json!(account.id);
    let opened = teller.command("open an account for Ada Peeters", "/accounts/accounts", &details, None, 201).await?;
    let opened_token = token(&opened)?;

    let path = format!("/accounts/accounts/{}/change-card-details", account.id);
    let card = json!({"cardToken": "tok_ada"});
    teller.command("name the card that is charged, by its token", &path, &card, None, 200).await?;

    let double = RoomTypeId::generate();
    let rooms = json!({"roomTypeId": double, "name": "Double room", "rooms": [{"number": "101", "stepFree": true}, {"number": "102"}]});
    teller.command("define a room type with two rooms", "/direct-booking/room-types", &rooms, None, 201).await?;

    let today = Utc::now().date_naive();
    let (check_in, check_out) = (today + Days::new(30), today + Days::new(34));
    let wish = json!({
        "accountId": account.id, "roomTypeId": double, "checkIn": check_in, "checkOut": check_out,
        "guests": {"adults": 2}, "nightlyRate": {"amountMinor": 12_500, "currency": "EUR"},
    });
    let booked = teller
        .command("book four nights on the account", "/direct-booking/bookings", &wish, Some(&opened_token), 202)
        .await?;
    ensure!(booked.body["total"]["amountMinor"] == 50_000, "four nights of 125.00 should be 500.00: {}", booked.body);
    let booking = booked.body["bookingId"].as_str().context("no bookingId in the answer")?.to_owned();
    let trace_id = booked.trace_id.clone().context("no traceparent in the answer")?;

    let seen = teller
        .query("GraphQL: the booking, the account's name joined in", &booking, &[&token(&booked)?, &opened_token])
        .await?;
    ensure!(seen["account"]["name"] == "Ada Peeters", "the account's name should be joined in: {seen}");

    let paid = next_version(&token(&booked)?)?;
    let seen = teller.query("GraphQL: its card was charged, it is confirmed", &booking, &[&paid]).await?;
    ensure!(seen["status"] == "CONFIRMED", "the booking should be confirmed: {seen}");

    let path = format!("/accounts/accounts/{}/change-details", account.id);
    let moved =
        teller.command("change the account's address", &path, &account.details("Groenplaats 9"), None, 200).await?;
    let seen = teller.query("GraphQL: the booking shows the new address", &booking, &[&token(&moved)?]).await?;
    ensure!(seen["account"]["address"]["street"] == "Groenplaats 9", "the new address should be there: {seen}");

    let mut upside_down = wish.clone();
    (upside_down["checkIn"], upside_down["checkOut"]) = (json!(check_out), json!(check_in));
    let refused = teller
        .command("a booking with its dates upside down is refused", "/direct-booking/bookings", &upside_down, None, 422)
        .await?;
    ensure!(refused.body["errors"][0]["pointer"] == "/checkOut", "the bad field should be named: {}", refused.body);

    let path = format!("/direct-booking/bookings/{booking}/cancel");
    let cancelled = teller.command("cancel the booking", &path, &json!({}), None, 200).await?;
    let seen = teller.query("GraphQL: the booking is cancelled", &booking, &[&token(&cancelled)?]).await?;
    ensure!(seen["status"] == "CANCELLED", "the booking should be cancelled: {seen}");

    let site = urls.sites.first().context("no booking site runs")?;
    sell_elsewhere(&mut teller, site, &double, (check_in, check_out)).await?;

    println!("\nThe booking's trace, from the command through the outbox and Kafka to the view: {trace_id}");
    Ok(account)
}

/// A booking site gets one of the rooms to sell, and sells it.
async fn sell_elsewhere(
    teller: &mut Teller<'_>,
    url: &str,
    room_type: &RoomTypeId,
    (check_in, check_out): (NaiveDate, NaiveDate),
) -> anyhow::Result<()> {
    let site = json!({"siteId": "expo", "name": "Expo", "url": url});
    teller.command("connect Expo, a site that sells rooms", "/channel-manager/sites", &site, None, 201).await?;
    let room = json!({"roomTypeId": room_type, "rooms": 1});
    teller.command("allot it one room of the two", "/channel-manager/sites/expo/allot", &room, None, 200).await?;
    let may_sell = |ledger: &Ledger| {
        let nights = ledger.availability.get(room_type.as_str());
        nights.and_then(|nights| nights.get(&check_in)).map(|told| told.available)
    };
    teller.heard("the site has been told: one room", url, |ledger| may_sell(ledger) == Some(1)).await?;

    let sold = json!({
        "reference": "X-1", "roomTypeId": room_type, "checkIn": check_in, "checkOut": check_out,
        "guests": {"adults": 1}, "nightlyRate": {"amountMinor": 11_000, "currency": "EUR"},
    });
    let path = "/channel-manager/sites/expo/receive-booking";
    teller.command("the site has sold it: its booking comes in", path, &sold, None, 202).await?;
    let is_accepted = |ledger: &Ledger| ledger.bookings.get("X-1").is_some_and(|told| told.status == "ACCEPTED");
    let is_heard = |ledger: &Ledger| is_accepted(ledger) && may_sell(ledger) == Some(0);
    teller.heard("the site has been told: accepted, and none is left", url, is_heard).await
}

fn token(answer: &Answer) -> anyhow::Result<String> {
    answer.read_after.clone().context("no Read-After header in a command's answer")
}

/// The token of what happens next to the same aggregate.
fn next_version(token: &str) -> anyhow::Result<String> {
    let token: ReadAfter = token.parse()?;
    Ok(ReadAfter { version: token.version.next(), ..token }.to_string())
}

/// Does a step, prints it, and checks its status.
struct Teller<'a> {
    client: &'a Client,
    step: usize,
}

impl Teller<'_> {
    async fn command(
        &mut self,
        what: &str,
        path: &str,
        body: &Value,
        read_after: Option<&str>,
        expected: u16,
    ) -> anyhow::Result<Answer> {
        let answer = self.client.post(Command { path, body, read_after, at: None }).await?;
        self.print(what, answer.status.as_u16(), answer.took);
        ensure!(answer.status == expected, "expected {expected} from POST {path}: {}", answer.body);
        Ok(answer)
    }

    async fn query(&mut self, what: &str, booking: &str, read_after: &[&str]) -> anyhow::Result<Value> {
        let (mut data, took) = self.client.query(BOOKING, json!({"id": booking}), read_after).await?;
        self.print(what, 200, took);
        Ok(data["booking"].take())
    }

    /// Waits until a booking site has been told something.
    async fn heard(&mut self, what: &str, site: &str, is_told: impl Fn(&Ledger) -> bool) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            let ledger = self.client.site(site).await?;
            let took = start.elapsed();
            if is_told(&ledger) {
                self.print(what, 200, took);
                return Ok(());
            }
            let (nights, bookings) = (&ledger.availability, &ledger.bookings);
            ensure!(took < PATIENCE, "{what}: not within {} s: {nights:?} {bookings:?}", PATIENCE.as_secs());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn print(&mut self, what: &str, status: u16, took: Duration) {
        self.step += 1;
        println!("  {:>2}  {what:<58} {status:>6} {:>10}", self.step, millis(took));
    }
}
