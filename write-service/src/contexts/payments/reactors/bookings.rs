//! Bookings that have to be paid, and such as are cancelled.

use std::time::Duration;

use chrono::Utc;
use contracts::{
    Topic,
    direct_booking::{BOOKING, BookedBy, BookingDocument, BookingEvent, BookingStatus},
    payments::Payer,
};
use deadpool_postgres::Transaction;
use inbox::{Delivery, Handler, Unapplied, Undecodable};

use super::super::{domain, payer, store};
use crate::{command::Cause, context::CardDetails};

/// Requests payments.
pub(super) struct Bookings {
    /// How long a card is waited for.
    pub(super) card_wait: Duration,
    /// Where bookings on accounts come from that have to be paid.
    pub(super) card_details: CardDetails,
}

impl Bookings {
    /// Whether Accounts says that it has to be paid, with the card.
    fn is_passed_on(&self, payer: &Payer) -> bool {
        self.card_details == CardDetails::Pipeline && matches!(payer, Payer::Account { .. })
    }
}

/// What happened to a booking, as far as its payment is concerned.
pub(super) struct Booked {
    document: BookingDocument,
    payer: Payer,
    /// It needs no room any more, and so no payment.
    is_over: bool,
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
        let is_one_of = |events: &[BookingEvent]| events.iter().any(|event| event.ty() == ty);
        let is_over = is_one_of(&[BookingEvent::BookingCancelled, BookingEvent::BookingExpired]);
        if !is_over && !is_one_of(&[BookingEvent::BookingMadeOnAccount, BookingEvent::BookingMadeByGuest]) {
            return Ok(None);
        }
        let Some(document) = delivery.decode::<BookingDocument>()? else { return Ok(None) };
        if document.booking_id.as_str() != delivery.envelope.subject {
            return Err(Undecodable("the document is another booking's than the key says".to_owned()));
        }
        // What is confirmed at once costs nothing, and what a site has sold is paid to the site.
        if !is_over && document.status != BookingStatus::Pending {
            return Ok(None);
        }
        let payer = match document.booked_by.clone() {
            BookedBy::Account { account_id } => Payer::Account { account_id },
            BookedBy::Guest { guest_id } => Payer::Guest { guest_id },
            BookedBy::Channel { .. } => return Ok(None),
        };
        Ok(Some(Booked { document, payer, is_over, cause: Cause::of(&delivery.envelope) }))
    }

    async fn apply(&self, transaction: &Transaction<'_>, events: &[Booked]) -> Result<(), Unapplied> {
        let payers: Vec<String> = events.iter().map(|event| payer::key(&event.payer)).collect();
        store::lock_payers(transaction, payers.iter().map(String::as_str)).await?;
        let now = Utc::now();
        for (Booked { document, payer, is_over, cause }, key) in events.iter().zip(&payers) {
            let stored = store::lock(transaction, document.booking_id.as_str()).await?;
            let decision = match (stored, is_over) {
                (Some(stored), true) => stored.payment.booking_cancelled(now),
                (None, false) if self.is_passed_on(payer) => None,
                (None, false) => {
                    let (booking_id, payer) = (document.booking_id.clone(), payer.clone());
                    let card = store::card(transaction, key).await?;
                    let wait_until = now + self.card_wait;
                    Some(domain::request(booking_id, payer, document.total, card.as_ref(), wait_until, now))
                }
                // Word of it comes another way, perhaps later than this.
                (None, true) if self.is_passed_on(payer) && document.total.amount_minor > 0 => {
                    let (booking_id, payer) = (document.booking_id.clone(), payer.clone());
                    Some(domain::called_off(booking_id, payer, document.total, now))
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
