//! Bookings: make one, cancel it, let the guest in and out, read it.

use axum::http::StatusCode;
use chrono::NaiveDate;
use contracts::{
    direct_booking::{BookingDocument, BookingStatus},
    id::{BookingId, GuestId},
};
use deadpool_postgres::{Pool, Transaction};

use super::super::{
    domain::{
        booking::{Booker, Booking, Make, Price, Refusal},
        guest::NewGuest,
    },
    store,
};
use crate::{
    action::{Action, Outcome},
    answer::Answer,
    body::Presence,
    command::Command,
    database,
    fields::{Field, Fields, card_token::card_token, email::email, guests::guests, rate::rate, stay::stay},
    outcome,
    path::Id,
    problem::Problem,
    reading::Readable,
    routes::Routes,
};

pub(super) const COLLECTION: &str = "/direct-booking/bookings";

pub(super) fn routes() -> Routes {
    Routes::new()
        .command::<Make>("/bookings")
        .document::<BookingDocument>("/bookings/{id}", "The booking as it is.")
        .outcome::<BookingDocument>(
            "/bookings/{id}/outcome",
            "What has come of a booking that was begun. With `Prefer: wait=N` it is answered when that is known.",
        )
        .command::<SendConfirmation>("/bookings/{id}/send-confirmation")
        .command::<Cancel>("/bookings/{id}/cancel")
        .command::<CheckIn>("/bookings/{id}/check-in")
        .command::<CheckOut>("/bookings/{id}/check-out")
}

impl Action for Make {
    type On = ();
    type Document = BookingDocument;
    const NAME: &'static str = "MakeBooking";
    const SUMMARY: &'static str =
        "Books a room: for the holder of an account, or for a guest without one, who names a card.";
    const STATUS: StatusCode = StatusCode::CREATED;
    const OUTCOME: Option<Outcome> = Some(outcome::of::<BookingDocument>);

    fn read(fields: &mut Fields<'_>, today: NaiveDate) -> Option<Self> {
        let id = fields.optional("bookingId", |field| field.parsed());
        let booker = booker(fields);
        let room_type_id = fields.required("roomTypeId", |field| field.parsed());
        let stay = stay(fields, today);
        let guests = fields.required("guests", guests);
        let price = price(fields);
        Some(Self {
            id: id?.unwrap_or_else(BookingId::generate),
            booker: booker?,
            room_type_id: room_type_id?,
            stay: stay?,
            guests: guests?,
            price: price?,
        })
    }

    async fn perform(self, (): (), transaction: &Transaction<'_>, command: &Command) -> Result<Answer, Problem> {
        // What costs nothing is confirmed at once: nothing is waited for.
        let (status, recorded) = store::bookings::make(transaction, self, command).await?;
        Ok(match status {
            BookingStatus::Pending => {
                Answer::accepted(&outcome::path::<BookingDocument>(&recorded.read_after.subject), recorded)
            }
            _ => Answer::created(COLLECTION, recorded),
        })
    }
}

/// A command without a body that changes a booking by what the domain decides.
macro_rules! change {
    ($command:ident, $name:literal, $summary:literal, $decide:expr) => {
        pub(crate) struct $command;

        impl Action for $command {
            type On = Id<BookingId>;
            type Document = BookingDocument;
            const NAME: &'static str = $name;
            const SUMMARY: &'static str = $summary;
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
                Ok(Answer::changed(store::bookings::change(transaction, &id, command, $decide).await?))
            }
        }
    };
}

change!(
    SendConfirmation,
    "SendConfirmation",
    "The guest is to be sent a confirmation of a booking that is confirmed.",
    Booking::send_confirmation
);
change!(Cancel, "CancelBooking", "Cancels a booking, until the guest comes.", Booking::cancel);
change!(CheckOut, "CheckOut", "The guest leaves. The nights that were left can be booked again.", Booking::check_out);

/// The room that the guest is to have; one that is free, unless it is named.
struct CheckIn(Option<String>);

impl Action for CheckIn {
    type On = Id<BookingId>;
    type Document = BookingDocument;
    const NAME: &'static str = "CheckIn";
    const SUMMARY: &'static str = "The guest comes, and is given a room: this one, or one that is free.";
    const STATUS: StatusCode = StatusCode::OK;
    const BODY: Presence = Presence::Optional;

    fn read(fields: &mut Fields<'_>, _: NaiveDate) -> Option<Self> {
        fields.optional("room", |room| room.text(1..=16)).map(Self)
    }

    async fn perform(
        self,
        Id(id): Self::On,
        transaction: &Transaction<'_>,
        command: &Command,
    ) -> Result<Answer, Problem> {
        Ok(Answer::changed(store::bookings::check_in(transaction, &id, self.0.as_deref(), command).await?))
    }
}

