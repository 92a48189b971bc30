//! Bookings: make one, cancel it, read it.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::get,
};
use chrono::NaiveDate;
use contracts::{
    direct_booking::{BookingDocument, Guests},
    id::BookingId,
    money::Money,
};
use deadpool_postgres::Transaction;

use super::super::{
    domain::{
        booking::{Make, Refusal},
        stay::Stay,
    },
    store,
};
use crate::{
    action::Action,
    answer::Answer,
    body::Presence,
    command::Command,
    fields::{Field, Fields},
    path::Id,
    problem::Problem,
    routes::Routes,
    shell::Shell,
};

const COLLECTION: &str = "/direct-booking/bookings";

/// The most guests of a kind.
const MOST_GUESTS: i64 = 99;

/// The highest nightly rate, in the currency's smallest unit.
const HIGHEST_RATE: i64 = 10_000_000_000;

pub(super) fn routes() -> Routes {
    Routes::new()
        .command::<Make>("/bookings")
        .document::<BookingDocument>("/bookings/{id}", "The booking as it is.", get(document))
        .command::<Cancel>("/bookings/{id}/cancel")
}

impl Action for Make {
    type On = ();
    type Document = BookingDocument;
    const NAME: &'static str = "MakeBooking";
    const SUMMARY: &'static str = "Books a room on an account.";
    const STATUS: StatusCode = StatusCode::CREATED;

    fn read(fields: &mut Fields<'_>, today: NaiveDate) -> Option<Self> {
        let id = fields.optional("bookingId", |field| field.parsed());
        let account_id = fields.required("accountId", |field| field.parsed());
        let room_type_id = fields.required("roomTypeId", |field| field.parsed());
        let stay = stay(fields, today);
        let guests = fields.required("guests", guests);
        let nightly_rate = fields.required("nightlyRate", |rate| rate.object(money));
        Some(Self {
            id: id?.unwrap_or_else(BookingId::generate),
            account_id: account_id?,
            room_type_id: room_type_id?,
            stay: stay?,
            guests: guests?,
            nightly_rate: nightly_rate?,
        })
    }

    async fn perform(self, (): (), transaction: &Transaction<'_>, command: &Command) -> Result<Answer, Problem> {
        Ok(Answer::created(COLLECTION, store::bookings::make(transaction, self, command).await?))
    }
}

struct Cancel;

impl Action for Cancel {
    type On = Id<BookingId>;
    type Document = BookingDocument;
    const NAME: &'static str = "CancelBooking";
    const SUMMARY: &'static str = "Cancels a booking, until the day of departure.";
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
        Ok(Answer::changed(store::bookings::cancel(transaction, &id, command).await?))
    }
}

async fn document(State(shell): State<Shell>, Id(id): Id<BookingId>, headers: HeaderMap) -> Result<Answer, Problem> {
    let booking = store::bookings::find(&shell.pool, &id).await?;
    Answer::document(&headers, booking.as_ref().map(BookingDocument::from).as_ref())
}

fn stay(fields: &mut Fields<'_>, today: NaiveDate) -> Option<Stay> {
    let check_in = fields.required("checkIn", |field| field.date());
    let check_out = fields.required("checkOut", |field| field.date());
    let stay = Stay::new(check_in?, check_out?).or_else(|invalid| fields.refuse("checkOut", invalid).ok_or(())).ok()?;
    match stay.is_timely(today) {
        Ok(()) => Some(stay),
        Err(untimely) => fields.refuse("checkIn", untimely),
    }
}

fn guests(field: &Field<'_>) -> Option<Guests> {
    let count = |field: &Field<'_>| field.integer(0..=MOST_GUESTS).and_then(|count| u16::try_from(count).ok());
    let guests = field.object(|fields| {
        let adults = fields.required("adults", count);
        let children = fields.optional("children", count);
        let babies = fields.optional("babies", count);
        Some(Guests { adults: adults?, children: children?.unwrap_or(0), babies: babies?.unwrap_or(0) })
    })?;
    let anyone = guests.adults + guests.children + guests.babies > 0;
    if anyone { Some(guests) } else { field.refuse("at least one guest has to come") }
}

fn money(fields: &mut Fields<'_>) -> Option<Money> {
    let amount_minor = fields.required("amountMinor", |amount| amount.integer(0..=HIGHEST_RATE));
    let currency = fields.required("currency", |field| field.parsed());
    Some(Money { amount_minor: amount_minor?, currency: currency? })
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
            Refusal::UnknownRoomType => {
                Problem::conflict("unknown-room-type", "Unknown room type", "There is no such room type.")
            }
            Refusal::NoRoom(night) => {
                let detail = format!("No room of this type is free on the night of {night}.");
                Problem::conflict("no-room", "No room", detail)
            }
            Refusal::TooExpensive => {
                Problem::conflict("total-too-large", "Total too large", "The stay costs more than can be written.")
            }
            Refusal::AlreadyCancelled => {
                Problem::conflict("already-cancelled", "Already cancelled", "The booking is cancelled already.")
            }
            Refusal::Rejected => {
                Problem::conflict("rejected", "Rejected", "The booking was rejected: there is nothing to cancel.")
            }
            Refusal::Over(day) => {
                let detail = format!("The stay ended on {day}: it cannot be cancelled any more.");
                Problem::conflict("stay-over", "Stay over", detail)
            }
        }
    }
}
