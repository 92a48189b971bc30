//! From an answer to an HTTP response.

use async_graphql::{ServerError, Value};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{accept::Media, allow, request::Refusal};
use crate::graphql::{Answer, Code, Error};

#[derive(Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [ServerError],
}

/// The response to a GraphQL request that was well-formed.
pub(super) fn answer(media: Media, answer: Answer) -> Response {
    match answer {
        Answer::Executed(response) => {
            write(media, StatusCode::OK, &Document { data: Some(&response.data), errors: &response.errors })
        }
        Answer::Refused(errors) => {
            let code = errors.first().and_then(Code::of).unwrap_or(Code::Internal);
            // By the older media type's rule a client learns from the errors alone what came of its request.
            let status = match (media, code) {
                (Media::GraphQl, _) | (_, Code::MethodNotAllowed) => status(code),
                _ => StatusCode::OK,
            };
            write(media, status, &Document { data: None, errors: &errors })
        }
    }
}

/// The response to what is no GraphQL request.
pub(super) fn refusal(media: Media, refusal: Refusal) -> Response {
    let error = Error::new(refusal.code, refusal.message).into_server_error();
    write(media, refusal.status, &Document { data: None, errors: &[error] })
}

fn status(code: Code) -> StatusCode {
    match code {
        Code::ParseFailed
        | Code::ValidationFailed
        | Code::OperationResolutionFailure
        | Code::BadUserInput
        | Code::BadRequest => StatusCode::BAD_REQUEST,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::NotYetVisible | Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn write(media: Media, status: StatusCode, document: &Document<'_>) -> Response {
    let content_type = match media {
        Media::GraphQl => "application/graphql-response+json; charset=utf-8",
        Media::Json | Media::Html => "application/json; charset=utf-8",
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::VARY, HeaderValue::from_static("Accept")),
    ];
    let mut response = match serde_json::to_vec(document) {
        Ok(body) => (status, headers, body).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    };
    if status == StatusCode::METHOD_NOT_ALLOWED {
        allow(&mut response);
    }
    response
}
