//! `view.room_type`: the kinds of rooms, and the rooms of each.

use contracts::{
    Topic,
    direct_booking::{self, Room, RoomTypeDocument},
    envelope::AggregateVersion,
};
use deadpool_postgres::Transaction;
use inbox::{Delivery, Handler, Unapplied, Undecodable};
use tokio_postgres::types::{Json, Type};

use super::{Change, Document, Keys, latest, read, text};

/// Fills `view.room_type`.
pub struct RoomTypes;

/// What a row of `view.room_type` holds beside its key.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomTypeRow {
    name: String,
    rooms: Vec<Room>,
}

impl Document for RoomTypeDocument {
    type Row = RoomTypeRow;

    fn identity(&self) -> (&str, AggregateVersion) {
        (self.room_type_id.as_str(), self.version)
    }

    fn into_row(self) -> Result<RoomTypeRow, Undecodable> {
        let room = |room: Room| Ok(Room { number: text("rooms", room.number)?, ..room });
        let rooms = self.rooms.into_iter().map(room).collect::<Result<_, _>>()?;
        Ok(RoomTypeRow { name: text("name", self.name)?, rooms })
    }
}

const UPSERT: &str = "
INSERT INTO view.room_type AS held (id, version, erased, changed_at, applied_at, name, rooms)
SELECT id, version, erased, changed_at, clock_timestamp(), name, rooms
FROM unnest($1, $2, $3, $4, $5, $6) AS given (id, version, erased, changed_at, name, rooms)
ON CONFLICT (id) DO UPDATE SET
    (version, erased, changed_at, applied_at, name, rooms) =
    (excluded.version, excluded.erased, excluded.changed_at, excluded.applied_at, excluded.name, excluded.rooms)
WHERE held.version < excluded.version";

impl Handler for RoomTypes {
    type Event = Change<RoomTypeRow>;

    fn name(&self) -> &'static str {
        "room_type"
    }

    fn topics(&self) -> &'static [Topic] {
        &[direct_booking::ROOM_TYPE]
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<Self::Event>, Undecodable> {
        read::<RoomTypeDocument>(delivery).map(Some)
    }

    async fn apply(&self, transaction: &Transaction<'_>, events: &[Self::Event]) -> Result<(), Unapplied> {
        let changes = latest(events);
        let keys = Keys::of(&changes);
        let rows = || changes.iter().map(|change| change.row.as_ref());
        let names: Vec<_> = rows().map(|row| row.map(|row| &row.name)).collect();
        let rooms: Vec<_> = rows().map(|row| row.map(|row| Json(&row.rooms))).collect();
        transaction
            .execute_typed(UPSERT, &keys.and(&[(&names, Type::TEXT_ARRAY), (&rooms, Type::JSONB_ARRAY)]))
            .await?;
        Ok(())
    }
}
