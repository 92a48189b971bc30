//! Bookings on accounts: passed on with the card, as long as they are not paid.

use contracts::{
    Topic,
    direct_booking::{BOOKING, BookedBy, BookingDocument, BookingEvent, BookingStatus},
};
use deadpool_postgres::Transaction;
use inbox::{Delivery, Handler, Unapplied, Undecodable};

use super::super::store::unpaid::{self, Booked};
use crate::command::Cause;

/// Passes bookings on.
pub(super) struct Bookings;

impl Handler for Bookings {
    type Event = Booked;

    fn name(&self) -> &'static str {
        "accounts.bookings"
    }

    fn topics(&self) -> &'static [Topic] {
        &[BOOKING]
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<Booked>, Undecodable> {
        let Some(document) = delivery.decode::<BookingDocument>()? else { return Ok(None) };
        if document.booking_id.as_str() != delivery.envelope.subject {
            return Err(Undecodable("the document is another booking's than the key says".to_owned()));
        }
        let is_over = document.status != BookingStatus::Pending;
        let is_made = delivery.envelope.ty == BookingEvent::BookingMadeOnAccount.ty();
        match document.booked_by {
            BookedBy::Account { account_id } if is_made || is_over => Ok(Some(Booked {
                booking_id: document.booking_id,
                account_id,
                total: document.total,
                is_over,
                cause: Cause::of(&delivery.envelope),
            })),
            _ => Ok(None),
        }
    }

    async fn apply(&self, transaction: &Transaction<'_>, events: &[Booked]) -> Result<(), Unapplied> {
        Ok(unpaid::booked(transaction, events).await?)
    }
}
