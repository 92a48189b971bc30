//! The service's HTTP: GraphQL, the GraphiQL page, and the operator's routes.
//!
//! GraphQL over HTTP as its specification has it (<https://graphql.github.io/graphql-over-http/draft/>).

mod accept;
mod body;
mod graphiql;
mod query_string;
mod request;
mod response;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use telemetry::{admin, health::Health, metrics::Metrics};
use tower_http::catch_panic::CatchPanicLayer;

use crate::graphql::Executor;
use accept::Media;

/// All routes.
pub fn router(executor: Executor, health: Health, metrics: Metrics) -> Router {
    Router::new()
        .route("/graphql", any(graphql))
        .route("/", get(|| std::future::ready(graphiql::page())))
        .route(graphiql::ROUTE, get(graphiql::asset))
        .with_state(executor)
        .layer(axum::middleware::from_fn(telemetry::http::trace))
        .merge(admin::router(health, metrics))
        .layer(CatchPanicLayer::new())
}

async fn graphql(State(executor): State<Executor>, request: Request) -> Response {
    let asked = match *request.method() {
        Method::GET | Method::HEAD => accept::choose(request.headers(), &[Media::Json, Media::GraphQl, Media::Html]),
        _ => accept::choose(request.headers(), &[Media::Json, Media::GraphQl]),
    };
    let Some(media) = asked else {
        return response::refusal(Media::Json, request::Refusal::not_acceptable());
    };
    if media == Media::Html {
        return graphiql::page();
    }
    match request::read(request).await {
        Ok(operation) => response::answer(media, executor.execute(operation).await),
        Err(refusal) => response::refusal(media, refusal),
    }
}

/// The methods that `/graphql` knows.
fn allow(response: &mut Response) {
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
}

fn not_found() -> Response {
    StatusCode::NOT_FOUND.into_response()
}
