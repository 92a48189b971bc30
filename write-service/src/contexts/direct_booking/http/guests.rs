//! Guests: read one, and forget one.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::get,
};
use chrono::NaiveDate;
use contracts::{direct_booking::GuestDocument, id::GuestId};
use deadpool_postgres::Transaction;

use super::super::{domain::guest::Refusal, store};
use crate::{
    action::Action,
    answer::{Answer, Nothing},
    body::Presence,
    command::Command,
    fields::Fields,
    path::Id,
    problem::Problem,
    routes::Routes,
    shell::Shell,
};

pub(super) fn routes() -> Routes {
    Routes::new()
        .document::<GuestDocument>("/guests/{id}", "The guest, who has booked without an account.", get(document))
        .command::<Erase>("/guests/{id}/erase")
}

struct Erase;

impl Action for Erase {
    type On = Id<GuestId>;
    type Document = Nothing;
    const NAME: &'static str = "EraseGuest";
    const SUMMARY: &'static str = "Forgets who a guest was, and the card, everywhere. Not while the guest is expected.";
    const STATUS: StatusCode = StatusCode::NO_CONTENT;
    const BODY: Presence = Presence::Optional;

    fn read(_: &mut Fields<'_>, _: NaiveDate) -> Option<Self> {
        Some(Self)
    }

    async fn perform(
        self,
        Id(id): Self::On,
        transaction: &Transaction<'_>,
        command: &Command,
    ) -> Result<Answer, Problem> {
        Ok(Answer::gone(store::guests::erase(transaction, &id, command).await?))
    }
}

async fn document(State(shell): State<Shell>, Id(id): Id<GuestId>, headers: HeaderMap) -> Result<Answer, Problem> {
    if let Some(unchanged) = shell.unchanged::<GuestDocument>(id.as_str(), &headers).await {
        return Ok(unchanged);
    }
    let guest = store::guests::find(&shell.pool, &id).await?;
    Answer::document(&headers, guest.as_ref().map(GuestDocument::from).as_ref())
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Expected => Problem::conflict(
                "guest-expected",
                "Guest expected",
                "The guest has a booking that has not ended: cancel it, or wait until the guest has left.",
            ),
        }
    }
}
