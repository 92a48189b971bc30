//! Room types: define one, add rooms to it, read it.

use std::collections::HashSet;

use axum::{
    Router,
    extract::State,
    http::HeaderMap,
    response::Response,
    routing::{get, post},
};
use contracts::{
    direct_booking::{RoomTypeDocument, TOPICS},
    id::RoomTypeId,
};

use super::super::{
    domain::room_type::{self, Refusal},
    reactors::COPIES,
    store,
};
use crate::{
    answer,
    body::Body,
    command::Command,
    fields::{self, Field},
    path::Id,
    problem::Problem,
    read_after,
    shell::Shell,
};

const COLLECTION: &str = "/direct-booking/room-types";

/// The most rooms that one command may bring.
const MOST_AT_ONCE: usize = 2_000;

pub(super) fn routes() -> Router<Shell> {
    Router::new()
        .route("/room-types", post(define))
        .route("/room-types/{id}", get(document))
        .route("/room-types/{id}/add-rooms", post(add_rooms))
}

async fn define(State(shell): State<Shell>, command: Command, Body(body): Body) -> Result<Response, Problem> {
    let (id, name, rooms) = fields::read(&body, |fields| {
        let id = fields.optional("roomTypeId", |field| field.parsed());
        let name = fields.required("name", |name| name.text(1..=200));
        let rooms = fields.required("rooms", rooms);
        Some((id?, name?, rooms?))
    })?;
    read_after::wait(&shell, &command.read_after, TOPICS, COPIES).await?;
    let (room_type, event) = room_type::define(id.unwrap_or_else(RoomTypeId::generate), name, rooms);
    Ok(answer::created(COLLECTION, store::room_types::insert(&shell.pool, &room_type, event, &command).await?))
}

async fn add_rooms(
    State(shell): State<Shell>,
    Id(id): Id<RoomTypeId>,
    command: Command,
    Body(body): Body,
) -> Result<Response, Problem> {
    let rooms = fields::read(&body, |fields| fields.required("rooms", rooms))?;
    read_after::wait(&shell, &command.read_after, TOPICS, COPIES).await?;
    Ok(answer::changed(store::room_types::add_rooms(&shell.pool, &id, rooms, &command).await?))
}

async fn document(State(shell): State<Shell>, Id(id): Id<RoomTypeId>, headers: HeaderMap) -> Result<Response, Problem> {
    let room_type = store::room_types::find(&shell.pool, &id).await?;
    answer::document(&headers, room_type.as_ref().map(RoomTypeDocument::from).as_ref())
}

/// Rooms, each once.
fn rooms(field: &Field<'_>) -> Option<Vec<String>> {
    let mut seen = HashSet::new();
    field.list(1..=MOST_AT_ONCE, |room| {
        let number = room.text(1..=16)?;
        if seen.insert(number.clone()) { Some(number) } else { room.refuse("is in the list twice") }
    })
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
