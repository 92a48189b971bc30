//! Who may do what: a context's documents are read with the scope `{context}:read`, its commands sent with `{context}:write`.

use std::sync::Arc;

use auth::Auth;
use axum::{
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::problem::Problem;

/// Who may use a context.
#[derive(Clone)]
pub(crate) struct Access {
    /// What tells who asks.
    pub(crate) auth: Arc<Auth>,
    /// The context's name.
    pub(crate) context: &'static str,
}

/// Who has sent a request, for what is kept of it: an idempotency key is its caller's.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) String);

/// The scope for a method.
pub(crate) fn scope(context: &str, method: &Method) -> String {
    let what = if method == Method::GET || method == Method::HEAD { "read" } else { "write" };
    format!("{context}:{what}")
}

/// Lets a request pass whose token allows it.
pub(crate) async fn guard(State(access): State<Access>, mut request: Request, next: Next) -> Response {
    let bearer = match access.auth.bearer(request.headers()).await {
        Ok(bearer) => bearer,
        Err(denied) => return Problem::from(denied).into_response(),
    };
    if let Err(denied) = bearer.may(&scope(access.context, request.method())) {
        return Problem::from(denied).into_response();
    }
    request.extensions_mut().insert(Caller(bearer.subject));
    next.run(request).await
}
