//! Rate plans: what a night costs, and until when that may be said.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::events,
    envelope::AggregateVersion,
    id::{RatePlanId, RoomTypeId},
    money::Money,
    topic::{Cleanup, Topic},
};

/// The last document of each rate plan. Compacted: reference data.
pub const RATE_PLAN: Topic =
    Topic { name: "hotel.direct-booking.rate-plan.v1", partitions: 1, cleanup: Cleanup::Collection };

/// What can happen to a rate plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RatePlanEvent {
    /// It was defined, with its price.
    RatePlanDefined,
    /// Its price changed, or how long that is valid.
    RatePlanRepriced,
    /// Nothing has happened: what it is is told once more, for those who have missed it. It starts no process.
    RatePlanRestated,
}

events!(
    RatePlanEvent:
    RatePlanDefined "hotel.direct-booking.RatePlanDefined.v1",
    RatePlanRepriced "hotel.direct-booking.RatePlanRepriced.v1",
    RatePlanRestated "hotel.direct-booking.RatePlanRestated.v1",
);

/// A rate plan. A price is not used past its validity: nobody knows what the night costs then, until it is priced anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RatePlanDocument {
    /// Its id, such as `double-flexible`.
    pub rate_plan_id: RatePlanId,
    /// Its version.
    pub version: AggregateVersion,
    /// The type of room that it is for.
    pub room_type_id: RoomTypeId,
    /// What guests are told it is.
    pub name: String,
    /// What a night costs.
    pub nightly_rate: Money,
    /// Until when that may be said.
    pub valid_until: DateTime<Utc>,
}
