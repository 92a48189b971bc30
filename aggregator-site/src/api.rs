//! The HTTP API: what the hotel tells, the ledger, and the switch for how the site behaves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, State},
    http::StatusCode,
    middleware,
    routing::{get, put},
};
use serde::Deserialize;

use crate::{
    behaviour::{Behaviour, Switch},
    ledger::{BookingTold, Ledger, NightTold},
};

/// The longest body that is read, in bytes.
const LIMIT: usize = 256 * 1024;

/// What the handlers share.
#[derive(Clone, Default)]
pub(crate) struct Site {
    ledger: Arc<Mutex<Ledger>>,
    pub(crate) behaviour: Arc<Switch>,
}

/// All routes, beside the operator's.
pub(crate) fn router(site: Site, operators: Router) -> Router {
    Router::new()
        .route("/availability/{roomTypeId}", put(availability))
        .route("/bookings/{reference}", put(booking))
        .route("/v1/ledger", get(ledger))
        .route("/v1/behaviour", get(behaviour).put(behave))
        .with_state(site)
        .merge(operators)
        .layer(DefaultBodyLimit::max(LIMIT))
        .layer(middleware::from_fn(telemetry::http::trace))
}

impl Site {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
struct Nights {
    nights: Vec<NightTold>,
}

async fn availability(
    State(site): State<Site>,
    Path(room_type_id): Path<String>,
    Json(body): Json<Nights>,
) -> StatusCode {
    site.ledger().nights(&room_type_id, &body.nights);
    StatusCode::NO_CONTENT
}

async fn booking(State(site): State<Site>, Path(reference): Path<String>, Json(told): Json<BookingTold>) -> StatusCode {
    site.ledger().booking(reference, told);
    StatusCode::NO_CONTENT
}

async fn ledger(State(site): State<Site>) -> Json<Ledger> {
    Json(site.ledger().clone())
}

async fn behaviour(State(site): State<Site>) -> Json<Behaviour> {
    Json(site.behaviour.now())
}

async fn behave(State(site): State<Site>, Json(behaviour): Json<Behaviour>) -> Json<Behaviour> {
    tracing::info!(?behaviour, "told how to behave");
    site.behaviour.set(behaviour);
    Json(behaviour)
}
