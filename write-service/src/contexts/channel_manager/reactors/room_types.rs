//! This context's own copy of how many rooms there are of each type.
//!
//! It is written for the second version of the room types' contract, and still reads the topic of the first: what lies there is
//! upcast. To move is to name the other topic, here and in `contracts/readers.toml`.

use contracts::{
    Topic,
    direct_booking::v1::{ROOM_TYPE, RoomTypeDocument},
};
use deadpool_postgres::Transaction;
use inbox::{Delivery, Handler, Unapplied, Undecodable};

use super::super::{
    notices::{self, Nights},
    store::{
        allotments,
        copies::{self, RoomTypeCopy},
    },
};
use crate::copies::latest;

/// Keeps the copies.
pub(super) struct RoomTypes;

impl Handler for RoomTypes {
    type Event = RoomTypeCopy;

    fn name(&self) -> &'static str {
        "channel-manager.room-types"
    }

    fn topics(&self) -> &'static [Topic] {
        &[ROOM_TYPE]
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<RoomTypeCopy>, Undecodable> {
        let envelope = &delivery.envelope;
        let room_type_id = envelope.subject.clone();
        // The document decides, not the event's type: the topic is compacted.
        let (version, rooms) = match delivery.decode()?.map(RoomTypeDocument::upcast) {
            Some(document) if document.room_type_id.as_str() != room_type_id => {
                return Err(Undecodable("the document is another room type's than the key says".to_owned()));
            }
            Some(document) => (document.version, i32::try_from(document.rooms.len()).unwrap_or(i32::MAX)),
            // The type is gone. Its version stays, so that no old document brings it back.
            None => (envelope.sequence.ok_or_else(|| Undecodable("a tombstone without a version".to_owned()))?, 0),
        };
        Ok(Some(RoomTypeCopy { room_type_id, version, rooms }))
    }

    async fn apply(&self, transaction: &Transaction<'_>, events: &[RoomTypeCopy]) -> Result<(), Unapplied> {
        let copies = latest(events, |copy| (&copy.room_type_id, copy.version));
        let room_types: Vec<&str> = copies.keys().copied().collect();
        allotments::hold(transaction, &room_types).await?;
        let changed = copies::keep_room_types(transaction, &copies).await?;
        let nights: Vec<Nights<'_>> = changed.iter().map(|room_type_id| Nights::all(room_type_id)).collect();
        Ok(notices::of_nights(transaction, None, &nights).await?)
    }
}
