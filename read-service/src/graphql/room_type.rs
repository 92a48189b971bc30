//! The type `RoomType`.

use async_graphql::{ID, SimpleObject};
use chrono::{DateTime, Utc};
use contracts::direct_booking;
use tokio_postgres::types::{Json, Type};

use super::scalars::Long;
use crate::view::{self, Columns, Connections, Sql};

/// A kind of room, as Direct booking last told it.
#[derive(Clone, Debug, SimpleObject)]
pub(crate) struct RoomType {
    /// Its id, such as `double`.
    id: ID,
    /// Its version: 1 when it was defined, one more with each change.
    version: Long,
    /// What guests are told it is.
    name: String,
    /// Its rooms, in the order in which they were added.
    rooms: Vec<Room>,
    /// When this version was recorded by its context.
    changed_at: DateTime<Utc>,
    /// When this version arrived in this view.
    applied_at: DateTime<Utc>,
}

/// A room.
#[derive(Clone, Debug, SimpleObject)]
pub(crate) struct Room {
    /// Its number.
    number: String,
    /// Whether a guest is promised to reach it without steps.
    step_free: bool,
}

impl From<direct_booking::Room> for Room {
    fn from(direct_booking::Room { number, step_free }: direct_booking::Room) -> Self {
        Self { number, step_free }
    }
}

/// The columns that [`RoomType::read`] takes, of a `view.room_type` that is called `r`.
pub(super) const COLUMNS: &str = "r.id, r.version, r.name, r.rooms, r.changed_at, r.applied_at";
/// How many they are.
pub(super) const COLUMN_COUNT: usize = 6;

impl RoomType {
    pub(super) fn read(columns: &mut Columns<'_>) -> Result<Self, view::Error> {
        Ok(Self {
            id: ID(columns.take()?),
            version: Long(columns.take()?),
            name: columns.take()?,
            rooms: columns.take::<Json<Vec<direct_booking::Room>>>()?.0.into_iter().map(Room::from).collect(),
            changed_at: columns.take()?,
            applied_at: columns.take()?,
        })
    }

    pub(super) async fn by_id(connections: &Connections, id: &str) -> Result<Option<Self>, view::Error> {
        let sql = Sql {
            summary: "SELECT view.room_type",
            text: format!("SELECT {COLUMNS} FROM view.room_type r WHERE r.id = $1 AND NOT r.erased"),
            parameters: &[Type::TEXT],
        };
        let rows = connections.query(&sql, &[&id]).await?;
        rows.first().map(|row| Self::read(&mut Columns::of(row))).transpose()
    }
}
