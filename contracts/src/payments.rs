//! Payments: what is charged for a booking, and what came of it.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::{Contract, events, topics},
    envelope::AggregateVersion,
    id::{AccountId, BookingId, GuestId},
    money::Money,
    topic::{Cleanup, Topic},
    word::words,
};

/// The `ce_source` of this context's events.
pub const SOURCE: &str = "/hotel/payments";

/// Every event of every payment, for ever: it triggers processes. It holds no personal data, and no card's token.
pub const PAYMENT: Topic = Topic { name: "hotel.payments.payment.v1", partitions: 8, cleanup: Cleanup::Journal };

/// Every topic of this context.
pub const TOPICS: &[Topic] = &topics::<{ CONTRACTS.len() }>(CONTRACTS);

/// What this context publishes.
pub const CONTRACTS: &[Contract] = &[Contract::of::<PaymentDocument>(SOURCE, PAYMENT, PaymentEvent::TYPES)];

/// What can happen to a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentEvent {
    /// A booking is to be paid: its card is charged, or waited for.
    PaymentRequested,
    /// The card was declined; another one may be named until the end of the wait.
    CardDeclined,
    /// A card was named that was waited for, and is charged.
    CardNamed,
    /// The price of the booking was charged to a card.
    PaymentTaken,
    /// It will not be charged: no card was named in time that was not declined.
    PaymentDeclined,
    /// The booking was cancelled: what was charged is to be given back.
    RefundRequested,
    /// What had been charged was given back.
    PaymentRefunded,
    /// The booking was cancelled before anything was charged.
    PaymentCancelled,
    /// Nothing has happened: what it is is told once more, for those who have missed it. It starts no process.
    PaymentRestated,
}

events!(
    PaymentEvent:
    PaymentRequested "hotel.payments.PaymentRequested.v1",
    CardDeclined "hotel.payments.CardDeclined.v1",
    CardNamed "hotel.payments.CardNamed.v1",
    PaymentTaken "hotel.payments.PaymentTaken.v1",
    PaymentDeclined "hotel.payments.PaymentDeclined.v1",
    RefundRequested "hotel.payments.RefundRequested.v1",
    PaymentRefunded "hotel.payments.PaymentRefunded.v1",
    PaymentCancelled "hotel.payments.PaymentCancelled.v1",
    PaymentRestated "hotel.payments.PaymentRestated.v1",
);

/// The payment of a booking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentDocument {
    /// The booking that is paid for: each has one payment.
    pub booking_id: BookingId,
    /// Its version.
    pub version: AggregateVersion,
    /// Where in its life it is.
    pub status: PaymentStatus,
    /// Whose card is charged.
    pub payer: Payer,
    /// What the booking costs.
    pub amount: Money,
    /// Why it was declined; `no-card` when none was named in time, else the third party's own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline_reason: Option<String>,
    /// When it came to be so, by the clock of the context.
    pub changed_at: DateTime<Utc>,
}

/// Whose card is charged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum Payer {
    /// The holder of an account.
    Account {
        /// The account.
        account_id: AccountId,
    },
    /// A guest without an account.
    Guest {
        /// The guest.
        guest_id: GuestId,
    },
}

/// Where in its life a payment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PaymentStatus {
    /// Card details are waited for: none is known of the payer, or the last one was declined.
    AwaitingCard,
    /// The third party is asked to charge the card.
    Charging,
    /// It was charged.
    Taken,
    /// It will not be charged.
    Declined,
    /// It was charged, and the third party is asked to give it back.
    Refunding,
    /// It was given back.
    Refunded,
    /// The booking was cancelled before anything was charged.
    Cancelled,
}

words!(
    PaymentStatus:
    AwaitingCard "AWAITING_CARD",
    Charging "CHARGING",
    Taken "TAKEN",
    Declined "DECLINED",
    Refunding "REFUNDING",
    Refunded "REFUNDED",
    Cancelled "CANCELLED",
);
