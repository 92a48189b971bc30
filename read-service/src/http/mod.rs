//! The service's HTTP: GraphQL, the GraphiQL page, and the operator's routes.
//!
//! GraphQL over HTTP as its specification has it (<https://graphql.github.io/graphql-over-http/draft/>).

mod accept;
mod body;
mod graphiql;
mod query_string;
mod request;
mod response;

use std::sync::Arc;

use auth::Auth;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use telemetry::{admin, health::Health, metrics::Metrics};
use tower_http::catch_panic::CatchPanicLayer;

use crate::graphql::{self, Executor, Operation};
use accept::Media;

/// What answers, and what tells who asks: without it, everybody may ask for everything.
#[derive(Clone)]
struct Served {
    executor: Executor,
    auth: Option<Arc<Auth>>,
}

/// All routes.
pub fn router(executor: Executor, auth: Option<Arc<Auth>>, health: Health, metrics: Metrics) -> Router {
    Router::new()
        .route("/graphql", any(answer))
        .route("/", get(|| std::future::ready(graphiql::page())))
        .route(graphiql::ROUTE, get(graphiql::asset))
        .with_state(Served { executor, auth })
        .layer(axum::middleware::from_fn(telemetry::http::trace))
        .merge(admin::router(health, metrics))
        .layer(CatchPanicLayer::new())
}

async fn answer(State(served): State<Served>, request: Request) -> Response {
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
    match served.read(request).await {
        Ok(operation) => response::answer(media, served.executor.execute(operation).await),
        Err(refusal) => response::refusal(media, refusal),
    }
}

impl Served {
    async fn read(&self, request: Request) -> Result<Operation, request::Refusal> {
        let may_see_personal = match &self.auth {
            None => true,
            Some(auth) => {
                let bearer = auth.bearer(request.headers()).await?;
                bearer.may(graphql::READ)?;
                bearer.may(graphql::PERSONAL).is_ok()
            }
        };
        request::read(request, may_see_personal).await
    }
}

/// The methods that `/graphql` knows.
fn allow(response: &mut Response) {
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
}

fn not_found() -> Response {
    StatusCode::NOT_FOUND.into_response()
}
