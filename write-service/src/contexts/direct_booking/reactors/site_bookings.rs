//! What aggregator sites have sold: a booking is made of it, or a rejected one; and what they cancel.

use std::collections::BTreeMap;

use chrono::Utc;
use contracts::{
    Topic,
    channel_manager::{SITE_BOOKING, SiteBookingDocument, SiteBookingEvent},
};
use deadpool_postgres::Transaction;
use inbox::{Delivery, Handler, Unapplied, Undecodable};

use super::super::{domain::channel::Sold, store};
use crate::{command::Cause, stay::Stay};

/// Makes and cancels the bookings of sites.
pub(super) struct SiteBookings;

/// What happened to a booking at its site.
pub(super) struct AtSite {
    sold: Sold,
    is_cancelled: bool,
    cause: Cause,
}

impl Handler for SiteBookings {
    type Event = AtSite;

    fn name(&self) -> &'static str {
        "direct-booking.site-bookings"
    }

    fn topics(&self) -> &'static [Topic] {
        &[SITE_BOOKING]
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<AtSite>, Undecodable> {
        let ty = delivery.envelope.ty.as_str();
        let is_cancelled = ty == SiteBookingEvent::SiteBookingCancellationReceived.ty();
        if !is_cancelled && ty != SiteBookingEvent::SiteBookingReceived.ty() {
            return Ok(None);
        }
        let Some(document) = delivery.decode::<SiteBookingDocument>()? else { return Ok(None) };
        if document.booking_id.as_str() != delivery.envelope.subject {
            return Err(Undecodable("the document is another booking's than the key says".to_owned()));
        }
        let stay = Stay::new(document.check_in, document.check_out)
            .map_err(|invalid| Undecodable(format!("checkOut {invalid}")))?;
        let sold = Sold {
            id: document.booking_id,
            site_id: document.site_id,
            reference: document.reference,
            room_type_id: document.room_type_id,
            stay,
            guests: document.guests,
            nightly_rate: document.nightly_rate,
        };
        Ok(Some(AtSite { sold, is_cancelled, cause: Cause::of(&delivery.envelope) }))
    }

    async fn apply(&self, transaction: &Transaction<'_>, events: &[AtSite]) -> Result<(), Unapplied> {
        let now = Utc::now();
        // What is cancelled here was sold before, in this batch or an earlier one.
        let mut sold: Vec<&AtSite> = events.iter().filter(|event| !event.is_cancelled).collect();
        sold.sort_by(|one, other| {
            let key = |event: &AtSite| (event.sold.room_type_id.clone(), event.sold.stay.check_in());
            key(one).cmp(&key(other))
        });
        for AtSite { sold, cause, .. } in sold {
            store::bookings::receive(transaction, sold, cause, now).await?;
        }
        let cancelled = events.iter().filter(|event| event.is_cancelled);
        let cancelled: BTreeMap<&str, &Cause> = cancelled.map(|event| (event.sold.id.as_str(), &event.cause)).collect();
        Ok(store::bookings::cancelled_by_site(transaction, &cancelled, now).await?)
    }
}
