//! Room types: the row and its event in one statement, and the event of the contract's first version in the same transaction.

use std::collections::HashSet;

use contracts::{
    direct_booking::{Room, RoomTypeDocument, RoomTypeEvent},
    envelope::AggregateVersion,
    id::RoomTypeId,
};
use deadpool_postgres::{Pool, Transaction};
use tokio_postgres::Row;

use super::super::domain::room_type::{Refusal, RoomType};
use crate::{
    command::{Cause, Command},
    database::{self, read},
    failure::Failure,
    outbox::{Entry, Parameter, Recorded, with_event},
};

const FIND: &str = "select room_type_id, version, name, rooms, step_free from direct_booking.room_type
    where room_type_id = $1";

const LOCK: &str = "select room_type_id, version, name, rooms, step_free from direct_booking.room_type
    where room_type_id = $1 for no key update";

const INSERT: &str = with_event!(
    "direct_booking",
    "insert into direct_booking.room_type (room_type_id, version, name, rooms, step_free) values ($8, $9, $10, $11, $12)
     on conflict (room_type_id) do nothing"
);

const UPDATE: &str = with_event!(
    "direct_booking",
    "update direct_booking.room_type set version = $9, name = $10, rooms = $11, step_free = $12 where room_type_id = $8"
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
    write(transaction, INSERT, new, event, command).await?.ok_or(Failure::Taken)
}

/// Adds rooms, with the room type locked.
pub(crate) async fn add_rooms(
    transaction: &Transaction<'_>,
    id: &RoomTypeId,
    rooms: Vec<Room>,
    command: &Command,
) -> Result<Recorded, Failure<Refusal>> {
    let statement = transaction.prepare_cached(LOCK).await?;
    let row = transaction.query_opt(&statement, &[&id.as_str()]).await?.ok_or(Failure::Missing)?;
    let before = room_type(&row)?;
    command.check_version(&RoomTypeDocument::from(&before))?;
    let (after, event) = before.add_rooms(rooms).map_err(Failure::Refused)?;
    write(transaction, UPDATE, &after, event, command).await?.ok_or(Failure::Missing)
}

/// Writes the row with its events; `None` where the statement changes no row.
async fn write(
    transaction: &Transaction<'_>,
    statement: &str,
    room_type: &RoomType,
    event: RoomTypeEvent,
    command: &Command,
) -> Result<Option<Recorded>, database::Error> {
    let [entry, older] = entries(&RoomTypeDocument::from(room_type), event, &command.cause);
    if entry.execute(transaction, statement, &State::of(room_type).columns()).await? == 0 {
        return Ok(None);
    }
    older.record(transaction, "direct_booking").await?;
    Ok(Some(entry.recorded()))
}

/// What is told of a room type: the event, and the same in the first version of the contract.
pub(crate) fn entries(document: &RoomTypeDocument, event: RoomTypeEvent, cause: &Cause) -> [Entry; 2] {
    [Entry::new(document, event.ty(), cause), Entry::new(&document.downcast(), event.downcast().ty(), cause)]
}

pub(crate) fn room_type(row: &Row) -> Result<RoomType, database::Error> {
    let (rooms, step_free): (Vec<String>, Vec<&str>) = (row.try_get("rooms")?, row.try_get("step_free")?);
    let step_free: HashSet<_> = step_free.into_iter().collect();
    let room = |number: String| Room { step_free: step_free.contains(number.as_str()), number };
    Ok(RoomType {
        id: read::<RoomTypeId, String>(row, "room_type_id")?,
        version: read::<AggregateVersion, i64>(row, "version")?,
        name: row.try_get("name")?,
        rooms: rooms.into_iter().map(room).collect(),
    })
}

/// A row's values, in the order of the statements' parameters.
struct State<'a> {
    id: &'a str,
    version: i64,
    name: &'a str,
    rooms: Vec<&'a str>,
    step_free: Vec<&'a str>,
}

impl<'a> State<'a> {
    fn of(room_type: &'a RoomType) -> Self {
        let numbers = |of: fn(&Room) -> bool| {
            room_type.rooms.iter().filter(|room| of(room)).map(|room| room.number.as_str()).collect()
        };
        Self {
            id: room_type.id.as_str(),
            version: room_type.version.get(),
            name: &room_type.name,
            rooms: numbers(|_| true),
            step_free: numbers(|room| room.step_free),
        }
    }

    fn columns(&self) -> [Parameter<'_>; 5] {
        [&self.id, &self.version, &self.name, &self.rooms, &self.step_free]
    }
}
