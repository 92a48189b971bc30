//! The routes of payments: they are read here; what changes them are events.

use contracts::{id::BookingId, payments::PaymentDocument};
use deadpool_postgres::Pool;

use super::store;
use crate::{database, reading::Readable, routes::Routes};

pub(crate) fn routes() -> Routes {
    Routes::new().document::<PaymentDocument>("/payments/{id}", "The payment of a booking, by the booking's id.")
}

impl Readable for PaymentDocument {
    type Id = BookingId;

    async fn find(pool: &Pool, id: &BookingId) -> Result<Option<Self>, database::Error> {
        Ok(store::find(pool, id).await?.as_ref().map(Self::from))
    }
}
