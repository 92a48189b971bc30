//! What this context tells of its aggregates: Inside Data to Outside Data.

use contracts::{
    Topic,
    channel_manager::{Allotment, SITE, SITE_BOOKING, SOURCE, SiteBookingDocument, SiteDocument},
    envelope::AggregateVersion,
};

use super::domain::{site::Site, site_booking::SiteBooking};
use crate::outbox::Document;

impl Document for SiteDocument {
    const SOURCE: &'static str = SOURCE;
    const TOPIC: Topic = SITE;
    const REVISION: u32 = 1;

    fn subject(&self) -> &str {
        self.site_id.as_str()
    }

    fn version(&self) -> AggregateVersion {
        self.version
    }
}

impl From<&Site> for SiteDocument {
    fn from(site: &Site) -> Self {
        let allotments = site.allotments.iter();
        Self {
            site_id: site.id.clone(),
            version: site.version,
            status: site.status,
            name: site.name.clone(),
            allotments: allotments
                .map(|(room_type_id, rooms)| Allotment { room_type_id: room_type_id.clone(), rooms: *rooms })
                .collect(),
        }
    }
}

impl Document for SiteBookingDocument {
    const SOURCE: &'static str = SOURCE;
    const TOPIC: Topic = SITE_BOOKING;
    const REVISION: u32 = 1;

    fn subject(&self) -> &str {
        self.booking_id.as_str()
    }

    fn version(&self) -> AggregateVersion {
        self.version
    }
}

impl From<&SiteBooking> for SiteBookingDocument {
    fn from(booking: &SiteBooking) -> Self {
        Self {
            booking_id: booking.id.clone(),
            version: booking.version,
            status: booking.status,
            site_id: booking.site_id.clone(),
            reference: booking.reference.clone(),
            room_type_id: booking.room_type_id.clone(),
            check_in: booking.stay.check_in(),
            check_out: booking.stay.check_out(),
            guests: booking.guests,
            nightly_rate: booking.nightly_rate,
            received_at: booking.received_at,
            rejection: booking.rejection.clone(),
        }
    }
}
