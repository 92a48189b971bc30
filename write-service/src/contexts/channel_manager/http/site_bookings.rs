//! Bookings that sites have sold: take one, cancel it, read it.

use axum::http::StatusCode;
use chrono::NaiveDate;
use contracts::{
    channel_manager::{SiteBookingDocument, SiteBookingStatus},
    id::{BookingId, SiteId},
};
use deadpool_postgres::{Pool, Transaction};
use serde_json::json;

use super::super::{
    domain::site_booking::{Receive, Refusal},
    store,
};
use crate::{
    action::{Action, Outcome},
    answer::Answer,
    body::Presence,
    command::Command,
    database,
    fields::{Field, Fields, guests::guests, rate::rate, stay::stay},
    outcome,
    path::Id,
    problem::Problem,
    reading::Readable,
    routes::Routes,
};

pub(super) const COLLECTION: &str = "/channel-manager/site-bookings";

pub(super) fn routes() -> Routes {
    Routes::new()
        .command::<Receive>("/sites/{id}/receive-booking")
        .document::<SiteBookingDocument>("/site-bookings/{id}", "The booking as its site knows it.")
        .outcome::<SiteBookingDocument>(
            "/site-bookings/{id}/outcome",
            "What has come of a booking that a site has sold. With `Prefer: wait=N` it is answered when that is known.",
        )
        .command::<Cancel>("/site-bookings/{id}/cancel")
}

impl Action for Receive {
    type On = Id<SiteId>;
    type Document = SiteBookingDocument;
    const NAME: &'static str = "ReceiveSiteBooking";
    const SUMMARY: &'static str = "Takes what a site has sold; whether there is a room for it is known later.";
    const STATUS: StatusCode = StatusCode::CREATED;
    const OUTCOME: Option<Outcome> = Some(outcome::of::<SiteBookingDocument>);

    fn read(fields: &mut Fields<'_>, today: NaiveDate) -> Option<Self> {
        let id = fields.optional("bookingId", |field| field.parsed());
        let reference = fields.required("reference", reference);
        let room_type_id = fields.required("roomTypeId", |field| field.parsed());
        let stay = stay(fields, today);
        let guests = fields.required("guests", guests);
        let nightly_rate = fields.required("nightlyRate", rate);
        Some(Self {
            id: id?.unwrap_or_else(BookingId::generate),
            reference: reference?,
            room_type_id: room_type_id?,
            stay: stay?,
            guests: guests?,
            nightly_rate: nightly_rate?,
        })
    }

    async fn perform(
        self,
        Id(id): Self::On,
        transaction: &Transaction<'_>,
        command: &Command,
    ) -> Result<Answer, Problem> {
        let recorded = store::site_bookings::receive(transaction, id, self, command).await?;
        Ok(Answer::accepted(&outcome::path::<SiteBookingDocument>(&recorded.read_after.subject), recorded))
    }
}

struct Cancel;

impl Action for Cancel {
    type On = Id<BookingId>;
    type Document = SiteBookingDocument;
    const NAME: &'static str = "CancelSiteBooking";
    const SUMMARY: &'static str = "The site cancels what it has sold, until the guest comes.";
    const STATUS: StatusCode = StatusCode::OK;
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
        Ok(Answer::changed(store::site_bookings::cancel(transaction, &id, command).await?))
    }
}

impl Readable for SiteBookingDocument {
    type Id = BookingId;

    async fn find(pool: &Pool, id: &BookingId) -> Result<Option<Self>, database::Error> {
        Ok(store::site_bookings::find(pool, id).await?.as_ref().map(Self::from))
    }
}

/// What a site calls a booking. It goes into a path.
fn reference(field: &Field<'_>) -> Option<String> {
    let described =
        || json!({"description": "What the site calls it.", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"});
    let text = field.text_that_is(1..=64, described)?;
    let is_one = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        && text.starts_with(|first: char| first.is_ascii_alphanumeric());
    if is_one {
        Some(text)
    } else {
        field.refuse("expected 1 to 64 letters, digits, `.`, `_` and `-`, a letter or digit first")
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Site(refusal) => refusal.into(),
            Refusal::ReferenceTaken(id) => {
                let detail =
                    format!("The site has told of a booking with this reference before: it is at {COLLECTION}/{id}.");
                Problem::conflict("already-exists", "Already exists", detail)
            }
            Refusal::Arrived => Problem::conflict("checked-in", "Checked in", "The guest has come."),
            Refusal::NotNow(status) => not_now(status),
        }
    }
}

fn not_now(status: SiteBookingStatus) -> Problem {
    let (slug, title, detail) = match status {
        SiteBookingStatus::Received => {
            ("not-yet-decided", "Not yet decided", "It is not known yet whether there is a room.")
        }
        SiteBookingStatus::Accepted => ("accepted", "Accepted", "A room is kept for it."),
        SiteBookingStatus::Rejected => ("rejected", "Rejected", "There was no room for it."),
        SiteBookingStatus::Cancelling => ("already-cancelled", "Already cancelled", "It is being cancelled."),
        SiteBookingStatus::Cancelled => ("already-cancelled", "Already cancelled", "The booking is cancelled."),
    };
    Problem::conflict(slug, title, detail)
}
