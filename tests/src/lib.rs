//! The whole pipeline as a user runs it: the three real programs, each a process of its own, on databases and topics
//! of the test's own. Nothing of the services' code is used here: a test knows their flags, URLs and topics.

use std::{net::TcpListener, time::Duration};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use servers::{
    Login, Process, TempDatabase, eventually, shared,
    topics::{Record, consume_all},
    unique_prefix,
};

/// How long anything may take that is awaited. Long, since a loaded machine is slow; a right answer comes far sooner.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The schemas of the contexts, which are their roles too.
const SCHEMAS: [&str; 5] = ["accounts", "direct_booking", "payments", "housekeeping", "channel_manager"];

/// A pipeline. Its processes end, and its databases go, when it is dropped.
pub struct Pipeline {
    /// The write service, with all contexts.
    pub write: Service,
    /// The outbox relay.
    pub capture: Service,
    /// The read service.
    pub read: Service,
    /// Before the name of each of this pipeline's topics.
    pub topic_prefix: String,
    /// The shared Kafka's bootstrap servers.
    pub kafka: String,
    /// The contexts' database.
    pub write_database: TempDatabase,
    /// The views' database.
    pub read_database: TempDatabase,
    http: reqwest::Client,
}

/// What an answer to a command holds.
#[derive(Debug)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Its body: the document, or what is wrong.
    pub body: Value,
    /// The token by which a query waits for what the command did.
    pub read_after: Option<String>,
    /// All its headers.
    pub headers: reqwest::header::HeaderMap,
}

impl Pipeline {
    /// Starts all of it and waits until all of it is ready. `settings` are variables for every process.
    pub async fn start(purpose: &str, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let pipeline = Self::prepare(purpose, settings).await?;
        for service in [&pipeline.write, &pipeline.capture, &pipeline.read] {
            pipeline.until_ready(service).await;
        }
        Ok(pipeline)
    }

    /// Makes databases, schemas, publication and slot, and starts the processes.
    async fn prepare(purpose: &str, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let kafka = shared::kafka().bootstrap_servers.clone();
        let topic_prefix = unique_prefix(purpose);
        let write_database = TempDatabase::create(purpose).await;
        let read_database = TempDatabase::create(purpose).await;
        done("write-service", &["migrate"], &[("MIGRATION_DATABASE_URL", &write_database.url())]).await?;
        done("read-service", &["migrate"], &[("MIGRATION_DATABASE_URL", &read_database.url())]).await?;

        let writer =
            write_database.create_login("writer", &format!("NOINHERIT IN ROLE {}", SCHEMAS.join(", "))).await?;
        let reader = read_database.create_login("reader", "NOINHERIT IN ROLE read_service").await?;
        let relay = write_database.create_login("relay", "REPLICATION").await?;
        let slot = relay.role.clone();
        let tables = SCHEMAS.map(|schema| format!("--table={schema}.outbox"));
        let mut setup = vec!["setup", "--role", &relay.role, "--slot", &slot];
        setup.extend(tables.iter().map(String::as_str));
        done("cdc-capture", &setup, &[("ADMIN_DATABASE_URL", &write_database.url())]).await?;

        let common = |login: &Login| {
            let mut envs = vec![
                ("DATABASE_URL".to_owned(), login.url.clone()),
                ("KAFKA_BOOTSTRAP_SERVERS".to_owned(), kafka.clone()),
                ("TOPIC_PREFIX".to_owned(), topic_prefix.clone()),
            ];
            envs.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
            envs
        };
        Ok(Self {
            write: Service::start("write-service", &["serve"], "LISTEN", common(&writer))?,
            capture: Service::start("cdc-capture", &["run", "--slot", &slot], "ADMIN_LISTEN", common(&relay))?,
            read: Service::start("read-service", &["serve"], "LISTEN", common(&reader))?,
            topic_prefix,
            kafka,
            write_database,
            read_database,
            http: reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?,
        })
    }

    /// Waits until `/readyz` of a service says that it is.
    pub async fn until_ready(&self, service: &Service) {
        eventually(&format!("{} is ready", service.name), PATIENCE, async || {
            let response =
                self.http.get(format!("{}/readyz", service.url)).send().await.map_err(|error| error.to_string());
            match response {
                Ok(response) if response.status() == 200 => Ok(Some(())),
                Ok(response) => Err(response.text().await.unwrap_or_default()),
                Err(error) => Err(format!("{error}; its log:\n{}", service.process.log())),
            }
        })
        .await;
    }

