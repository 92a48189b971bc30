//! The HTTP API: charges, refunds, the ledger, and the switch for how the processor behaves.

use std::{any::Any, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Query, State, rejection::QueryRejection},
    http::{Method, StatusCode, Uri},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use telemetry::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    answer::Answer,
    behaviour::{Behaviour, Mode, Switch},
    body::{self, Body, Keyed},
    book::{Decision, Refusal},
    entry::{Charge, Entry, Refund, Wish},
    fields::{Key, Reference},
    ledger::Ledger,
    problem::Problem,
    server::HangUp,
};

/// What the handlers share.
#[derive(Clone)]
struct Processor {
    ledger: Ledger,
    behaviour: Arc<Switch>,
    shutdown: CancellationToken,
}

/// All routes, beside the operator's.
pub(crate) fn router(ledger: Ledger, operators: Router, shutdown: CancellationToken) -> Router {
    let processor = Processor { ledger, behaviour: Arc::default(), shutdown };
    Router::new()
        .route("/v1/charges", post(handle::<Charge>))
        .route("/v1/refunds", post(handle::<Refund>))
        .route("/v1/ledger", get(list))
        .route("/v1/behaviour", get(behaviour).put(behave))
        .with_state(processor)
        .merge(operators)
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(body::LIMIT))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(telemetry::http::trace))
}

async fn handle<W: Into<Wish>>(State(processor): State<Processor>, Keyed(key, wish): Keyed<W>) -> Response {
    processor.handle(key, wish.into()).await
}

impl Processor {
    /// Does what is asked, once the behaviour of now lets it. Faults on the way in spoil it before the ledger knows of it, those
    /// on the way out after.
    async fn handle(&self, key: Key, wish: Wish) -> Response {
        let Behaviour { mode, delay_ms, .. } = self.behaviour.next();
        match mode {
            Mode::Fail => return unavailable().into_response(),
            Mode::DropBeforeCommit => return HangUp.into_response(),
            Mode::Hang => {
                self.shutdown.cancelled().await;
                return HangUp.into_response();
            }
            Mode::Normal | Mode::Slow | Mode::Decline | Mode::DropAfterCommit => {}
        }
        let Ok(decision) = self.ledger.decide(key, wish, mode == Mode::Decline).await else {
            return Problem::internal().into_response();
        };
        match mode {
            Mode::DropAfterCommit => return HangUp.into_response(),
            // That another is slow is told at once.
            Mode::Slow if !matches!(decision, Decision::UnderWay) => tokio::select! {
                () = tokio::time::sleep(delay_ms.duration()) => {}
                () = self.shutdown.cancelled() => {}
            },
            _ => {}
        }
        told(decision)
    }
}

/// What the caller hears.
fn told(decision: Decision) -> Response {
    let problem = match decision {
        Decision::New(entry, ticket) => {
            // Whoever asks from here on is told the same.
            drop(ticket);
            return Answer::of(&entry).into_response();
        }
        Decision::Again(entry) => return Answer::of(&entry).into_response(),
        Decision::UnderWay => {
            let detail = "A request with this Idempotency-Key is under way. Send it again to learn what became of it.";
            Problem::conflict("under-way", "Under way", detail).retry_after(1)
        }
        Decision::OtherWish => {
            let detail = "This Idempotency-Key came with another request before. A new request needs a new key.";
            Problem::unprocessable("idempotency-key-reused", "Idempotency-Key reused", detail)
        }
        Decision::Refused(Refusal::NoSuchCharge) => Problem::not_found("No charge that succeeded has this key."),
        Decision::Refused(Refusal::AlreadyRefunded) => {
            let detail = "The charge was refunded under another key.";
            Problem::conflict("already-refunded", "Already refunded", detail)
        }
        Decision::Refused(Refusal::MoreThanCharged) => {
            let detail = "No more can be given back than was charged.";
            Problem::unprocessable("more-than-charged", "More than charged", detail)
        }
        Decision::Refused(Refusal::OtherCurrency) => {
            let detail = "The charge was in another currency.";
            Problem::unprocessable("other-currency", "Other currency", detail)
        }
    };
    problem.into_response()
}

fn unavailable() -> Problem {
    let detail = "The processor is not available. Nothing was done.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable", detail)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    reference: Option<Reference>,
}

#[derive(Serialize)]
struct Listing<'a> {
    entries: Vec<&'a Entry>,
}

async fn list(
    State(processor): State<Processor>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(filter) = filter.map_err(|_| Problem::malformed("The query may have one `reference`, and no more."))?;
    let entries = processor.ledger.list(filter.reference).await.map_err(|_| Problem::internal())?;
    Ok(Json(Listing { entries: entries.iter().map(AsRef::as_ref).collect() }).into_response())
}

async fn behaviour(State(processor): State<Processor>) -> Json<Behaviour> {
    Json(processor.behaviour.now())
}

async fn behave(State(processor): State<Processor>, Body(behaviour): Body<Behaviour>) -> Json<Behaviour> {
    tracing::info!(?behaviour, "told how to behave");
    processor.behaviour.set(behaviour);
    Json(behaviour)
}

async fn nothing_here(uri: Uri) -> Problem {
    Problem::not_found(format!("There is nothing at {}.", uri.path()))
}

async fn wrong_method(method: Method) -> Problem {
    let detail = format!("{method} is not possible here; the header Allow says what is.");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", detail)
}

// The message of a panic can hold anything: it stays out of the answer, and the panic hook has printed it.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request panicked");
    Problem::internal().into_response()
}
