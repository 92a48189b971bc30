//! Bookings, whose rooms have to be made ready and cleaned: this context's own copy of them, and the tasks that follow.

use contracts::{
    Topic,
    direct_booking::{BOOKING, BookingDocument, BookingEvent},
};
use deadpool_postgres::Transaction;
use inbox::{Delivery, Handler, Unapplied, Undecodable};

use super::super::{
    domain::Stay,
    store::{self, Told},
};
use crate::{command::Cause, copies::latest, read_after::Copy};

/// For commands that wait for a booking, and so for its tasks.
pub(super) const COPY: Copy =
    Copy { topic: BOOKING.name, version: "select version from housekeeping.stay where booking_id = $1" };

/// Schedules what the bookings need.
pub(super) struct Bookings;

impl Handler for Bookings {
    type Event = Told;

    fn name(&self) -> &'static str {
        "housekeeping.bookings"
    }

    fn topics(&self) -> &'static [Topic] {
        &[BOOKING]
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<Told>, Undecodable> {
        // What is told again starts nothing, and nothing else is made of bookings here.
        if delivery.envelope.ty == BookingEvent::BookingRestated.ty() {
            return Ok(None);
        }
        // The document decides, not the event's type: however a booking was made, it is confirmed or it is not.
        let Some(document) = delivery.decode::<BookingDocument>()? else { return Ok(None) };
        if document.booking_id.as_str() != delivery.envelope.subject {
            return Err(Undecodable("the document is another booking's than the key says".to_owned()));
        }
        if document.check_out < document.check_in {
            return Err(Undecodable("checkOut is before checkIn".to_owned()));
        }
        // Who has left is not waited for any longer, nor shorter.
        let departure = document.checked_out_at.map_or(document.check_out, |left| left.date_naive());
        let stay = Stay {
            booking_id: document.booking_id,
            version: document.version,
            status: document.status,
            room_type_id: document.room_type_id,
            room: document.room,
            arrival: document.check_in,
            departure,
        };
        Ok(Some(Told { stay, cause: Cause::of(&delivery.envelope) }))
    }

    async fn apply(&self, transaction: &Transaction<'_>, events: &[Told]) -> Result<(), Unapplied> {
        let latest = latest(events, |told| (told.stay.booking_id.as_str(), told.stay.version));
        let in_order: Vec<&Told> = latest.into_values().collect();
        Ok(store::take_up(transaction, &in_order).await?)
    }
}
