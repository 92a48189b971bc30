//! An HTTP server that traces each request and drains at shutdown.

use axum::{Router, extract::MatchedPath, extract::Request, middleware::Next, response::Response};
use contracts::envelope::TraceContext;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{shutdown, trace};

/// Serves until the token is cancelled, then lets running requests end, for at most [`shutdown::GRACE`].
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> std::io::Result<()> {
    let server = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    shutdown::within_grace(server.into_future(), &shutdown, shutdown::GRACE).await.unwrap_or(Ok(()))
}

/// Middleware: one SERVER span a request, named and described by the OpenTelemetry HTTP conventions, continuing the
/// caller's trace. The path's parameters, the query and the body stay out of it: they may be personal.
pub async fn trace(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str);
    let span = tracing::info_span!(
        "request",
        otel.name = format!("{} {route}", request.method()),
        otel.kind = "server",
        http.request.method = %request.method(),
        http.route = route,
        http.response.status_code = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
    );
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let caller = TraceContext { traceparent: header("traceparent"), tracestate: header("tracestate") };
    trace::continue_from(&span, &caller);
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}
