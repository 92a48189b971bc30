//! The service's HTTP: GraphQL, by requests, websockets and streams of events, and the GraphiQL page.
//!
//! GraphQL over HTTP as its specification has it (<https://graphql.github.io/graphql-over-http/draft/>).

mod accept;
mod body;
mod graphiql;
mod operation;
mod query_string;
mod request;
mod response;
mod sse;
mod ws;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use auth::{Auth, Denied};
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use tokio::time::Instant;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    graphql::{self, Executor, Operation},
    live::Subscribers,
};
use accept::Media;

/// What answers, and what tells who asks: without it, everybody may ask for everything.
#[derive(Clone)]
struct Served {
    executor: Executor,
    subscribers: Subscribers,
    auth: Option<Arc<Auth>>,
}

/// What somebody may ask for.
#[derive(Clone, Copy, Debug)]
struct Access {
    may_see_personal: bool,
    /// Until when.
    expires: Option<Instant>,
}

/// The routes, beside the operator's.
pub fn router(executor: Executor, subscribers: Subscribers, auth: Option<Arc<Auth>>) -> Router {
    Router::new()
        .route("/graphql", any(answer))
        .route("/", get(|| std::future::ready(graphiql::page())))
        .route(graphiql::ROUTE, get(graphiql::asset))
        .with_state(Served { executor, subscribers, auth })
        .layer(axum::middleware::from_fn(telemetry::http::trace))
        .layer(CatchPanicLayer::new())
}

async fn answer(State(served): State<Served>, request: Request) -> Response {
    if *request.method() == Method::GET && ws::is_upgrade(request.headers()) {
        return ws::upgrade(served, request).await;
    }
    let asked = match *request.method() {
        Method::GET | Method::HEAD => accept::choose(request.headers(), &[Media::Json, Media::GraphQl, Media::Html]),
        _ => accept::choose(request.headers(), &[Media::Json, Media::GraphQl, Media::EventStream]),
    };
    let Some(media) = asked else {
        return response::refusal(Media::Json, request::Refusal::not_acceptable());
    };
    if media == Media::Html {
        return graphiql::page();
    }
    match served.read(request).await {
        Ok((access, operation)) if media == Media::EventStream => sse::stream(&served, access, operation).await,
        Ok((_, operation)) => response::answer(media, served.executor.execute(operation).await),
        Err(refusal) => response::refusal(media, refusal),
    }
}

impl Served {
    async fn read(&self, request: Request) -> Result<(Access, Operation), request::Refusal> {
        let access = self.access(request.headers()).await?;
        Ok((access, request::read(request, access.may_see_personal).await?))
    }

    async fn access(&self, headers: &HeaderMap) -> Result<Access, Denied> {
        let Some(auth) = &self.auth else { return Ok(Access { may_see_personal: true, expires: None }) };
        let bearer = auth.bearer(headers).await?;
        bearer.may(graphql::READ)?;
        let left = Duration::from_secs(bearer.expires_at).saturating_sub(since_1970());
        // A token that is good for ever, as far as a clock goes.
        let expires = Instant::now().checked_add(left);
        Ok(Access { may_see_personal: bearer.may(graphql::PERSONAL).is_ok(), expires })
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// The methods that `/graphql` knows.
fn allow(response: &mut Response) {
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
}

fn not_found() -> Response {
    StatusCode::NOT_FOUND.into_response()
}
