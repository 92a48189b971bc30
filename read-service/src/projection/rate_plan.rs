//! `view.rate_plan`: what a night costs, and until when that may be said.

use contracts::direct_booking::RatePlanDocument;

use super::{
    column::{instant, long, text},
    projector::Projection,
};

/// Fills `view.rate_plan`.
pub(super) static RATE_PLAN: Projection<RatePlanDocument> = Projection {
    identity: |plan| (plan.rate_plan_id.as_str(), plan.version),
    columns: &[
        text("room_type_id", |plan| Some(plan.room_type_id.as_str())),
        text("name", |plan| Some(&plan.name)),
        long("nightly_rate_minor", |plan| Some(plan.nightly_rate.amount_minor)),
        text("nightly_rate_currency", |plan| Some(plan.nightly_rate.currency.as_str())),
        instant("valid_until", |plan| Some(plan.valid_until)),
    ],
    followed_by: &[],
};
