//! A rate plan: what a night costs, and until when that may be said.

use chrono::{DateTime, Utc};
use contracts::{
    direct_booking::RatePlanEvent,
    envelope::AggregateVersion,
    id::{RatePlanId, RoomTypeId},
    money::Money,
};

use super::booking::Refusal;

/// A rate plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RatePlan {
    pub(crate) id: RatePlanId,
    pub(crate) version: AggregateVersion,
    pub(crate) room_type_id: RoomTypeId,
    pub(crate) name: String,
    pub(crate) nightly_rate: Money,
    pub(crate) valid_until: DateTime<Utc>,
}

/// A price, and until when it may be said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tariff {
    pub(crate) nightly_rate: Money,
    pub(crate) valid_until: DateTime<Utc>,
}

/// Defines a rate plan.
pub(crate) fn define(
    id: RatePlanId,
    room_type_id: RoomTypeId,
    name: String,
    tariff: Tariff,
) -> (RatePlan, RatePlanEvent) {
    let Tariff { nightly_rate, valid_until } = tariff;
    let version = AggregateVersion::FIRST;
    (RatePlan { id, version, room_type_id, name, nightly_rate, valid_until }, RatePlanEvent::RatePlanDefined)
}

impl RatePlan {
    /// Gives it another price. What was booked keeps its own.
    pub(crate) fn reprice(&self, tariff: Tariff) -> (Self, RatePlanEvent) {
        let Tariff { nightly_rate, valid_until } = tariff;
        let next = Self { version: self.version.next(), nightly_rate, valid_until, ..self.clone() };
        (next, RatePlanEvent::RatePlanRepriced)
    }

    /// What a night costs at this moment, if it is what the client was shown.
    pub(crate) fn rate(&self, shown: Option<Money>, now: DateTime<Utc>) -> Result<Money, Refusal> {
        if now >= self.valid_until {
            return Err(Refusal::StalePrice(self.valid_until));
        }
        match shown {
            Some(shown) if shown != self.nightly_rate => Err(Refusal::OtherPrice(self.nightly_rate)),
            _ => Ok(self.nightly_rate),
        }
    }
}
