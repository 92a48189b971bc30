//! What this context tells of its aggregates: Inside Data to Outside Data.

use chrono::{DateTime, Utc};
use contracts::{
    Topic,
    direct_booking::{
        BOOKING, BookingDocument, GUEST, GUEST_CARD, GuestCardDocument, GuestDocument, RATE_PLAN, ROOM_TYPE,
        RatePlanDocument, RoomTypeDocument, SOURCE, v1,
    },
    envelope::AggregateVersion,
};

use super::domain::{booking::Booking, guest::Guest, rate_plan::RatePlan, room_type::RoomType};
use crate::outbox::Document;

impl Document for RoomTypeDocument {
    const SOURCE: &'static str = SOURCE;
    const TOPIC: Topic = ROOM_TYPE;
    // Of the first version it was 1: whoever has that one is given this one.
    const REVISION: u32 = 2;

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

impl Document for v1::RoomTypeDocument {
    const SOURCE: &'static str = SOURCE;
    const TOPIC: Topic = v1::ROOM_TYPE;
    const REVISION: u32 = 1;

    fn subject(&self) -> &str {
        self.room_type_id.as_str()
    }

    fn version(&self) -> AggregateVersion {
        self.version
    }
}

impl Document for RatePlanDocument {
    const SOURCE: &'static str = SOURCE;
    const TOPIC: Topic = RATE_PLAN;
    const REVISION: u32 = 1;

    fn subject(&self) -> &str {
        self.rate_plan_id.as_str()
    }

    fn version(&self) -> AggregateVersion {
        self.version
    }

    fn valid_until(&self) -> Option<DateTime<Utc>> {
        Some(self.valid_until)
    }
}

impl From<&RatePlan> for RatePlanDocument {
    fn from(plan: &RatePlan) -> Self {
        Self {
            rate_plan_id: plan.id.clone(),
            version: plan.version,
            room_type_id: plan.room_type_id.clone(),
            name: plan.name.clone(),
            nightly_rate: plan.nightly_rate,
            valid_until: plan.valid_until,
        }
    }
}

impl Document for GuestDocument {
    const SOURCE: &'static str = SOURCE;
    const TOPIC: Topic = GUEST;
    const REVISION: u32 = 1;

    fn subject(&self) -> &str {
        self.guest_id.as_str()
    }

    fn version(&self) -> AggregateVersion {
        self.version
    }
}

impl From<&Guest> for GuestDocument {
    fn from(guest: &Guest) -> Self {
        Self {
            guest_id: guest.id.clone(),
            version: guest.version,
            name: guest.name.clone(),
            email: guest.email.clone(),
        }
    }
}

impl Document for GuestCardDocument {
    const SOURCE: &'static str = SOURCE;
    const TOPIC: Topic = GUEST_CARD;
    const REVISION: u32 = 1;

    fn subject(&self) -> &str {
        self.guest_id.as_str()
    }

    fn version(&self) -> AggregateVersion {
        self.version
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
            booked_by: booking.booked_by.clone(),
            room_type_id: booking.room_type_id.clone(),
            room: booking.room.clone(),
            check_in: booking.stay.check_in(),
            check_out: booking.stay.check_out(),
            guests: booking.guests,
            rate_plan_id: booking.rate_plan_id.clone(),
            nightly_rate: booking.nightly_rate,
            total: booking.total,
            made_at: booking.made_at,
            rejection: booking.rejection.clone(),
            confirmation_requested_at: booking.confirmation_requested_at,
            cancelled_at: booking.cancelled_at,
            checked_in_at: booking.checked_in_at,
            checked_out_at: booking.checked_out_at,
        }
    }
}
