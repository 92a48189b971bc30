//! What every command brings beside its body: its id, its story's id, its time, and what it presupposes.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, request::Parts},
};
use chrono::{DateTime, SubsecRound, Utc};
use contracts::{
    ReadAfter,
    envelope::{Envelope, TraceContext},
};
use uuid::Uuid;

use crate::{
    clock,
    conditional::{self, IfMatch},
    context::Surroundings,
    failure::Failure,
    outbox::Document,
    problem::Problem,
    read_after,
    shell::Shell,
};

/// The header that names the story which a command belongs to, in requests and answers.
pub(crate) const CORRELATION_ID: &str = "x-correlation-id";

/// What an event is caused by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    /// The command or event that is its direct cause.
    pub(crate) id: Uuid,
    /// The story that it belongs to.
    pub(crate) correlation_id: String,
    /// The trace that goes on with it; empty where that is the current span's.
    pub(crate) trace: TraceContext,
}

impl Cause {
    /// A message, where it has caused something.
    pub(crate) fn of(envelope: &Envelope) -> Self {
        let correlation_id = envelope.correlation_id.clone().unwrap_or_else(|| envelope.id.to_string());
        Self { id: envelope.id, correlation_id, trace: envelope.trace.clone() }
    }
}

/// One command, as its request's headers describe it.
#[derive(Debug)]
pub(crate) struct Command {
    /// What its event names as its cause; unless the client names a story, it starts its own.
    pub(crate) cause: Cause,
    /// What time it is for it.
    pub(crate) now: DateTime<Utc>,
    /// The versions of the aggregate that it is meant for.
    pub(crate) if_match: Option<IfMatch>,
    /// What its context has to have seen before it decides.
    pub(crate) read_after: Vec<ReadAfter>,
    /// What is around its context.
    pub(crate) surroundings: Arc<Surroundings>,
}

impl Command {
    /// A command that came as a message.
    pub(crate) fn of_message(cause: Cause, surroundings: Arc<Surroundings>) -> Self {
        Self { cause, now: Utc::now().trunc_subsecs(6), if_match: None, read_after: Vec::new(), surroundings }
    }

    /// Checks `If-Match` against an aggregate's document.
    pub(crate) fn check_version<D: Document, R>(&self, document: &D) -> Result<(), Failure<R>> {
        let version = document.version();
        match &self.if_match {
            Some(if_match) if !if_match.names(&conditional::etag(D::REVISION, version)) => {
                Err(Failure::Outdated(version))
            }
            _ => Ok(()),
        }
    }
}

impl FromRequestParts<Arc<Shell>> for Command {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shell: &Arc<Shell>) -> Result<Self, Problem> {
        let id = Uuid::now_v7();
        let correlation_id = correlation_id(&parts.headers)?.unwrap_or_else(|| id.to_string());
        Ok(Self {
            cause: Cause { id, correlation_id, trace: TraceContext::default() },
            now: shell.clock.now(parts.headers.get(clock::HEADER))?,
            if_match: IfMatch::of(&parts.headers),
            read_after: read_after::tokens(&parts.headers)?,
            surroundings: shell.surroundings.clone(),
        })
    }
}

fn correlation_id(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    let read = |value: &HeaderValue| {
        let text = value.to_str().ok()?;
        ((1..=64).contains(&text.len()) && text.bytes().all(allowed)).then(|| text.to_owned())
    };
    headers
        .get(CORRELATION_ID)
        .map(|value| {
            read(value).ok_or_else(|| {
                Problem::invalid_header("X-Correlation-Id", "may have 1 to 64 of the characters a-z A-Z 0-9 . _ : -")
            })
        })
        .transpose()
}
