//! What is told again.

use contracts::direct_booking::{
    BookingDocument, BookingEvent, GuestCardDocument, GuestCardEvent, GuestDocument, GuestEvent, RatePlanDocument,
    RatePlanEvent, RoomTypeDocument, RoomTypeEvent,
};
use tokio_postgres::Row;

use super::store;
use crate::{
    command::Cause,
    database,
    outbox::{
        Entry,
        restate::{Aggregate, Restated},
    },
};

pub(super) const ALL: &[Aggregate] = &[
    Aggregate::of::<RoomTypes>(),
    Aggregate::of::<RatePlans>(),
    Aggregate::of::<Guests>(),
    Aggregate::of::<GuestCards>(),
    Aggregate::of::<Bookings>(),
];

struct RoomTypes;

impl Restated for RoomTypes {
    type Document = RoomTypeDocument;
    const TABLE: &'static str = "direct_booking.room_type";
    const ID: &'static str = "room_type_id";
    const EVENT: &'static str = RoomTypeEvent::RoomTypeRestated.ty();

    fn read(row: &Row) -> Result<Option<RoomTypeDocument>, database::Error> {
        Ok(Some(RoomTypeDocument::from(&store::room_types::room_type(row)?)))
    }

    fn entries(document: &RoomTypeDocument, cause: &Cause) -> Vec<Entry> {
        store::room_types::entries(document, RoomTypeEvent::RoomTypeRestated, cause).into()
    }
}

struct RatePlans;

impl Restated for RatePlans {
    type Document = RatePlanDocument;
    const TABLE: &'static str = "direct_booking.rate_plan";
    const ID: &'static str = "rate_plan_id";
    const EVENT: &'static str = RatePlanEvent::RatePlanRestated.ty();

    fn read(row: &Row) -> Result<Option<RatePlanDocument>, database::Error> {
        Ok(Some(RatePlanDocument::from(&store::rate_plans::rate_plan(row)?)))
    }
}

struct Guests;

impl Restated for Guests {
    type Document = GuestDocument;
    const TABLE: &'static str = "direct_booking.guest";
    const ID: &'static str = "guest_id";
    const EVENT: &'static str = GuestEvent::GuestRestated.ty();

    fn read(row: &Row) -> Result<Option<GuestDocument>, database::Error> {
        let is_there = row.try_get::<_, Option<&str>>("name")?.is_some();
        is_there.then(|| store::guests::guest(row).map(|guest| GuestDocument::from(&guest))).transpose()
    }
}

struct GuestCards;

impl Restated for GuestCards {
    type Document = GuestCardDocument;
    const TABLE: &'static str = "direct_booking.guest_card";
    const ID: &'static str = "guest_id";
    const EVENT: &'static str = GuestCardEvent::GuestCardRestated.ty();

    fn read(row: &Row) -> Result<Option<GuestCardDocument>, database::Error> {
        let Some(card_token) = row.try_get("card_token")? else { return Ok(None) };
        let guest_id = database::read::<_, String>(row, "guest_id")?;
        Ok(Some(GuestCardDocument { guest_id, version: database::read::<_, i64>(row, "version")?, card_token }))
    }
}

struct Bookings;

impl Restated for Bookings {
    type Document = BookingDocument;
    const TABLE: &'static str = "direct_booking.booking";
    const ID: &'static str = "booking_id";
    const EVENT: &'static str = BookingEvent::BookingRestated.ty();

    fn read(row: &Row) -> Result<Option<BookingDocument>, database::Error> {
        Ok(Some(BookingDocument::from(&store::bookings::row::booking(row)?)))
    }
}
