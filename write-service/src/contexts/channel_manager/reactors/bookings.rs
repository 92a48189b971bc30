//! Bookings, whoever has made them: a copy of each stay, from which it is counted what sites may sell; and what became of those
//! that sites have sold.

use contracts::{
    Topic,
    direct_booking::{BOOKING, BookedBy, BookingDocument, BookingStatus},
};
use deadpool_postgres::Transaction;
use inbox::{Delivery, Handler, Unapplied, Undecodable};

use super::super::{
    domain::{availability::held_until, site_booking::Word},
    notices,
    store::{
        allotments,
        copies::{self, StayCopy},
        site_bookings,
    },
};
use crate::{command::Cause, copies::latest};

/// Keeps the copies, and the sites' bookings up to date.
pub(super) struct Bookings;

/// What happened to a booking.
pub(super) struct Booked {
    stay: StayCopy,
    word: Word,
    cause: Cause,
}

impl Handler for Bookings {
    type Event = Booked;

    fn name(&self) -> &'static str {
        "channel-manager.bookings"
    }

    fn topics(&self) -> &'static [Topic] {
        &[BOOKING]
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<Booked>, Undecodable> {
        let Some(document) = delivery.decode::<BookingDocument>()? else { return Ok(None) };
        if document.booking_id.as_str() != delivery.envelope.subject {
            return Err(Undecodable("the document is another booking's than the key says".to_owned()));
        }
        let held_until = held_until(&document).map_err(|invalid| Undecodable(format!("checkOut {invalid}")))?;
        let site_id = match document.booked_by {
            BookedBy::Channel { site_id, .. } => Some(site_id),
            BookedBy::Account { .. } | BookedBy::Guest { .. } => None,
        };
        let stay = StayCopy {
            booking_id: document.booking_id,
            version: document.version,
            site_id,
            room_type_id: document.room_type_id,
            check_in: document.check_in,
            held_until,
            is_arrived: matches!(document.status, BookingStatus::CheckedIn | BookingStatus::CheckedOut),
        };
        let word = Word::of(document.status, document.rejection);
        Ok(Some(Booked { stay, word, cause: Cause::of(&delivery.envelope) }))
    }

    async fn apply(&self, transaction: &Transaction<'_>, events: &[Booked]) -> Result<(), Unapplied> {
        let room_types: Vec<&str> = events.iter().map(|event| event.stay.room_type_id.as_str()).collect();
        allotments::hold(transaction, &room_types).await?;
        let said: Vec<_> = events
            .iter()
            .filter_map(|Booked { stay, word, cause }| {
                Some((&stay.booking_id, stay.site_id.as_ref()?, word.clone(), cause))
            })
            .collect();
        let told = site_bookings::heard(transaction, &said).await?;
        let stays = latest(events, |event| (event.stay.booking_id.as_str(), event.stay.version));
        let stays = stays.into_iter().map(|(id, event)| (id, &event.stay)).collect();
        let nights = copies::keep_stays(transaction, &stays).await?;
        notices::of_bookings(transaction, &told).await?;
        Ok(notices::of_nights(transaction, None, &nights).await?)
    }
}
