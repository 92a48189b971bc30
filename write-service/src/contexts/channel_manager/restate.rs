//! What is told again.

use contracts::{
    channel_manager::{Allotment, SiteBookingDocument, SiteBookingEvent, SiteDocument, SiteEvent},
    id::RoomTypeId,
};
use tokio_postgres::Row;

use super::store;
use crate::{
    database::{self, read},
    outbox::restate::{Aggregate, Restated},
};

pub(super) const ALL: &[Aggregate] = &[Aggregate::of::<Sites>(), Aggregate::of::<SiteBookings>()];

struct Sites;

impl Restated for Sites {
    type Document = SiteDocument;
    const TABLE: &'static str = "channel_manager.site";
    const ID: &'static str = "site_id";
    const COLUMNS: &'static str = "site_id, version, status, name,
        array(select room_type_id from channel_manager.allotment where allotment.site_id = site.site_id
            order by room_type_id collate \"C\") as room_types,
        array(select rooms from channel_manager.allotment where allotment.site_id = site.site_id
            order by room_type_id collate \"C\") as rooms";
    const EVENT: &'static str = SiteEvent::SiteRestated.ty();

    fn read(row: &Row) -> Result<Option<SiteDocument>, database::Error> {
        let unreadable = |column, reason: String| database::Error::Unreadable { column, reason };
        let room_types: Vec<String> = row.try_get("room_types")?;
        let rooms: Vec<i32> = row.try_get("rooms")?;
        let allotments = room_types.into_iter().zip(rooms).map(|(id, rooms)| {
            let room_type_id = RoomTypeId::try_from(id).map_err(|error| unreadable("room_types", error.to_string()))?;
            let rooms = u32::try_from(rooms).map_err(|error| unreadable("rooms", error.to_string()))?;
            Ok(Allotment { room_type_id, rooms })
        });
        Ok(Some(SiteDocument {
            site_id: read::<_, String>(row, "site_id")?,
            version: read::<_, i64>(row, "version")?,
            status: read::<_, String>(row, "status")?,
            name: row.try_get("name")?,
            allotments: allotments.collect::<Result<_, database::Error>>()?,
        }))
    }
}

struct SiteBookings;

impl Restated for SiteBookings {
    type Document = SiteBookingDocument;
    const TABLE: &'static str = "channel_manager.site_booking";
    const ID: &'static str = "booking_id";
    const EVENT: &'static str = SiteBookingEvent::SiteBookingRestated.ty();

    fn read(row: &Row) -> Result<Option<SiteBookingDocument>, database::Error> {
        Ok(Some(SiteBookingDocument::from(&store::site_bookings::site_booking(row)?)))
    }
}
