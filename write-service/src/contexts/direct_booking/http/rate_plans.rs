//! Rate plans: define one, price it anew, read it.

use axum::http::StatusCode;
use chrono::NaiveDate;
use contracts::{
    direct_booking::RatePlanDocument,
    id::{RatePlanId, RoomTypeId},
};
use deadpool_postgres::{Pool, Transaction};

use super::super::{
    domain::rate_plan::{self, Tariff},
    store,
};
use crate::{
    action::Action,
    answer::Answer,
    command::Command,
    database,
    fields::{Fields, rate::rate},
    path::Id,
    problem::Problem,
    reading::Readable,
    routes::Routes,
};

const COLLECTION: &str = "/direct-booking/rate-plans";

pub(super) fn routes() -> Routes {
    Routes::new()
        .command::<Define>("/rate-plans")
        .document::<RatePlanDocument>(
            "/rate-plans/{id}",
            "The rate plan as it is. It may be kept until its price is not valid any more.",
        )
        .command::<Reprice>("/rate-plans/{id}/reprice")
}

struct Define {
    id: Option<RatePlanId>,
    room_type_id: RoomTypeId,
    name: String,
    tariff: Tariff,
}

impl Action for Define {
    type On = ();
    type Document = RatePlanDocument;
    const NAME: &'static str = "DefineRatePlan";
    const SUMMARY: &'static str =
        "Defines a rate plan: what a night in a type of room costs, and until when that is so.";
    const STATUS: StatusCode = StatusCode::CREATED;

    fn read(fields: &mut Fields<'_>, _: NaiveDate) -> Option<Self> {
        let id = fields.optional("ratePlanId", |field| field.parsed());
        let room_type_id = fields.required("roomTypeId", |field| field.parsed());
        let name = fields.required("name", |name| name.text(1..=200));
        let tariff = tariff(fields);
        Some(Self { id: id?, room_type_id: room_type_id?, name: name?, tariff: tariff? })
    }

    async fn perform(self, (): (), transaction: &Transaction<'_>, command: &Command) -> Result<Answer, Problem> {
        let id = self.id.unwrap_or_else(RatePlanId::generate);
        let (plan, event) = rate_plan::define(id, self.room_type_id, self.name, self.tariff);
        Ok(Answer::created(COLLECTION, store::rate_plans::insert(transaction, &plan, event, command).await?))
    }
}

struct Reprice(Tariff);

impl Action for Reprice {
    type On = Id<RatePlanId>;
    type Document = RatePlanDocument;
    const NAME: &'static str = "RepriceRatePlan";
    const SUMMARY: &'static str = "Gives a rate plan another price. What is booked keeps its own.";
    const STATUS: StatusCode = StatusCode::OK;

    fn read(fields: &mut Fields<'_>, _: NaiveDate) -> Option<Self> {
        tariff(fields).map(Self)
    }

    async fn perform(
        self,
        Id(id): Self::On,
        transaction: &Transaction<'_>,
        command: &Command,
    ) -> Result<Answer, Problem> {
        Ok(Answer::changed(store::rate_plans::reprice(transaction, &id, self.0, command).await?))
    }
}

fn tariff(fields: &mut Fields<'_>) -> Option<Tariff> {
    let nightly_rate = fields.required("nightlyRate", rate);
    let valid_until = fields.required("validUntil", |field| field.instant());
    Some(Tariff { nightly_rate: nightly_rate?, valid_until: valid_until? })
}

impl Readable for RatePlanDocument {
    type Id = RatePlanId;
    const HAS_VALIDITY: bool = true;

    async fn find(pool: &Pool, id: &RatePlanId) -> Result<Option<Self>, database::Error> {
        Ok(store::rate_plans::read(&pool.get().await?, id).await?.as_ref().map(Self::from))
    }
}
