//! From an answer to an HTTP response.

use async_graphql::ServerError;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{accept::Media, allow, request::Refusal};
use crate::graphql::{Answer, Code, Error};

/// The response to a GraphQL request that was well-formed.
pub(super) fn answer(media: Media, answer: Answer) -> Response {
    match answer {
        Answer::Executed(body, _) => write(media, StatusCode::OK, body),
        Answer::Refused(errors) => {
            let code = errors.first().and_then(Code::of).unwrap_or(Code::Internal);
            // By the older media type's rule a client learns from the errors alone what came of its request.
            let status = match (media, code) {
                (Media::GraphQl, _) | (_, Code::MethodNotAllowed) => status(code),
                _ => StatusCode::OK,
            };
            write(media, status, errors_only(&errors))
        }
    }
}

/// The response to what is no GraphQL request.
pub(super) fn refusal(media: Media, refusal: Refusal) -> Response {
    let error = Error::new(refusal.code, refusal.message).into_server_error();
    let mut response = write(media, refusal.status, errors_only(&[error]));
    if let Some((name, value)) = refusal.header {
        response.headers_mut().insert(name, value);
    }
    response
}

fn status(code: Code) -> StatusCode {
    match code {
        Code::ParseFailed
        | Code::ValidationFailed
        | Code::OperationResolutionFailure
        | Code::BadUserInput
        | Code::PersistedQueryNotFound
        | Code::BadRequest => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::NotYetVisible | Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An answer without data.
fn errors_only(errors: &[ServerError]) -> Vec<u8> {
    // Writing to memory does not fail.
    serde_json::to_vec(&serde_json::json!({ "errors": errors })).unwrap_or_default()
}

fn write(media: Media, status: StatusCode, body: Vec<u8>) -> Response {
    let content_type = match media {
        Media::GraphQl => "application/graphql-response+json; charset=utf-8",
        Media::Json | Media::EventStream | Media::Html => "application/json; charset=utf-8",
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::VARY, HeaderValue::from_static("Accept")),
    ];
    let mut response = (status, headers, body).into_response();
    if status == StatusCode::METHOD_NOT_ALLOWED {
        allow(&mut response);
    }
    response
}
