//! What this context tells of its aggregates: Inside Data to Outside Data.

use contracts::{
    Topic,
    envelope::AggregateVersion,
    payments::{PAYMENT, PaymentDocument, SOURCE},
};

use super::domain::Payment;
use crate::outbox::Document;

impl Document for PaymentDocument {
    const SOURCE: &'static str = SOURCE;
    const TOPIC: Topic = PAYMENT;
    const REVISION: u32 = 1;

    fn subject(&self) -> &str {
        self.booking_id.as_str()
    }

    fn version(&self) -> AggregateVersion {
        self.version
    }
}

impl From<&Payment> for PaymentDocument {
    fn from(payment: &Payment) -> Self {
        Self {
            booking_id: payment.booking_id.clone(),
            version: payment.version,
            status: payment.status,
            payer: payment.payer.clone(),
            amount: payment.amount,
            decline_reason: payment.decline_reason.clone(),
            changed_at: payment.changed_at,
        }
    }
}
