//! Room types: the row and its event in one statement.

use contracts::{
    direct_booking::{RoomTypeDocument, RoomTypeEvent},
    envelope::AggregateVersion,
    id::RoomTypeId,
};
use deadpool_postgres::{Pool, Transaction};
use tokio_postgres::Row;

use super::super::domain::room_type::{Refusal, RoomType};
use crate::{
    command::Command,
    database::{self, read},
    failure::Failure,
    outbox::{Entry, Parameter, Recorded, with_event},
};

const FIND: &str = "select room_type_id, version, name, rooms from direct_booking.room_type where room_type_id = $1";

const LOCK: &str = "select room_type_id, version, name, rooms from direct_booking.room_type where room_type_id = $1
    for no key update";

const INSERT: &str = with_event!(
    "direct_booking",
    "insert into direct_booking.room_type (room_type_id, version, name, rooms) values ($8, $9, $10, $11)
     on conflict (room_type_id) do nothing"
);

const UPDATE: &str = with_event!(
    "direct_booking",
    "update direct_booking.room_type set version = $9, name = $10, rooms = $11 where room_type_id = $8"
);

/// The room type, if there is one.
pub(crate) async fn find(pool: &Pool, id: &RoomTypeId) -> Result<Option<RoomType>, database::Error> {
    let client = pool.get().await?;
    let statement = client.prepare_cached(FIND).await?;
    client.query_opt(&statement, &[&id.as_str()]).await?.map(|row| room_type(&row)).transpose()
}

/// Stores a new room type with its event.
pub(crate) async fn insert(
    transaction: &Transaction<'_>,
    new: &RoomType,
    event: RoomTypeEvent,
    command: &Command,
) -> Result<Recorded, Failure<Refusal>> {
    let entry = Entry::new(&RoomTypeDocument::from(new), event.ty(), &command.cause);
    match entry.execute(transaction, INSERT, &State::of(new).columns()).await? {
        0 => Err(Failure::Taken),
        _ => Ok(entry.recorded()),
    }
}

/// Adds rooms, with the room type locked.
pub(crate) async fn add_rooms(
    transaction: &Transaction<'_>,
    id: &RoomTypeId,
    rooms: Vec<String>,
    command: &Command,
) -> Result<Recorded, Failure<Refusal>> {
    let statement = transaction.prepare_cached(LOCK).await?;
    let row = transaction.query_opt(&statement, &[&id.as_str()]).await?.ok_or(Failure::Missing)?;
    let before = room_type(&row)?;
    command.check_version(&RoomTypeDocument::from(&before))?;
    let (after, event) = before.add_rooms(rooms).map_err(Failure::Refused)?;
    let entry = Entry::new(&RoomTypeDocument::from(&after), event.ty(), &command.cause);
    entry.execute(transaction, UPDATE, &State::of(&after).columns()).await?;
    Ok(entry.recorded())
}

pub(crate) fn room_type(row: &Row) -> Result<RoomType, database::Error> {
    Ok(RoomType {
        id: read::<RoomTypeId, String>(row, "room_type_id")?,
        version: read::<AggregateVersion, i64>(row, "version")?,
        name: row.try_get("name")?,
        rooms: row.try_get("rooms")?,
    })
}

/// A row's values, in the order of the statements' parameters.
struct State<'a> {
    id: &'a str,
    version: i64,
    name: &'a str,
    rooms: &'a [String],
}

impl<'a> State<'a> {
    fn of(room_type: &'a RoomType) -> Self {
        Self {
            id: room_type.id.as_str(),
            version: room_type.version.get(),
            name: &room_type.name,
            rooms: &room_type.rooms,
        }
    }

    fn columns(&self) -> [Parameter<'_>; 4] {
        [&self.id, &self.version, &self.name, &self.rooms]
    }
}
