//! How payments have ended: what is paid is confirmed, what is not is rejected, and its room is free again.

use std::collections::BTreeMap;

use contracts::{
    Topic,
    id::BookingId,
    payments::{PAYMENT, PaymentDocument, PaymentEvent},
};
use deadpool_postgres::Transaction;
use inbox::{Delivery, Handler, Unapplied, Undecodable};

use super::super::{domain::booking::PaymentOutcome, store};
use crate::command::Cause;

/// Confirms and rejects bookings.
pub(super) struct Payments;

/// How the payment of a booking has ended.
pub(super) struct Ended {
    booking_id: BookingId,
    outcome: PaymentOutcome,
    cause: Cause,
}

impl Handler for Payments {
    type Event = Ended;

    fn name(&self) -> &'static str {
        "direct-booking.payments"
    }

    fn topics(&self) -> &'static [Topic] {
        &[PAYMENT]
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<Ended>, Undecodable> {
        let ty = delivery.envelope.ty.as_str();
        let is_taken = ty == PaymentEvent::PaymentTaken.ty();
        if !is_taken && ty != PaymentEvent::PaymentDeclined.ty() {
            return Ok(None);
        }
        let Some(document) = delivery.decode::<PaymentDocument>()? else { return Ok(None) };
        if document.booking_id.as_str() != delivery.envelope.subject {
            return Err(Undecodable("the document is another payment's than the key says".to_owned()));
        }
        let outcome = match is_taken {
            true => PaymentOutcome::Taken,
            false => PaymentOutcome::Declined(document.decline_reason.unwrap_or_else(|| "declined".to_owned())),
        };
        Ok(Some(Ended { booking_id: document.booking_id, outcome, cause: Cause::of(&delivery.envelope) }))
    }

    async fn apply(&self, transaction: &Transaction<'_>, events: &[Ended]) -> Result<(), Unapplied> {
        let mut ended = BTreeMap::new();
        for Ended { booking_id, outcome, cause } in events {
            // A payment ends once.
            ended.entry(booking_id).or_insert((outcome, cause));
        }
        Ok(store::bookings::payments_ended(transaction, &ended).await?)
    }
}
