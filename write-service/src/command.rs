//! What every command brings beside its body: its id, its story's id, its time, and what it presupposes.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, request::Parts},
};
use chrono::{DateTime, Utc};
use contracts::ReadAfter;
use uuid::Uuid;

use crate::{
    clock,
    conditional::{self, IfMatch},
    failure::Failure,
    outbox::Document,
    problem::Problem,
    read_after,
    shell::Shell,
};

/// The header that names the story which a command belongs to, in requests and answers.
pub(crate) const CORRELATION_ID: &str = "x-correlation-id";

/// One command, as its request's headers describe it.
#[derive(Debug)]
pub(crate) struct Command {
    /// Its id: the direct cause of its event.
    pub(crate) id: Uuid,
    /// The story that it belongs to; unless the client names one, it starts its own.
    pub(crate) correlation_id: String,
    /// What time it is for it.
    pub(crate) now: DateTime<Utc>,
    /// The versions of the aggregate that it is meant for.
    pub(crate) if_match: Option<IfMatch>,
    /// What its context has to have seen before it decides.
    pub(crate) read_after: Vec<ReadAfter>,
}

impl Command {
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

impl FromRequestParts<Shell> for Command {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shell: &Shell) -> Result<Self, Problem> {
        let id = Uuid::now_v7();
        Ok(Self {
            id,
            correlation_id: correlation_id(&parts.headers)?.unwrap_or_else(|| id.to_string()),
            now: shell.clock.now(parts.headers.get(clock::HEADER))?,
            if_match: IfMatch::of(&parts.headers),
            read_after: read_after::tokens(&parts.headers)?,
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
