//! The demo as a client: commands by HTTP, queries by GraphQL.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use contracts::ReadAfter;
use reqwest::{StatusCode, header::HeaderMap};
use serde_json::{Value, json};

use crate::urls::Urls;

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

    /// Posts a command; any status is an answer.
    pub(crate) async fn post(&self, command: Command<'_>) -> anyhow::Result<Answer> {
        let mut request = self.http.post(format!("{}{}", self.write, command.path)).json(command.body);
        if let Some(token) = command.read_after {
            request = request.header(ReadAfter::HEADER, token);
        }
        if let Some(at) = command.at {
            request = request.header("waybill-time", at.to_rfc3339());
        }
        let start = Instant::now();
        let response = request.send().await.with_context(|| format!("POST {}", command.path))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await?;
        let took = start.elapsed();
        Ok(Answer {
            status,
            body: serde_json::from_slice(&body).with_context(|| format!("{status} from POST {}", command.path))?,
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
