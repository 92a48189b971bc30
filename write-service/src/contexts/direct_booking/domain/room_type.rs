//! A room type and its rooms.

use std::collections::HashSet;

use contracts::{
    direct_booking::{Room, RoomTypeEvent},
    envelope::AggregateVersion,
    id::RoomTypeId,
};

/// So many rooms a type may have: its document, which names each, has to stay publishable.
pub(crate) const MOST_ROOMS: usize = 10_000;

/// A room type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoomType {
    pub(crate) id: RoomTypeId,
    pub(crate) version: AggregateVersion,
    pub(crate) name: String,
    pub(crate) rooms: Vec<Room>,
}

/// Why rooms cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It has this one.
    #[error("room {0} is there already")]
    RoomIsThere(String),
    /// It would have too many.
    #[error("a room type has at most {MOST_ROOMS} rooms")]
    TooMany,
}

/// Defines a room type. The rooms are distinct.
pub(crate) fn define(id: RoomTypeId, name: String, rooms: Vec<Room>) -> (RoomType, RoomTypeEvent) {
    (RoomType { id, version: AggregateVersion::FIRST, name, rooms }, RoomTypeEvent::RoomTypeDefined)
}

impl RoomType {
    /// Adds rooms, which are distinct, behind those that are there.
    pub(crate) fn add_rooms(&self, rooms: Vec<Room>) -> Result<(Self, RoomTypeEvent), Refusal> {
        let there: HashSet<_> = self.rooms.iter().map(|room| &room.number).collect();
        if let Some(room) = rooms.iter().find(|room| there.contains(&room.number)) {
            return Err(Refusal::RoomIsThere(room.number.clone()));
        }
        if self.rooms.len() + rooms.len() > MOST_ROOMS {
            return Err(Refusal::TooMany);
        }
        let mut next = Self { version: self.version.next(), ..self.clone() };
        next.rooms.extend(rooms);
        Ok((next, RoomTypeEvent::RoomsAdded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn room(number: u32) -> Room {
        Room { number: number.to_string(), step_free: false }
    }

    fn double(rooms: impl IntoIterator<Item = u32>) -> RoomType {
        define("double".parse().unwrap(), "Double".to_owned(), rooms.into_iter().map(room).collect()).0
    }

    proptest! {
        #[test]
        fn no_room_is_ever_there_twice(first in prop::collection::hash_set(0u32..20, 1..10), more in prop::collection::hash_set(0u32..20, 1..10)) {
            let before = double(first.iter().copied());
            match before.add_rooms(more.iter().copied().map(room).collect()) {
                Err(_) => prop_assert!(!first.is_disjoint(&more)),
                Ok((after, event)) => {
                    prop_assert_eq!(event, RoomTypeEvent::RoomsAdded);
                    prop_assert_eq!(after.version, before.version.next());
                    prop_assert_eq!(&after.rooms[..before.rooms.len()], &before.rooms[..]);
                    let distinct: HashSet<_> = after.rooms.iter().map(|room| &room.number).collect();
                    prop_assert_eq!(distinct.len(), first.len() + more.len());
                }
            }
        }
    }

    #[test]
    fn the_number_of_rooms_is_bounded() {
        let full = double(0..10_000);
        assert_eq!(full.add_rooms(vec![room(10_000)]), Err(Refusal::TooMany));
        let (full, _) = double(0..9_999).add_rooms(vec![room(10_000)]).unwrap();
        assert_eq!(full.rooms.len(), MOST_ROOMS);
    }
}
