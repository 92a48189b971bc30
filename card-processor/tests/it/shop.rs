//! A processor that runs in this process, and a client of it.

use std::{path::Path, time::Duration};

use card_processor::{LedgerError, Settings};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use telemetry::CancellationToken;
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};

/// How long anything may take that is awaited. Long, since a loaded machine is slow; a right answer comes far sooner.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A client of one processor.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
}

/// A processor in this process, and a client of it.
pub(crate) struct Shop {
    pub(crate) client: Client,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), LedgerError>>,
}

/// An answer, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) media_type: String,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: String,
}

impl Shop {
    /// With the ledger in memory.
    pub(crate) async fn open() -> Self {
        Self::with(Settings::default()).await
    }

    /// With the ledger in this file.
    pub(crate) async fn on(ledger: &Path) -> Self {
        Self::with(Settings { ledger: Some(ledger.to_owned()) }).await
    }

    async fn with(settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::of(&listener.local_addr().unwrap().to_string());
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(card_processor::serve(settings, listener, shutdown.clone()));
        Self { client, shutdown, task }
    }

    /// Ends it, and waits until its ledger is closed.
    pub(crate) async fn close(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.task).await.expect("it ends in time").unwrap().unwrap();
    }
}

impl std::ops::Deref for Shop {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Client {
    pub(crate) fn of(address: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { url: format!("http://{address}"), http }
    }

    /// A charge that has not been sent.
    pub(crate) fn charging(&self, key: &str, body: &Value) -> RequestBuilder {
        self.http.post(format!("{}/v1/charges", self.url)).header("idempotency-key", key).json(body)
    }

    pub(crate) async fn charge(&self, key: &str, body: &Value) -> Answer {
        answer(self.charging(key, body)).await.unwrap()
    }

    pub(crate) async fn refund(&self, key: &str, charge: &str, amount: u64) -> Answer {
        let body = json!({"chargeKey": charge, "amountMinor": amount, "currency": "EUR"});
        let request = self.http.post(format!("{}/v1/refunds", self.url)).header("idempotency-key", key).json(&body);
        answer(request).await.unwrap()
    }

    /// Tells it how to behave.
    pub(crate) async fn behave(&self, behaviour: &Value) {
        let answer = answer(self.http.put(format!("{}/v1/behaviour", self.url)).json(behaviour)).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.http.get(format!("{}{path}", self.url))).await.unwrap()
    }

    /// The ledger's entries, those of a query such as `?reference=b-1`.
    pub(crate) async fn entries(&self, query: &str) -> Vec<Value> {
        let listing = self.get(&format!("/v1/ledger{query}")).await.json();
        listing["entries"].as_array().unwrap().clone()
    }
}

/// Sends a request. An error is that there was no answer.
pub(crate) async fn answer(request: RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok(Answer {
        status: response.status().as_u16(),
        media_type: header("content-type").unwrap_or_default(),
        retry_after: header("retry-after"),
        body: response.text().await?,
    })
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Checks that it is this problem.
    #[track_caller]
    pub(crate) fn expect_problem(&self, status: u16, slug: &str) {
        assert_eq!((self.status, self.media_type.as_str()), (status, "application/problem+json"), "{self:?}");
        let body = self.json();
        assert_eq!((&body["type"], &body["status"]), (&json!(format!("/problems/{slug}")), &json!(status)), "{body}");
    }
}

/// A charge of 75.00 EUR for this booking.
pub(crate) fn charge(token: &str, reference: &str) -> Value {
    json!({"cardToken": token, "amountMinor": 7500, "currency": "EUR", "reference": reference})
}
