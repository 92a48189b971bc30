//! The routes of payments: they are read here; what changes them are events.

use axum::{extract::State, http::HeaderMap, routing::get};
use contracts::{id::BookingId, payments::PaymentDocument};

use super::store;
use crate::{answer::Answer, path::Id, problem::Problem, routes::Routes, shell::Shell};

pub(crate) fn routes() -> Routes {
    Routes::new().document::<PaymentDocument>(
        "/payments/{id}",
        "The payment of a booking, by the booking's id.",
        get(document),
    )
}

async fn document(State(shell): State<Shell>, Id(id): Id<BookingId>, headers: HeaderMap) -> Result<Answer, Problem> {
    if let Some(unchanged) = shell.unchanged::<PaymentDocument>(id.as_str(), &headers).await {
        return Ok(unchanged);
    }
    let payment = store::find(&shell.pool, &id).await?;
    Answer::document(&headers, payment.as_ref().map(PaymentDocument::from).as_ref())
}