impl Readable for BookingDocument {
    type Id = BookingId;

    async fn find(pool: &Pool, id: &BookingId) -> Result<Option<Self>, database::Error> {
        Ok(store::bookings::find(pool, id).await?.as_ref().map(Self::from))
    }
}

/// An account, or a guest: one of them.
fn booker(fields: &mut Fields<'_>) -> Option<Booker> {
    let is_one = fields.one_of(&["accountId", "guest"]);
    let account = fields.optional("accountId", |field| field.parsed());
    let guest = fields.optional("guest", guest);
    is_one?;
    account?.map(Booker::Account).or(guest?.map(Booker::Guest))
}

fn guest(field: &Field<'_>) -> Option<NewGuest> {
    field.object(|fields| {
        let id = fields.optional("guestId", |field| field.parsed());
        let name = fields.required("name", |name| name.text(1..=200));
        let email = fields.required("email", email);
        let card_token = fields.required("cardToken", card_token);
        let id = id?.unwrap_or_else(GuestId::generate);
        Some(NewGuest { id, name: name?, email: email?, card_token: card_token? })
    })
}

/// A rate plan, and what the guest was shown; or a rate that was agreed.
fn price(fields: &mut Fields<'_>) -> Option<Price> {
    let is_any = fields.any_of(&["nightlyRate", "ratePlanId"]);
    let rate = fields.optional("nightlyRate", rate);
    let plan = fields.optional("ratePlanId", |field| field.parsed());
    is_any?;
    match plan? {
        Some(plan) => Some(Price::Plan(plan, rate?)),
        None => rate?.map(Price::Agreed),
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnknownAccount => Problem::conflict(
                "unknown-account",
                "Unknown account",
                "The account is not known here. If it has just been opened, word of it may still be on its way: send the \
                 command with the header Read-After that the opening answered, and it waits for that.",
            )
            .retry_after(1),
            Refusal::AccountClosed => {
                Problem::conflict("account-closed", "Account closed", "Nothing can be booked on a closed account.")
            }
            Refusal::UnknownRoomType => Problem::conflict("unknown-room-type", "Unknown room type", "There is no such room type."),
            Refusal::UnknownRatePlan => {
                Problem::conflict("unknown-rate-plan", "Unknown rate plan", "There is no such rate plan for rooms of this type.")
            }
            Refusal::StalePrice(until) => {
                Problem::conflict("stale-price", "Stale price", format!("The price was valid until {until}: get the rate plan again."))
            }
            Refusal::OtherPrice(now) => {
                let (amount, currency) = (now.amount_minor, now.currency);
                let detail = format!("A night costs {amount} now, in the smallest unit of {currency}: show that first.");
                Problem::conflict("stale-price", "Stale price", detail)
            }
            Refusal::NoRoom(night) => {
                Problem::conflict("no-room", "No room", format!("No room of this type is free on the night of {night}."))
            }
            Refusal::TooExpensive => {
                Problem::conflict("total-too-large", "Total too large", "The stay costs more than can be written.")
            }
            Refusal::NotNow(status) => not_now(status),
            Refusal::Over(day) => Problem::conflict("stay-over", "Stay over", format!("The stay ended on {day}.")),
            Refusal::TooEarly(day) => Problem::conflict("too-early", "Too early", format!("The stay begins on {day}.")),
            Refusal::UnknownRoom(room) => {
                Problem::conflict("unknown-room", "Unknown room", format!("There is no room {room} of this type."))
            }
            Refusal::RoomOccupied(room) => Problem::conflict("room-occupied", "Room occupied", format!("Somebody is in room {room}.")),
            Refusal::AllOccupied => {
                Problem::conflict("room-occupied", "Room occupied", "Somebody is in every room of this type.")
            }
        }
    }
}

fn not_now(status: BookingStatus) -> Problem {
    let (slug, title, detail) = match status {
        BookingStatus::Pending => ("not-yet-confirmed", "Not yet confirmed", "The booking is not paid yet."),
        BookingStatus::Confirmed => ("not-checked-in", "Not checked in", "The guest has not come yet."),
        BookingStatus::Rejected => ("rejected", "Rejected", "The booking was rejected."),
        BookingStatus::Cancelled => ("already-cancelled", "Already cancelled", "The booking is cancelled."),
        BookingStatus::Expired => ("expired", "Expired", "The booking was not paid in time."),
        BookingStatus::CheckedIn => ("checked-in", "Checked in", "The guest is in the house."),
        BookingStatus::CheckedOut => ("checked-out", "Checked out", "The guest has left."),
    };
    Problem::conflict(slug, title, detail)
}