    /// Posts a command, under a key of its own unless the headers have one. Any status is an answer.
    pub async fn post(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let mut request = self.http.post(format!("{}{path}", self.write.url)).json(body);
        if !headers.iter().any(|(name, _)| *name == "idempotency-key") {
            request = request.header("idempotency-key", unique_prefix("key"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let read_after = headers.get("read-after").and_then(|token| token.to_str().ok()).map(str::to_owned);
        Ok(Answer { status, body: response.json().await?, read_after, headers })
    }

    /// Posts a command that must be taken, and answers its token too.
    pub async fn must(&self, path: &str, body: &Value, read_after: Option<&str>) -> anyhow::Result<(Value, String)> {
        let headers: Vec<_> = read_after.map(|token| ("read-after", token)).into_iter().collect();
        let answer = self.post(path, body, &headers).await?;
        ensure!((200..300).contains(&answer.status), "POST {path} answered {answer:?}");
        Ok((answer.body, answer.read_after.context("no Read-After header")?))
    }

    /// The data of a query, once all the tokens are visible.
    pub async fn query(&self, query: &str, variables: &Value, read_after: &[&str]) -> anyhow::Result<Value> {
        let mut request = self.http.post(format!("{}/graphql", self.read.url));
        if !read_after.is_empty() {
            request = request.header("read-after", read_after.join(","));
        }
        let body = json!({"query": query, "variables": variables});
        let mut answer: Value = request.json(&body).send().await?.json().await?;
        ensure!(answer.get("errors").is_none(), "{}", answer["errors"]);
        Ok(answer["data"].take())
    }

    /// All records of a topic, by its name without the prefix, once there are any.
    pub async fn records_of(&self, topic: &str) -> Vec<Record> {
        let name = format!("{}{topic}", self.topic_prefix);
        eventually(&format!("{topic} has a record"), PATIENCE, async || {
            let records = consume_all(&self.kafka, &name).await.map_err(|error| format!("{error:#}"))?;
            Ok::<_, String>((!records.is_empty()).then_some(records))
        })
        .await
    }

    /// Opens an account and defines a room type with so many rooms; answers their ids once bookings can be made.
    pub async fn open_for_bookings(&self, rooms: usize) -> anyhow::Result<(String, String)> {
        let (account, opened) = self.must("/accounts/accounts", &account("Meir 1"), None).await?;
        let numbers: Vec<String> = (1..=rooms).map(|number| number.to_string()).collect();
        let double = json!({"name": "Double room", "rooms": numbers});
        let (room_type, _) = self.must("/direct-booking/room-types", &double, None).await?;
        let id = |document: &Value, name: &str| document[name].as_str().map(str::to_owned).context("no id");
        let (account, room_type) = (id(&account, "accountId")?, id(&room_type, "roomTypeId")?);
        // A booking waits for the account once; from then on Direct booking knows it.
        let (booked, _) = self.must("/direct-booking/bookings", &booking(&account, &room_type), Some(&opened)).await?;
        let cancel = format!("/direct-booking/bookings/{}/cancel", id(&booked, "bookingId")?);
        self.must(&cancel, &json!({}), None).await?;
        Ok((account, room_type))
    }
}

/// The body that opens an account.
pub fn account(street: &str) -> Value {
    json!({
        "name": "Ada Peeters", "email": "ada@example.org",
        "address": {"street": street, "postalCode": "2000", "city": "Antwerpen", "country": "BE"},
    })
}

/// The body that books one night, a month from now.
pub fn booking(account: &str, room_type: &str) -> Value {
    let check_in = chrono::Utc::now().date_naive() + chrono::Days::new(30);
    json!({
        "accountId": account, "roomTypeId": room_type,
        "checkIn": check_in, "checkOut": check_in + chrono::Days::new(1),
        "guests": {"adults": 2}, "nightlyRate": {"amountMinor": 12_500, "currency": "EUR"},
    })
}

/// One of the programs, run so that it can be killed and started again with the same settings.
pub struct Service {
    /// The program's name.
    pub name: &'static str,
    /// Where it listens.
    pub url: String,
    /// The process, while it runs and after.
    pub process: Process,
    args: Vec<String>,
    envs: Vec<(String, String)>,
}

impl Service {
    /// Starts a program that listens on a free port, which it is told by the variable `listen`.
    pub fn start(
        name: &'static str,
        args: &[&str],
        listen: &str,
        mut envs: Vec<(String, String)>,
    ) -> anyhow::Result<Self> {
        // Free at this moment, and not given out again soon: the kernel goes round its range.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        envs.push((listen.to_owned(), address.clone()));
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let process = spawn(name, &args, &envs)?;
        Ok(Self { name, url: format!("http://{address}"), process, args, envs })
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub async fn kill(&self) -> anyhow::Result<()> {
        self.process.kill().await.map(drop)
    }

    /// Starts it again as it was.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.process = spawn(self.name, &self.args, &self.envs)?;
        Ok(())
    }
}

fn spawn(name: &str, args: &[String], envs: &[(String, String)]) -> anyhow::Result<Process> {
    let envs: Vec<(&str, &str)> = envs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Process::spawn(name, args, &envs)
}

/// Runs a program to its end, which must be a good one.
async fn done(name: &str, args: &[&str], envs: &[(&str, &str)]) -> anyhow::Result<()> {
    let process = Process::spawn(name, args, envs)?;
    let status = process.wait(PATIENCE).await?;
    ensure!(status.success(), "{name} {args:?} ended with {status}:\n{}", process.log());
    Ok(())
}
