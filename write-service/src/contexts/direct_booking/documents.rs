//! What this context tells of its aggregates: Inside Data to Outside Data.

use contracts::{
    Topic,
    direct_booking::{BOOKING, BookingDocument, ROOM_TYPE, RoomTypeDocument, SOURCE},
    envelope::AggregateVersion,
};

use super::domain::{booking::Booking, room_type::RoomType};
use crate::outbox::Document;

impl Document for RoomTypeDocument {
    const SOURCE: &'static str = SOURCE;
    const TOPIC: Topic = ROOM_TYPE;
    const REVISION: u32 = 1;

    fn subject(&self) -> &str {
        self.room_type_id.as_str()
    }

    fn version(&self) -> AggregateVersion {
        self.version
    }
}

impl From<&RoomType> for RoomTypeDocument {
    fn from(room_type: &RoomType) -> Self {
        Self {
            room_type_id: room_type.id.clone(),
            version: room_type.version,
            name: room_type.name.clone(),
            rooms: room_type.rooms.clone(),
        }
    }
}

impl Document for BookingDocument {
    const SOURCE: &'static str = SOURCE;
    const TOPIC: Topic = BOOKING;
    const REVISION: u32 = 1;

    fn subject(&self) -> &str {
        self.booking_id.as_str()
    }

    fn version(&self) -> AggregateVersion {
        self.version
    }
}

impl From<&Booking> for BookingDocument {
    fn from(booking: &Booking) -> Self {
        Self {
            booking_id: booking.id.clone(),
            version: booking.version,
            status: booking.status,
            account_id: booking.account_id.clone(),
            room_type_id: booking.room_type_id.clone(),
            check_in: booking.stay.check_in(),
            check_out: booking.stay.check_out(),
            guests: booking.guests,
            nightly_rate: booking.nightly_rate,
            total: booking.total,
            made_at: booking.made_at,
            rejection: booking.rejection.clone(),
            cancelled_at: booking.cancelled_at,
        }
    }
}
