//! A payment's life: requested, charged or declined, and perhaps given back. Pure: no I/O.
//!
//! What the third party is asked for is an [`Operation`]: `charge 1`, `charge 2` after a definite decline, `refund 1`. At most
//! one is under way, and nothing is decided before its outcome is definite: a booking that is cancelled meanwhile is
//! remembered, and given back when it turns out to have been charged.

use chrono::{DateTime, Utc};
use contracts::{
    envelope::AggregateVersion,
    id::BookingId,
    money::Money,
    payments::{Payer, PaymentEvent, PaymentStatus},
};

/// Why a payment is declined when no card was named in time.
const NO_CARD: &str = "no-card";

/// The payment of a booking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    pub(crate) booking_id: BookingId,
    pub(crate) version: AggregateVersion,
    pub(crate) status: PaymentStatus,
    pub(crate) payer: Payer,
    pub(crate) amount: Money,
    /// How often a charge was asked for.
    pub(crate) charges: u32,
    /// The version of the card that was charged last; 0 is none.
    pub(crate) card_version: i64,
    /// Whether the booking was cancelled while a charge was under way.
    pub(crate) is_cancelled: bool,
    pub(crate) decline_reason: Option<String>,
    /// Until when a card is waited for.
    pub(crate) wait_until: DateTime<Utc>,
    pub(crate) changed_at: DateTime<Utc>,
}

/// What this context knows of a payer's card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) version: i64,
    pub(crate) token: String,
}

/// What the third party is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// To charge this card; the number rises only after a definite decline.
    Charge { number: u32, card_token: String },
    /// To give back what was charged.
    Refund { of_charge: u32 },
}

/// What the third party has answered, for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is done.
    Done,
    /// It will not be done, and why.
    Declined(String),
}

/// What comes of something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) payment: Payment,
    /// `None` when nothing changed that others are told.
    pub(crate) event: Option<PaymentEvent>,
    pub(crate) operation: Option<Operation>,
}

/// A booking has to be paid; `card` is its payer's, where one is known.
pub(crate) fn request(
    booking_id: BookingId,
    payer: Payer,
    amount: Money,
    card: Option<&Card>,
    wait_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Decision {
    let payment = Payment {
        booking_id,
        version: AggregateVersion::FIRST,
        status: PaymentStatus::AwaitingCard,
        payer,
        amount,
        charges: 0,
        card_version: 0,
        is_cancelled: false,
        decline_reason: None,
        wait_until,
        changed_at: now,
    };
    let (payment, operation) = match card {
        Some(card) => payment.charge(card),
        None => (payment, None),
    };
    Decision { payment, event: Some(PaymentEvent::PaymentRequested), operation }
}

/// A booking was called off before word came that it has to be paid: it must not be charged when that comes.
pub(crate) fn called_off(booking_id: BookingId, payer: Payer, amount: Money, now: DateTime<Utc>) -> Decision {
    let requested = request(booking_id, payer, amount, None, now, now).payment;
    Payment { status: PaymentStatus::Cancelled, ..requested }.told(PaymentEvent::PaymentCancelled)
}

impl Payment {
    /// A card was named. `None`: it is not waited for, or was tried already.
    pub(crate) fn card_named(&self, card: &Card, now: DateTime<Utc>) -> Option<Decision> {
        if self.status != PaymentStatus::AwaitingCard || card.version <= self.card_version || now >= self.wait_until {
            return None;
        }
        let (payment, operation) = self.next(PaymentStatus::Charging, now).charge(card);
        Some(Decision { payment, event: Some(PaymentEvent::CardNamed), operation })
    }

    /// Nobody waits for a card any more. `None`: the wait is not over, or there is none.
    pub(crate) fn wait_is_over(&self, now: DateTime<Utc>) -> Option<Decision> {
        let is_over = self.status == PaymentStatus::AwaitingCard && now >= self.wait_until;
        is_over.then(|| {
            let reason = self.decline_reason.clone().unwrap_or_else(|| NO_CARD.to_owned());
            let next = Self { decline_reason: Some(reason), ..self.next(PaymentStatus::Declined, now) };
            next.told(PaymentEvent::PaymentDeclined)
        })
    }

    /// The booking was cancelled. `None`: there is nothing to do about it.
    pub(crate) fn booking_cancelled(&self, now: DateTime<Utc>) -> Option<Decision> {
        match self.status {
            PaymentStatus::AwaitingCard => {
                Some(self.next(PaymentStatus::Cancelled, now).told(PaymentEvent::PaymentCancelled))
            }
            PaymentStatus::Charging if !self.is_cancelled => {
                let payment = Self { is_cancelled: true, ..self.clone() };
                Some(Decision { payment, event: None, operation: None })
            }
            PaymentStatus::Taken => Some(self.refund(PaymentEvent::RefundRequested, now)),
            _ => None,
        }
    }

    /// The charge that was under way has ended. `None`: there is none.
    pub(crate) fn charged(&self, outcome: Outcome, now: DateTime<Utc>) -> Option<Decision> {
        if self.status != PaymentStatus::Charging {
            return None;
        }
        Some(match outcome {
            // That it was taken is a fact, though it is given back at once.
            Outcome::Done if self.is_cancelled => self.refund(PaymentEvent::PaymentTaken, now),
            Outcome::Done => self.next(PaymentStatus::Taken, now).told(PaymentEvent::PaymentTaken),
            Outcome::Declined(_) if self.is_cancelled => {
                self.next(PaymentStatus::Cancelled, now).told(PaymentEvent::PaymentCancelled)
            }
            Outcome::Declined(reason) => {
                let (status, event) = match now < self.wait_until {
                    true => (PaymentStatus::AwaitingCard, PaymentEvent::CardDeclined),
                    false => (PaymentStatus::Declined, PaymentEvent::PaymentDeclined),
                };
                Self { decline_reason: Some(reason), ..self.next(status, now) }.told(event)
            }
        })
    }

    /// The refund that was under way is done. `None`: there is none.
    pub(crate) fn refunded(&self, now: DateTime<Utc>) -> Option<Decision> {
        (self.status == PaymentStatus::Refunding)
            .then(|| self.next(PaymentStatus::Refunded, now).told(PaymentEvent::PaymentRefunded))
    }

    fn next(&self, status: PaymentStatus, now: DateTime<Utc>) -> Self {
        Self { version: self.version.next(), status, changed_at: now, ..self.clone() }
    }

    fn told(self, event: PaymentEvent) -> Decision {
        Decision { payment: self, event: Some(event), operation: None }
    }

    fn charge(self, card: &Card) -> (Self, Option<Operation>) {
        let number = self.charges + 1;
        let operation = Operation::Charge { number, card_token: card.token.clone() };
        let status = PaymentStatus::Charging;
        (Self { status, charges: number, card_version: card.version, decline_reason: None, ..self }, Some(operation))
    }

    fn refund(&self, event: PaymentEvent, now: DateTime<Utc>) -> Decision {
        let operation = Some(Operation::Refund { of_charge: self.charges });
        Decision { operation, ..self.next(PaymentStatus::Refunding, now).told(event) }
    }
}
