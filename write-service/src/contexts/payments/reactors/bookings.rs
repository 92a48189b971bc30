//! Bookings that have to be paid, and such as are cancelled.

use std::time::Duration;

use chrono::Utc;
use contracts::{
    Topic,
    direct_booking::{BOOKING, BookingDocument, BookingEvent, BookingStatus},
};
use deadpool_postgres::Transaction;
use inbox::{Delivery, Handler, Unapplied, Undecodable};

use super::super::{domain, store};
use crate::command::Cause;

/// Requests payments.
pub(super) struct Bookings {
    /// How long a card is waited for.
    pub(super) card_wait: Duration,
}

/// What happened to a booking, as far as its payment is concerned.
pub(super) struct Booked {
    document: BookingDocument,
    is_cancelled: bool,
    cause: Cause,
}

impl Handler for Bookings {
    type Event = Booked;

    fn name(&self) -> &'static str {
        "payments.bookings"
    }

    fn topics(&self) -> &'static [Topic] {
        &[BOOKING]
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<Booked>, Undecodable> {
        let ty = delivery.envelope.ty.as_str();
        let is_cancelled = ty == BookingEvent::BookingCancelled.ty();
        if !is_cancelled && ty != BookingEvent::BookingMadeOnAccount.ty() {
            return Ok(None);
        }
        let Some(document) = delivery.decode::<BookingDocument>()? else { return Ok(None) };
        if document.booking_id.as_str() != delivery.envelope.subject {
            return Err(Undecodable("the document is another booking's than the key says".to_owned()));
        }
        // What is confirmed at once costs nothing.
        let is_of_interest = is_cancelled || document.status == BookingStatus::Pending;
        Ok(is_of_interest.then(|| Booked { document, is_cancelled, cause: Cause::of(&delivery.envelope) }))
    }

    async fn apply(&self, transaction: &Transaction<'_>, events: &[Booked]) -> Result<(), Unapplied> {
        store::lock_accounts(transaction, events.iter().map(|event| event.document.account_id.as_str())).await?;
        let now = Utc::now();
        for Booked { document, is_cancelled, cause } in events {
            let stored = store::lock(transaction, document.booking_id.as_str()).await?;
            let decision = match (stored, is_cancelled) {
                (Some(stored), true) => stored.payment.booking_cancelled(now),
                (None, false) => {
                    let (booking_id, account_id) = (document.booking_id.clone(), document.account_id.clone());
                    let card = store::card(transaction, &account_id).await?;
                    let wait_until = now + self.card_wait;
                    Some(domain::request(booking_id, account_id, document.total, card.as_ref(), wait_until, now))
                }
                // It was requested before, or never had to be paid.
                (Some(_), false) | (None, true) => None,
            };
            if let Some(decision) = decision {
                store::write(transaction, decision, cause).await?;
            }
        }
        Ok(())
    }
}
