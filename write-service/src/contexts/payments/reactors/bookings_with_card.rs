//! Bookings that Accounts has passed on with their card. They are read whatever the setting, so that none is forgotten when
//! that changes; what is paid already, or about to be, stays as it is.

use std::time::Duration;

use chrono::Utc;
use contracts::{
    Topic,
    accounts::{BOOKING_WITH_CARD, BookingWithCardDocument},
    payments::Payer,
};
use deadpool_postgres::Transaction;
use inbox::{Delivery, Handler, Unapplied, Undecodable};

use super::super::{
    domain::{self, Card},
    payer, store,
};
use crate::command::Cause;

/// Requests payments.
pub(super) struct BookingsWithCard {
    /// How long a card is waited for.
    pub(super) card_wait: Duration,
}

/// A booking with its card.
pub(super) struct PassedOn {
    document: BookingWithCardDocument,
    payer: Payer,
    cause: Cause,
}

impl Handler for BookingsWithCard {
    type Event = PassedOn;

    fn name(&self) -> &'static str {
        "payments.bookings-with-card"
    }

    fn topics(&self) -> &'static [Topic] {
        &[BOOKING_WITH_CARD]
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<PassedOn>, Undecodable> {
        let Some(document) = delivery.decode::<BookingWithCardDocument>()? else { return Ok(None) };
        if document.booking_id.as_str() != delivery.envelope.subject {
            return Err(Undecodable("the document is another booking's than the key says".to_owned()));
        }
        let payer = Payer::Account { account_id: document.account_id.clone() };
        Ok(Some(PassedOn { document, payer, cause: Cause::of(&delivery.envelope) }))
    }

    async fn apply(&self, transaction: &Transaction<'_>, events: &[PassedOn]) -> Result<(), Unapplied> {
        let payers: Vec<String> = events.iter().map(|event| payer::key(&event.payer)).collect();
        store::lock_payers(transaction, payers.iter().map(String::as_str)).await?;
        let now = Utc::now();
        for PassedOn { document, payer, cause } in events {
            let card = document.card.clone().map(|card| Card { version: card.version.get(), token: card.card_token });
            let decision = match store::lock(transaction, document.booking_id.as_str()).await? {
                Some(stored) => card.and_then(|card| stored.payment.card_named(&card, now)),
                None => {
                    let (booking_id, payer, until) = (document.booking_id.clone(), payer.clone(), now + self.card_wait);
                    Some(domain::request(booking_id, payer, document.total, card.as_ref(), until, now))
                }
            };
            if let Some(decision) = decision {
                store::write(transaction, decision, cause).await?;
            }
        }
        Ok(())
    }
}
