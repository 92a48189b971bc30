//! Answers that are successes: what a command did, and documents.

use axum::{
    body::{Body, Bytes},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LOCATION},
    },
    response::{IntoResponse, Response},
};
use contracts::ReadAfter;

use crate::{
    command::CORRELATION_ID,
    conditional,
    outbox::{Document, Recorded},
    problem::Problem,
};

/// The command made something, which is now at `{collection}/{id}`.
pub(crate) fn created(collection: &str, recorded: Recorded) -> Response {
    let location = format!("{collection}/{}", recorded.read_after.subject);
    let mut response = changed(recorded);
    *response.status_mut() = StatusCode::CREATED;
    insert(response.headers_mut(), LOCATION, &location);
    response
}

/// The command changed something.
pub(crate) fn changed(recorded: Recorded) -> Response {
    let etag = conditional::etag(recorded.revision, recorded.read_after.version);
    let mut response = json(recorded.document);
    let headers = response.headers_mut();
    insert(headers, ETAG, &etag);
    insert(headers, HeaderName::from_static(ReadAfter::HEADER), &recorded.read_after.to_string());
    insert(headers, HeaderName::from_static(CORRELATION_ID), &recorded.correlation_id);
    response
}

/// A document as it is now, or 304 when the client has it.
pub(crate) fn document<D: Document>(request: &HeaderMap, document: Option<&D>) -> Result<Response, Problem> {
    let document = document.ok_or_else(|| Problem::not_found("Nothing has this id."))?;
    let etag = conditional::etag(D::REVISION, document.version());
    let mut response = if conditional::is_known(request, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        json(serde_json::to_vec(document).map_err(|_| Problem::internal())?)
    };
    insert(response.headers_mut(), ETAG, &etag);
    // Without a validity it may be stale at once: to be kept, but asked for again.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

fn json(document: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::from(document.into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Ids, versions and tokens are ASCII without control characters: always a header's value.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
