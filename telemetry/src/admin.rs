//! `/healthz`, `/readyz` and `/metrics`: what an operator's machinery asks every service.

use axum::{
    Json, Router,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};

use crate::{health::Health, metrics::Metrics};

/// The three routes, to be merged into a service's own or served alone.
pub fn router<S: Clone + Send + Sync + 'static>(health: Health, metrics: Metrics) -> Router<S> {
    let readyz = move || {
        let report = health.report();
        let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        std::future::ready((status, Json(report)).into_response())
    };
    let metrics = move || {
        let headers = [(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
        std::future::ready((headers, metrics.encode()).into_response())
    };
    Router::new()
        .route("/healthz", get(|| std::future::ready("alive\n")))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
}
