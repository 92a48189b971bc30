//! Refusals and failures as RFC 9457 problem details: every answer that is not a success has this form.

use std::convert::Infallible;

use auth::Denied;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::answer::Answer;

/// The media type of a problem.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// A problem, on its way to the client. No personal data in `detail`: it may be logged by whoever calls.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    detail: String,
    errors: Vec<Invalid>,
    retry_after: Option<u32>,
    challenge: Option<Box<HeaderValue>>,
}

/// One field that cannot be accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Invalid {
    /// Where it is in the body, as a JSON pointer.
    pub(crate) pointer: String,
    /// What is wrong with it.
    pub(crate) detail: String,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    ty: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Invalid],
}

impl Problem {
    /// A problem whose type is `/problems/{slug}`.
    pub(crate) fn new(status: StatusCode, slug: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, slug, title, detail: detail.into(), errors: Vec::new(), retry_after: None, challenge: None }
    }

    /// The command contradicts the state of things.
    pub(crate) fn conflict(slug: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, slug, title, detail)
    }

    /// Nothing is there.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// The body says something that cannot be accepted.
    pub(crate) fn invalid_fields(errors: Vec<Invalid>) -> Self {
        let detail = match errors.len() {
            1 => "A field of the body cannot be accepted; `errors` names it.".to_owned(),
            count => format!("{count} fields of the body cannot be accepted; `errors` names each."),
        };
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-fields", "Invalid fields", detail);
        Self { errors, ..problem }
    }

    /// A request header says something that cannot be accepted.
    pub(crate) fn invalid_header(name: &str, reason: &str) -> Self {
        let detail = format!("The header {name} {reason}.");
        Self::new(StatusCode::BAD_REQUEST, "invalid-header", "Invalid header", detail)
    }

    /// Not now; the client may try again.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable", detail).retry_after(1)
    }

    /// A fault of this service. What it was is in the log, not in the answer.
    pub(crate) fn internal() -> Self {
        let detail = "The service could not finish the request; its log says why.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    }

    /// What it says, for a log.
    pub(crate) fn in_a_line(&self) -> String {
        let errors: Vec<_> = self.errors.iter().map(|error| format!("{} {}", error.pointer, error.detail)).collect();
        if errors.is_empty() { self.detail.clone() } else { errors.join("; ") }
    }

    /// Tells the client when to try again.
    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let (slug, title) = match &denied {
            Denied::Missing => ("unauthenticated", "Unauthenticated"),
            Denied::Malformed(_) => ("invalid-header", "Invalid header"),
            Denied::Invalid(_) => ("invalid-token", "Invalid token"),
            Denied::Insufficient(_) => ("insufficient-scope", "Insufficient scope"),
            Denied::Unavailable => return Self::unavailable(format!("Sorry: {denied}.")),
        };
        let challenge = denied.challenge().map(Box::new);
        Self { challenge, ..Self::new(denied.status(), slug, title, format!("Not done: {denied}.")) }
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        let body = Body {
            ty: format!("/problems/{}", problem.slug),
            title: problem.title,
            status: problem.status.as_u16(),
            detail: &problem.detail,
            errors: &problem.errors,
        };
        // Text and a number can always be written.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut answer = Self::new(problem.status, MEDIA_TYPE, body);
        if let Some(challenge) = problem.challenge {
            answer.headers.insert(header::WWW_AUTHENTICATE, *challenge);
        }
        if let Some(seconds) = problem.retry_after {
            answer.headers.insert(header::RETRY_AFTER, seconds.into());
        }
        answer
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        Answer::from(self).into_response()
    }
}

/// So that a command whose path has no parameter needs no case of its own.
impl From<Infallible> for Problem {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
