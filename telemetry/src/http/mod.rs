//! An HTTP server that traces each request, bounds what a client can hold, and drains at shutdown.

mod server;
mod stall;
mod unread;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method},
    middleware::Next,
    response::Response,
};
use contracts::envelope::{TraceContext, names};
use tracing::{Instrument, Span, field::Empty};

use crate::trace;
pub use server::{Lasting, Limits, serve, serve_with, serve_within};

/// Middleware: a span for each request, as [`traced`] has it.
pub async fn trace(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    traced(request, route, |request| next.run(request)).await
}

/// One SERVER span around what answers a request of this route, named and described by the OpenTelemetry HTTP conventions,
/// continuing the caller's trace; the answer's `traceparent` says which trace it belongs to. The path's parameters, the query
/// and the body stay out of the span: they may be personal.
pub async fn traced<F: Future<Output = Response>>(
    request: Request,
    route: &str,
    answer: impl FnOnce(Request) -> F,
) -> Response {
    let span = span(request.method(), route);
    trace::continue_from(&span, &caller(request.headers()));
    let mut response = answer(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    let traceparent = trace::of(&span).traceparent.and_then(|text| HeaderValue::from_str(&text).ok());
    if let Some(value) = traceparent {
        response.headers_mut().insert(HeaderName::from_static(names::TRACEPARENT), value);
    }
    response
}

fn span(method: &Method, route: &str) -> Span {
    tracing::info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.request.method = %method,
        http.route = route,
        http.response.status_code = Empty,
        otel.status_code = Empty,
    )
}

fn caller(headers: &HeaderMap) -> TraceContext {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    TraceContext { traceparent: header(names::TRACEPARENT), tracestate: header(names::TRACESTATE) }
}
