//! `view.site`: the aggregator sites, and how many rooms of each type they may sell.

use contracts::channel_manager::SiteDocument;

use super::{
    column::{json, text},
    projector::Projection,
};

/// Fills `view.site`.
pub(super) static SITE: Projection<SiteDocument> = Projection {
    identity: |site| (site.site_id.as_str(), site.version),
    columns: &[
        text("status", |site| Some(site.status.as_str())),
        text("name", |site| Some(&site.name)),
        json("allotments", |site| serde_json::to_value(&site.allotments).ok()),
    ],
    followed_by: &[],
};
