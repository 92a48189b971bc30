//! The service's HTTP: GraphQL, by requests, websockets and streams of events, and the GraphiQL page.
//!
//! GraphQL over HTTP as its specification has it (<https://graphql.github.io/graphql-over-http/draft/>).

mod accept;
mod body;
mod graphiql;
mod object;
mod operation;
mod query_string;
mod request;
mod response;
mod sse;
mod ws;

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, SystemTime},
};

use auth::{Auth, Denied};
use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::{FutureExt, future::BoxFuture};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::time::Instant;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    graphql::{self, Executor, Operation},
    live::Subscribers,
};
use accept::Media;

/// Where GraphQL is.
const GRAPHQL: &str = "/graphql";

/// What answers, and what tells who asks: without it, everybody may ask for everything.
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

/// What answers HTTP: `/graphql` at once, all else by a router.
#[derive(Clone)]
pub struct Routes {
    served: Arc<Served>,
    others: TowerToHyperService<Router>,
}

impl Routes {
    /// With `others`, the operator's.
    pub fn new(executor: Executor, subscribers: Subscribers, auth: Option<Arc<Auth>>, others: Router) -> Self {
        let pages = Router::new()
            .route("/", get(|| std::future::ready(graphiql::page())))
            .route(graphiql::ROUTE, get(graphiql::asset))
            .layer(axum::middleware::from_fn(telemetry::http::trace));
        let others = TowerToHyperService::new(others.merge(pages).layer(CatchPanicLayer::new()));
        Self { served: Arc::new(Served { executor, subscribers, auth }), others }
    }
}

impl Service<Request> for Routes {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn call(&self, request: Request) -> Self::Future {
        if request.uri().path() != GRAPHQL {
            return self.others.call(request).boxed();
        }
        let served = self.served.clone();
        let answered = telemetry::http::traced(request, GRAPHQL, |request| answer(served, request));
        let answered = AssertUnwindSafe(answered).catch_unwind().map(|caught| {
            // The message of a panic can hold anything: it stays out of the answer, and the panic hook has printed it.
            Ok(caught.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response()))
        });
        answered.boxed()
    }
}

async fn answer(served: Arc<Served>, request: Request) -> Response {
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
