//! `view.payment`: what is charged for a booking, whose id is the payment's, and what came of it.

use contracts::payments::{Payer, PaymentDocument};

use super::{
    column::{instant, long, text},
    projector::Projection,
};
use crate::live::Kind;

/// Fills `view.payment`.
pub(super) static PAYMENT: Projection<PaymentDocument> = Projection {
    identity: |payment| (payment.booking_id.as_str(), payment.version),
    columns: &[
        text("status", |payment| Some(payment.status.as_str())),
        text("account_id", |payment| match &payment.payer {
            Payer::Account { account_id } => Some(account_id.as_str()),
            Payer::Guest { .. } => None,
        }),
        text("guest_id", |payment| match &payment.payer {
            Payer::Guest { guest_id } => Some(guest_id.as_str()),
            Payer::Account { .. } => None,
        }),
        long("amount_minor", |payment| Some(payment.amount.amount_minor)),
        text("amount_currency", |payment| Some(payment.amount.currency.as_str())),
        text("decline_reason", |payment| payment.decline_reason.as_deref()),
        instant("status_since", |payment| Some(payment.changed_at)),
    ],
    followed_by: &[(Kind::Booking, |payment| payment.booking_id.as_str())],
};
