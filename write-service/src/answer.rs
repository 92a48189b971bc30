//! Answers: what a command did, and documents.

use axum::{
    body::Body,
    body::Bytes,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use chrono::Utc;
use contracts::ReadAfter;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    command::CORRELATION_ID,
    conditional,
    outbox::{Document, Recorded},
    problem::Problem,
};

/// An answer, whole: it can be kept, and given again.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// No document: what a command answers whose aggregate is gone.
#[derive(JsonSchema)]
pub(crate) struct Nothing;

impl Answer {
    /// An answer with a body of this media type.
    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = [(CONTENT_TYPE, HeaderValue::from_static(content_type))].into_iter().collect();
        Self { status, headers, body: body.into() }
    }

    /// The command made something, which is now at `{collection}/{id}`.
    pub(crate) fn created(collection: &str, recorded: Recorded) -> Self {
        let location = format!("{collection}/{}", recorded.read_after.subject);
        let mut answer = Self { status: StatusCode::CREATED, ..Self::changed(recorded) };
        insert(&mut answer.headers, LOCATION, &location);
        answer
    }

    /// The command changed something.
    pub(crate) fn changed(recorded: Recorded) -> Self {
        let etag = conditional::etag(recorded.revision, recorded.read_after.version);
        let mut answer = json(recorded.document);
        insert(&mut answer.headers, ETAG, &etag);
        insert(&mut answer.headers, HeaderName::from_static(ReadAfter::HEADER), &recorded.read_after.to_string());
        insert(&mut answer.headers, HeaderName::from_static(CORRELATION_ID), &recorded.correlation_id);
        answer
    }

    /// The command began something, of which `status` will tell what comes of it.
    pub(crate) fn accepted(status: &str, recorded: Recorded) -> Self {
        let mut answer = Self { status: StatusCode::ACCEPTED, ..Self::changed(recorded) };
        insert(&mut answer.headers, LOCATION, status);
        answer
    }

    /// The command's aggregate is gone.
    pub(crate) fn gone(recorded: Recorded) -> Self {
        let mut answer = Self { status: StatusCode::NO_CONTENT, body: Bytes::new(), ..Self::changed(recorded) };
        answer.headers.remove(CONTENT_TYPE);
        answer.headers.remove(ETAG);
        answer
    }

    /// A document as it is now, or 304 when the client has it.
    pub(crate) fn document<D: Document>(request: &HeaderMap, document: Option<&D>) -> Result<Self, Problem> {
        let document = document.ok_or_else(|| Problem::not_found("Nothing has this id."))?;
        let etag = conditional::etag(D::REVISION, document.version());
        let mut answer = Self::tagged(request, &etag, document)?;
        if let Some(until) = document.valid_until() {
            let cache = format!("private, max-age={}", (until - Utc::now()).num_seconds().max(0));
            insert(&mut answer.headers, CACHE_CONTROL, &cache);
        }
        Ok(answer)
    }

    /// Something to be read that has this entity tag, or 304 when the client has it.
    pub(crate) fn tagged(request: &HeaderMap, etag: &str, body: &impl Serialize) -> Result<Self, Problem> {
        if conditional::is_known(request, etag) {
            return Ok(Self::unchanged(etag));
        }
        let answer = json(serde_json::to_vec(body).map_err(|_| Problem::internal())?);
        Ok(answer.with_tag(etag))
    }

    /// The client has it.
    pub(crate) fn unchanged(etag: &str) -> Self {
        Self { status: StatusCode::NOT_MODIFIED, headers: HeaderMap::new(), body: Bytes::new() }.with_tag(etag)
    }

    /// Without a validity it may be stale at once: to be kept, but asked for again.
    fn with_tag(mut self, etag: &str) -> Self {
        insert(&mut self.headers, ETAG, etag);
        self.headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        self
    }

    /// What the event that was recorded with it says for those who wait for it.
    pub(crate) fn read_after(&self) -> Option<ReadAfter> {
        self.headers.get(ReadAfter::HEADER)?.to_str().ok()?.parse().ok()
    }

    /// The answer once it is known what has come of what was begun: the thing as it is now, in its collection.
    pub(crate) fn ended<D: Document>(mut self, collection: &str, document: &D) -> Result<Self, Problem> {
        let (subject, version) = (document.subject().to_owned(), document.version());
        insert(&mut self.headers, LOCATION, &format!("{collection}/{subject}"));
        insert(&mut self.headers, ETAG, &conditional::etag(D::REVISION, version));
        let read_after = ReadAfter { topic: D::TOPIC.name.to_owned(), subject, version };
        insert(&mut self.headers, HeaderName::from_static(ReadAfter::HEADER), &read_after.to_string());
        let body = serde_json::to_vec(document).map_err(|_| Problem::internal())?.into();
        Ok(Self { status: StatusCode::CREATED, headers: self.headers, body })
    }

    /// Whether the command would be answered so again, whenever it is sent: an effect, or a refusal of the command itself.
    /// Not so what is the service's own fault, who asks and how often, and whatever says that it may be tried again.
    pub(crate) fn is_definite(&self) -> bool {
        let of_the_caller = [
            StatusCode::UNAUTHORIZED,
            StatusCode::FORBIDDEN,
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::TOO_MANY_REQUESTS,
        ];
        !self.status.is_server_error()
            && !of_the_caller.contains(&self.status)
            && !self.headers.contains_key(RETRY_AFTER)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        (*response.status_mut(), *response.headers_mut()) = (self.status, self.headers);
        response
    }
}

fn json(document: impl Into<Bytes>) -> Answer {
    Answer::new(StatusCode::OK, "application/json", document)
}

/// Ids, versions and tokens are ASCII without control characters: always a header's value.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_turn_out_otherwise_is_not_definite() {
        let answer = |problem: Problem| Answer::from(problem).is_definite();
        let problem = |status: u16| Problem::new(StatusCode::from_u16(status).unwrap(), "x", "X", "x");
        for status in [404, 409, 412, 422] {
            assert!(answer(problem(status)), "{status}");
        }
        for status in [401, 403, 408, 429, 500, 503] {
            assert!(!answer(problem(status)), "{status}");
        }
        assert!(!answer(problem(409).retry_after(1)));
        assert!(json("{}").is_definite());
    }
}
