//! The demo as a client: commands by HTTP, queries by GraphQL; and what third parties say that they were told.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use contracts::ReadAfter;
use reqwest::{StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use telemetry::backoff::Backoff;
use uuid::Uuid;

use crate::urls::Urls;

/// For how long a command is sent again and again.
const PATIENCE: Duration = Duration::from_secs(30);

/// For how long it is waited for what is still to happen.
const LONG_PATIENCE: Duration = Duration::from_secs(120);

/// A client of both sides.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    write: String,
    graphql: String,
}

/// A command: where to, what, and under which conditions.
#[derive(Clone, Copy)]
pub(crate) struct Command<'a> {
    pub(crate) path: &'a str,
    pub(crate) body: &'a Value,
    /// Wait until this is known where the command goes.
    pub(crate) read_after: Option<&'a str>,
    /// The command's clock, when it is not this machine's.
    pub(crate) at: Option<DateTime<Utc>>,
}

/// What a command answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    /// Whether it is no answer of the command itself: something was away, or not yet known.
    may_be_tried_again: bool,
    /// The token by which a query waits for what the command did.
    pub(crate) read_after: Option<String>,
    /// The trace that the command started.
    pub(crate) trace_id: Option<String>,
    pub(crate) took: Duration,
}

impl Client {
    pub(crate) fn new(urls: &Urls) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
        Ok(Self { http, write: urls.write.clone(), graphql: format!("{}/graphql", urls.read) })
    }

    /// Posts a command; any status is an answer. Where there is none, since the connection broke, or one that says when to
    /// try again, it is sent again: under the same key, so that it is done once however often it arrives.
    pub(crate) async fn post(&self, command: Command<'_>) -> anyhow::Result<Answer> {
        let key = Uuid::now_v7().to_string();
        let start = Instant::now();
        let mut backoff = Backoff::for_connecting();
        loop {
            let tried = self.try_once(command, &key, start).await;
            let again = match &tried {
                Ok(answer) => answer.may_be_tried_again,
                Err(_) => true,
            };
            if !again || start.elapsed() > PATIENCE {
                return tried.with_context(|| format!("POST {}", command.path));
            }
            tokio::time::sleep(backoff.next_wait()).await;
        }
    }

    async fn try_once(&self, command: Command<'_>, key: &str, start: Instant) -> anyhow::Result<Answer> {
        let mut request = self.http.post(format!("{}{}", self.write, command.path)).json(command.body);
        request = request.header("idempotency-key", key);
        if let Some(token) = command.read_after {
            request = request.header(ReadAfter::HEADER, token);
        }
        if let Some(at) = command.at {
            request = request.header("waybill-time", at.to_rfc3339());
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await?;
        let took = start.elapsed();
        Ok(Answer {
            status,
            body: serde_json::from_slice(&body).with_context(|| format!("answered {status}"))?,
            may_be_tried_again: headers.contains_key("retry-after"),
            read_after: text(&headers, ReadAfter::HEADER),
            trace_id: text(&headers, "traceparent").and_then(|parent| parent.split('-').nth(1).map(str::to_owned)),
            took,
        })
    }

    /// Posts a command that must be taken.
    pub(crate) async fn must(&self, command: Command<'_>) -> anyhow::Result<Answer> {
        let answer = self.post(command).await?;
        ensure!(answer.status.is_success(), "POST {} answered {}: {}", command.path, answer.status, answer.body);
        Ok(answer)
    }

    /// Waits until the tokens are visible, as long as it takes within bounds: what they name may still have to happen.
    pub(crate) async fn wait_for(&self, read_after: &[&str]) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            match self.query("{ bookings(first: 1) { nodes { bookingId } } }", Value::Null, read_after).await {
                Err(error) if start.elapsed() > LONG_PATIENCE => return Err(error),
                Err(_) => {}
                Ok(_) => return Ok(()),
            }
        }
    }

    /// What a booking site goes by.
    pub(crate) async fn site(&self, url: &str) -> anyhow::Result<aggregator_site::Ledger> {
        let answer = self.http.get(format!("{url}/v1/ledger")).send().await.context("GET /v1/ledger of a site")?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// Every charge and refund that the third party knows of.
    pub(crate) async fn charges(&self, url: &str) -> anyhow::Result<Vec<card_processor::Entry>> {
        let answer = self.http.get(format!("{url}/v1/ledger")).send().await.context("GET /v1/ledger of the cards")?;
        let mut ledger: Value = answer.error_for_status()?.json().await?;
        Ok(serde_json::from_value(ledger["entries"].take())?)
    }

    /// The data of a query, which waits first until the tokens are visible; any error in the answer is one here.
    pub(crate) async fn query(
        &self,
        query: &str,
        variables: Value,
        read_after: &[&str],
    ) -> anyhow::Result<(Value, Duration)> {
        let mut request = self.http.post(&self.graphql).json(&json!({"query": query, "variables": variables}));
        if !read_after.is_empty() {
            request = request.header(ReadAfter::HEADER, read_after.join(","));
        }
        let start = Instant::now();
        let mut answer: Value = request.send().await.context("POST /graphql")?.json().await?;
        let took = start.elapsed();
        if let Some(errors) = answer.get("errors") {
            bail!("the query answered errors: {errors}");
        }
        Ok((answer["data"].take(), took))
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// Takes one request, answers it so or hangs up, and gives its key.
    async fn key_of_one(listener: &TcpListener, answer: &str) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        let request = String::from_utf8_lossy(&request[..length]).into_owned();
        request.lines().find_map(|line| line.strip_prefix("idempotency-key: ")).unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn a_command_that_gets_no_answer_is_sent_again_under_its_key() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let write = format!("http://{}", listener.local_addr().unwrap());
        let client = Client { http: reqwest::Client::new(), write, graphql: String::new() };
        let server = async {
            let hung_up = key_of_one(&listener, "").await;
            let busy = "HTTP/1.1 503 x\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
            let unavailable = key_of_one(&listener, busy).await;
            let taken =
                key_of_one(&listener, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}").await;
            [hung_up, unavailable, taken]
        };
        let body = json!({});
        let command = Command { path: "/", body: &body, read_after: None, at: None };
        let (answer, keys) = tokio::join!(client.post(command), server);
        assert_eq!(answer.unwrap().status, 200);
        assert!(!keys[0].is_empty() && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    }
}
