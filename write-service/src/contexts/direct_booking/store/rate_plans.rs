//! Rate plans: the row and its event in one statement.

use contracts::{
    direct_booking::{RatePlanDocument, RatePlanEvent},
    envelope::AggregateVersion,
    id::{RatePlanId, RoomTypeId},
    money::{Currency, Money},
};
use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;

use super::super::domain::rate_plan::{RatePlan, Tariff};
use crate::{
    command::Command,
    database::{self, read as read_column},
    failure::Failure,
    outbox::{Entry, Parameter, Recorded, with_event},
    problem::Problem,
};

const FIND: &str = "select rate_plan_id, version, room_type_id, name, nightly_rate, currency, valid_until
    from direct_booking.rate_plan where rate_plan_id = $1";

const LOCK: &str = "select rate_plan_id, version, room_type_id, name, nightly_rate, currency, valid_until
    from direct_booking.rate_plan where rate_plan_id = $1 for no key update";

const INSERT: &str = with_event!(
    "direct_booking",
    "insert into direct_booking.rate_plan
        (rate_plan_id, version, nightly_rate, currency, valid_until, room_type_id, name)
     values ($8, $9, $10, $11, $12, $13, $14) on conflict (rate_plan_id) do nothing"
);

const UPDATE: &str = with_event!(
    "direct_booking",
    "update direct_booking.rate_plan set version = $9, nightly_rate = $10, currency = $11, valid_until = $12
     where rate_plan_id = $8"
);

/// The rate plan, if there is one.
pub(crate) async fn read(client: &impl GenericClient, id: &RatePlanId) -> Result<Option<RatePlan>, database::Error> {
    let statement = client.prepare_cached(FIND).await?;
    client.query_opt(&statement, &[&id.as_str()]).await?.map(|row| rate_plan(&row)).transpose()
}

/// Stores a new rate plan with its event.
pub(crate) async fn insert(
    transaction: &Transaction<'_>,
    new: &RatePlan,
    event: RatePlanEvent,
    command: &Command,
) -> Result<Recorded, Failure<Problem>> {
    let entry = Entry::new(&RatePlanDocument::from(new), event.ty(), &command.cause);
    let (id, room_type_id, currency) = (new.id.as_str(), new.room_type_id.as_str(), new.nightly_rate.currency);
    let state: [Parameter<'_>; 7] = [
        &id,
        &new.version.get(),
        &new.nightly_rate.amount_minor,
        &currency.as_str(),
        &new.valid_until,
        &room_type_id,
        &new.name,
    ];
    match entry.execute(transaction, INSERT, &state).await? {
        0 => Err(Failure::Taken),
        _ => Ok(entry.recorded()),
    }
}

/// Prices a rate plan anew, with its row locked.
pub(crate) async fn reprice(
    transaction: &Transaction<'_>,
    id: &RatePlanId,
    tariff: Tariff,
    command: &Command,
) -> Result<Recorded, Failure<Problem>> {
    let statement = transaction.prepare_cached(LOCK).await?;
    let row = transaction.query_opt(&statement, &[&id.as_str()]).await?.ok_or(Failure::Missing)?;
    let before = rate_plan(&row)?;
    command.check_version(&RatePlanDocument::from(&before))?;
    let (after, event) = before.reprice(tariff);
    let entry = Entry::new(&RatePlanDocument::from(&after), event.ty(), &command.cause);
    let currency = after.nightly_rate.currency;
    let state: [Parameter<'_>; 5] = [
        &after.id.as_str(),
        &after.version.get(),
        &after.nightly_rate.amount_minor,
        &currency.as_str(),
        &after.valid_until,
    ];
    entry.execute(transaction, UPDATE, &state).await?;
    Ok(entry.recorded())
}

pub(crate) fn rate_plan(row: &Row) -> Result<RatePlan, database::Error> {
    let currency = read_column::<Currency, String>(row, "currency")?;
    Ok(RatePlan {
        id: read_column::<RatePlanId, String>(row, "rate_plan_id")?,
        version: read_column::<AggregateVersion, i64>(row, "version")?,
        room_type_id: read_column::<RoomTypeId, String>(row, "room_type_id")?,
        name: row.try_get("name")?,
        nightly_rate: Money { amount_minor: row.try_get("nightly_rate")?, currency },
        valid_until: row.try_get("valid_until")?,
    })
}
