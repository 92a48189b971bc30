//! What has come of a booking that was begun: the status resource that a 202 names, and the wait for it.

use axum::{extract::State, http::HeaderMap, routing::get};
use contracts::{
    direct_booking::{BookingDocument, BookingStatus},
    id::BookingId,
};
use deadpool_postgres::Pool;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    super::{domain::booking::Booking, store},
    bookings::COLLECTION,
};
use crate::{
    answer::Answer,
    conditional,
    outbox::Document,
    path::Id,
    prefer::{Prefer, Seen},
    problem::Problem,
    routes::Routes,
    shell::Shell,
};

/// What has come of a booking.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct BookingOutcome {
    /// Whether it is known: a booking that is pending is neither confirmed nor refused.
    is_known: bool,
    /// Where in its life it is.
    status: BookingStatus,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection: Option<String>,
    /// Where it is.
    booking: String,
}

pub(super) fn routes() -> Routes {
    let summary = "What has come of a booking that was begun. With `Prefer: wait=N` it is answered when that is known.";
    Routes::new().outcome::<BookingOutcome>("/bookings/{id}/outcome", summary, get(document))
}

/// Where the outcome of a booking is told.
pub(super) fn path(id: &str) -> String {
    format!("{COLLECTION}/{id}/outcome")
}

/// The answer to a command that began a booking, once it is known what has come of it.
pub(super) async fn of(pool: &Pool, begun: &Answer) -> Result<Option<Answer>, Problem> {
    let Some(id) = begun.read_after().and_then(|token| token.subject.parse().ok()) else { return Ok(None) };
    match store::bookings::find(pool, &id).await? {
        Some(booking) if is_known(&booking) => {
            Ok(Some(begun.clone().ended(COLLECTION, &BookingDocument::from(&booking))?))
        }
        _ => Ok(None),
    }
}

async fn document(State(shell): State<Shell>, Id(id): Id<BookingId>, headers: HeaderMap) -> Result<Answer, Problem> {
    let look = || async {
        let booking = store::bookings::find(&shell.pool, &id).await?;
        let booking = booking.ok_or_else(|| Problem::not_found("Nothing has this id."))?;
        Ok::<_, Problem>(if is_known(&booking) { Seen::Final(booking) } else { Seen::NotYet(booking) })
    };
    let prefer = Prefer::of(&headers);
    let booking = prefer.look(&shell.applied, look).await?;
    let etag = conditional::etag(BookingDocument::REVISION, booking.version);
    let outcome = BookingOutcome {
        is_known: is_known(&booking),
        status: booking.status,
        booking: format!("{COLLECTION}/{}", booking.id),
        rejection: booking.rejection,
    };
    let mut answer = Answer::tagged(&headers, &etag, &outcome)?;
    prefer.applied(&mut answer.headers);
    Ok(answer)
}

fn is_known(booking: &Booking) -> bool {
    booking.status != BookingStatus::Pending
}
