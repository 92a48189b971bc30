//! All that a payment needs, as processes of their own: Accounts by itself, so that it can be down.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use servers::{Kafka, KafkaOptions, Postgres, PostgresOptions, Process};

use crate::{
    http::send,
    services::{done, end, free_address, migrate, until_ready},
};

const DATABASE: &str = "bench";
const START: Duration = Duration::from_secs(60);
const CONTEXTS: [&str; 5] = ["accounts", "direct-booking", "payments", "housekeeping", "channel-manager"];

/// All that runs.
pub(super) struct Hotel {
    /// Where bookings are made.
    pub(super) desk: Arc<Desk>,
    accounts: Option<Process>,
    accounts_address: String,
    settings: Vec<(&'static str, String)>,
    others: Process,
    relay: Process,
    processor: Process,
    _kafka: Kafka,
    _postgres: Postgres,
}

/// The contexts but Accounts.
pub(super) struct Desk {
    address: String,
    keys: AtomicU64,
}

impl Hotel {
    /// Everything is ready, there is an account with a card, and rooms.
    pub(super) async fn open(way: &'static str) -> Result<Self> {
        let (postgres, kafka) = tokio::try_join!(
            Postgres::start(PostgresOptions { fsync: true, ..PostgresOptions::default() }),
            Kafka::start_with(KafkaOptions::default())
        )?;
        postgres.create_database(DATABASE).await?;
        let url = postgres.url(DATABASE);
        migrate("write-service", &url).await?;
        let tables = CONTEXTS.map(|context| format!("--table={}.outbox", context.replace('-', "_")));
        let mut setup = vec!["setup", "--role", "postgres"];
        setup.extend(tables.iter().map(String::as_str));
        done("cdc-capture", &setup, &[("ADMIN_DATABASE_URL", &url)]).await?;

        let (processor_address, relay_address) = (free_address()?, free_address()?);
        let processor = Process::spawn("card-processor", ["--listen", &processor_address], &[])?;
        let settings = vec![
            ("DATABASE_URL", url),
            ("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap_servers()),
            ("CARD_PROCESSOR_URL", format!("http://{processor_address}")),
            ("CARD_DETAILS", way.to_owned()),
            ("RUST_LOG", "warn".to_owned()),
        ];
        let (accounts_address, address) = (free_address()?, free_address()?);
        let relay = Process::spawn("cdc-capture", ["run", "--admin-listen", &relay_address], &borrowed(&settings))?;
        let others = CONTEXTS[1..].join(",");
        let others = Process::spawn(
            "write-service",
            ["serve", "--listen", &address, "--context", &others],
            &borrowed(&settings),
        )?;
        let desk = Arc::new(Desk { address, keys: AtomicU64::new(0) });
        let mut hotel = Self {
            desk,
            accounts: None,
            accounts_address,
            settings,
            others,
            relay,
            processor,
            _kafka: kafka,
            _postgres: postgres,
        };
        hotel.open_accounts().await?;
        until_ready(&relay_address, &hotel.relay).await;
        until_ready(&hotel.desk.address, &hotel.others).await;
        hotel.furnish().await?;
        Ok(hotel)
    }

    async fn furnish(&self) -> Result<()> {
        let account = json!({"accountId": "ada", "name": "Ada Peeters", "email": "ada@example.org",
            "address": {"street": "Meir 1", "city": "Antwerpen", "country": "BE"}});
        self.desk.must(&self.accounts_address, "/accounts/accounts", &account, "").await?;
        let card = json!({"cardToken": "tok_ada"});
        self.desk.must(&self.accounts_address, "/accounts/accounts/ada/change-card-details", &card, "").await?;
        let rooms: Vec<_> = (1..=1_000).map(|number| number.to_string()).collect();
        let double = json!({"roomTypeId": "double", "name": "Double", "rooms": rooms});
        self.desk.must(&self.desk.address, "/direct-booking/room-types", &double, "").await?;
        // Until word of the account is there, a booking is refused and may be tried again.
        servers::eventually("a booking is taken and paid", START, async || {
            self.desk.book(true).await.map(Some).map_err(|error| format!("{error:#}"))
        })
        .await;
        Ok(())
    }

    /// Starts Accounts, and waits until it is ready.
    pub(super) async fn open_accounts(&mut self) -> Result<()> {
        let args = ["serve", "--listen", &self.accounts_address, "--context", CONTEXTS[0]];
        let accounts = Process::spawn("write-service", args, &borrowed(&self.settings))?;
        until_ready(&self.accounts_address, &accounts).await;
        self.accounts = Some(accounts);
        Ok(())
    }

    /// Stops Accounts.
    pub(super) async fn close_accounts(&mut self) -> Result<()> {
        match self.accounts.take() {
            Some(accounts) => end(accounts, "Accounts").await,
            None => Ok(()),
        }
    }

    /// How many of these bookings are confirmed, which is to say paid.
    pub(super) async fn confirmed(&self, ids: &[String]) -> Result<usize> {
        let mut count = 0;
        for id in ids {
            let request = format!("GET /direct-booking/bookings/{id} HTTP/1.1\r\nhost: bench\r\n\r\n");
            count += usize::from(send(&self.desk.address, &request).await?.contains("\"CONFIRMED\""));
        }
        Ok(count)
    }

    /// Ends all of it in good order.
    pub(super) async fn close(mut self) -> Result<()> {
        self.close_accounts().await?;
        end(self.others, "write-service").await?;
        end(self.relay, "cdc-capture").await?;
        end(self.processor, "card-processor").await
    }
}

impl Desk {
    /// Makes a booking, and waits until it is paid if that is wished: its id.
    pub(super) async fn book(&self, wait: bool) -> Result<String> {
        let prefer = if wait { "prefer: wait=8\r\n" } else { "" };
        let (check_in, check_out) = ("2027-03-01", "2027-03-02");
        let booking = json!({"accountId": "ada", "roomTypeId": "double", "checkIn": check_in, "checkOut": check_out,
            "guests": {"adults": 1}, "nightlyRate": {"amountMinor": 7500, "currency": "EUR"}});
        let booking = self.must(&self.address, "/direct-booking/bookings", &booking, prefer).await?;
        let is_as_wished = !wait || booking["status"] == "CONFIRMED";
        ensure!(is_as_wished, "the booking is {}", booking["status"]);
        Ok(booking["bookingId"].as_str().context("a booking without an id")?.to_owned())
    }

    /// Posts a command that must be taken: its document.
    async fn must(&self, address: &str, path: &str, body: &Value, headers: &str) -> Result<Value> {
        let (body, key) = (body.to_string(), self.keys.fetch_add(1, Ordering::Relaxed));
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\nidempotency-key: {key}\r\n{headers}\
             content-length: {length}\r\n\r\n{body}"
        );
        let answer = send(address, &request).await?;
        ensure!(answer.starts_with("HTTP/1.1 2"), "POST {path} answered {answer}");
        let (_, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
        Ok(serde_json::from_str(body)?)
    }
}

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}
