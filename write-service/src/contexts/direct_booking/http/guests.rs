//! Guests: read one, and forget one.

use axum::http::StatusCode;
use chrono::NaiveDate;
use contracts::{direct_booking::GuestDocument, id::GuestId};
use deadpool_postgres::{Pool, Transaction};

use super::super::{domain::guest::Refusal, store};
use crate::{
    action::Action,
    answer::{Answer, Nothing},
    body::Presence,
    command::Command,
    database,
    fields::Fields,
    path::Id,
    problem::Problem,
    reading::Readable,
    routes::Routes,
};

pub(super) fn routes() -> Routes {
    Routes::new()
        .document::<GuestDocument>("/guests/{id}", "The guest, who has booked without an account.")
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

impl Readable for GuestDocument {
    type Id = GuestId;

    async fn find(pool: &Pool, id: &GuestId) -> Result<Option<Self>, database::Error> {
        Ok(store::guests::find(pool, id).await?.as_ref().map(Self::from))
    }
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
