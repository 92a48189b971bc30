//! Refusals and failures as RFC 9457 problem details: every answer that is not a success has this form.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// A problem, on its way to the client. No personal data in `detail`: it may be logged by whoever calls.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    detail: String,
    errors: Vec<Invalid>,
    retry_after: Option<u32>,
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
        Self { status, slug, title, detail: detail.into(), errors: Vec::new(), retry_after: None }
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

    /// Tells the client when to try again.
    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            ty: format!("/problems/{}", self.slug),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
