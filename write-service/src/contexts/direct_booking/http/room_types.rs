//! Room types: define one, add rooms to it, read it.

use std::collections::HashSet;

use axum::http::StatusCode;
use chrono::NaiveDate;
use contracts::{
    direct_booking::{Room, RoomTypeDocument},
    id::RoomTypeId,
};
use deadpool_postgres::{Pool, Transaction};

use super::super::{
    domain::room_type::{self, Refusal},
    store,
};
use crate::{
    action::Action,
    answer::Answer,
    command::Command,
    database,
    fields::{Field, Fields},
    path::Id,
    problem::Problem,
    reading::Readable,
    routes::Routes,
};

const COLLECTION: &str = "/direct-booking/room-types";

/// The most rooms that one command may bring.
const MOST_AT_ONCE: usize = 2_000;

pub(super) fn routes() -> Routes {
    Routes::new()
        .command::<Define>("/room-types")
        .document::<RoomTypeDocument>("/room-types/{id}", "The room type as it is.")
        .command::<AddRooms>("/room-types/{id}/add-rooms")
}

struct Define {
    id: Option<RoomTypeId>,
    name: String,
    rooms: Vec<Room>,
}

impl Action for Define {
    type On = ();
    type Document = RoomTypeDocument;
    const NAME: &'static str = "DefineRoomType";
    const SUMMARY: &'static str = "Defines a room type with its rooms.";
    const STATUS: StatusCode = StatusCode::CREATED;

    fn read(fields: &mut Fields<'_>, _: NaiveDate) -> Option<Self> {
        let id = fields.optional("roomTypeId", |field| field.parsed());
        let name = fields.required("name", |name| name.text(1..=200));
        let rooms = fields.required("rooms", rooms);
        Some(Self { id: id?, name: name?, rooms: rooms? })
    }

    async fn perform(self, (): (), transaction: &Transaction<'_>, command: &Command) -> Result<Answer, Problem> {
        let id = self.id.unwrap_or_else(RoomTypeId::generate);
        let (room_type, event) = room_type::define(id, self.name, self.rooms);
        Ok(Answer::created(COLLECTION, store::room_types::insert(transaction, &room_type, event, command).await?))
    }
}

struct AddRooms(Vec<Room>);

impl Action for AddRooms {
    type On = Id<RoomTypeId>;
    type Document = RoomTypeDocument;
    const NAME: &'static str = "AddRooms";
    const SUMMARY: &'static str = "Adds rooms to a room type.";
    const STATUS: StatusCode = StatusCode::OK;

    fn read(fields: &mut Fields<'_>, _: NaiveDate) -> Option<Self> {
        fields.required("rooms", rooms).map(Self)
    }

    async fn perform(
        self,
        Id(id): Self::On,
        transaction: &Transaction<'_>,
        command: &Command,
    ) -> Result<Answer, Problem> {
        Ok(Answer::changed(store::room_types::add_rooms(transaction, &id, self.0, command).await?))
    }
}

impl Readable for RoomTypeDocument {
    type Id = RoomTypeId;

    async fn find(pool: &Pool, id: &RoomTypeId) -> Result<Option<Self>, database::Error> {
        Ok(store::room_types::find(pool, id).await?.as_ref().map(Self::from))
    }
}

/// Rooms, each once.
fn rooms(field: &Field<'_>) -> Option<Vec<Room>> {
    let mut seen = HashSet::new();
    field.list(1..=MOST_AT_ONCE, |item| {
        let room = room(item)?;
        if seen.insert(room.number.clone()) { Some(room) } else { item.refuse("is in the list twice") }
    })
}

/// A room; or its number alone, as long as there are clients that know rooms by nothing else.
fn room(field: &Field<'_>) -> Option<Room> {
    let number = |field: &Field<'_>| field.text(1..=16);
    field.text_or_object(
        |field| Some(Room { number: number(field)?, step_free: false }),
        |fields| {
            let number = fields.required("number", number);
            let step_free = fields.optional("stepFree", |field| field.boolean());
            Some(Room { number: number?, step_free: step_free?.unwrap_or(false) })
        },
    )
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::RoomIsThere(room) => {
                Problem::conflict("room-exists", "Room exists", format!("The room {room} is there already."))
            }
            Refusal::TooMany => {
                let detail = format!("A room type has at most {} rooms.", room_type::MOST_ROOMS);
                Problem::conflict("too-many-rooms", "Too many rooms", detail)
            }
        }
    }
}
