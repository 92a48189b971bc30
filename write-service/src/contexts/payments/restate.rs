//! What is told again.

use contracts::payments::{PaymentDocument, PaymentEvent};
use tokio_postgres::Row;

use super::store;
use crate::{
    database,
    outbox::restate::{Aggregate, Restated},
};

pub(super) const ALL: &[Aggregate] = &[Aggregate::of::<Payments>()];

struct Payments;

impl Restated for Payments {
    type Document = PaymentDocument;
    const TABLE: &'static str = "payments.payment";
    const ID: &'static str = "booking_id";
    const EVENT: &'static str = PaymentEvent::PaymentRestated.ty();

    fn read(row: &Row) -> Result<Option<PaymentDocument>, database::Error> {
        Ok(Some(PaymentDocument::from(&store::stored(row)?.payment)))
    }
}
