//! Guests and their cards, two aggregates with an event each; and the tombstones of both.

use contracts::{
    direct_booking::{GuestCardDocument, GuestCardEvent, GuestDocument},
    envelope::AggregateVersion,
    id::GuestId,
};
use deadpool_postgres::{GenericClient, Pool, Transaction};
use tokio_postgres::Row;

use super::super::domain::guest::{self, Guest, NewGuest, Refusal};
use crate::{
    command::{Cause, Command},
    database::{self, read},
    failure::Failure,
    outbox::{Entry, Parameter, Recorded, with_event},
};

const FIND: &str = "select guest_id, version, name, email from direct_booking.guest
    where guest_id = $1 and name is not null";

const LOCK: &str = "select guest_id, version, name, email from direct_booking.guest
    where guest_id = $1 and name is not null for update";

const INSERT: &str = with_event!(
    "direct_booking",
    "insert into direct_booking.guest (guest_id, version, name, email) values ($8, $9, $10, $11)
     on conflict (guest_id) do nothing"
);

const INSERT_CARD: &str = with_event!(
    "direct_booking",
    "insert into direct_booking.guest_card (guest_id, version, card_token) values ($8, $9, $10)"
);

const IS_EXPECTED: &str = "select exists (select from direct_booking.booking
    where guest_id = $1 and status in ('PENDING', 'CONFIRMED', 'CHECKED_IN'))";

const ERASE: &str = with_event!(
    "direct_booking",
    "update direct_booking.guest set version = $9, name = null, email = null where guest_id = $8"
);

const CARD_VERSION: &str = "select version from direct_booking.guest_card where guest_id = $1 for no key update";

const ERASE_CARD: &str = with_event!(
    "direct_booking",
    "update direct_booking.guest_card set version = $9, card_token = null where guest_id = $8"
);

/// The guest, if there is one who is not forgotten.
pub(crate) async fn find(pool: &Pool, id: &GuestId) -> Result<Option<Guest>, database::Error> {
    let client = pool.get().await?;
    let statement = client.prepare_cached(FIND).await?;
    client.query_opt(&statement, &[&id.as_str()]).await?.map(|row| guest(&row)).transpose()
}

/// Stores a new guest and the card, each with its event. `false`: the id is taken.
pub(crate) async fn register(
    transaction: &Transaction<'_>,
    new: &NewGuest,
    cause: &Cause,
) -> Result<bool, database::Error> {
    let (registered, event) = guest::register(new);
    let entry = Entry::new(&GuestDocument::from(&registered), event.ty(), cause);
    let id = registered.id.as_str();
    let state: [Parameter<'_>; 4] = [&id, &registered.version.get(), &registered.name, &registered.email];
    if entry.execute(transaction, INSERT, &state).await? == 0 {
        return Ok(false);
    }
    let version = AggregateVersion::FIRST;
    let card = GuestCardDocument { guest_id: registered.id.clone(), version, card_token: new.card_token.clone() };
    let entry = Entry::new(&card, GuestCardEvent::GuestCardChanged.ty(), cause);
    let state: [Parameter<'_>; 3] = [&id, &version.get(), &card.card_token];
    entry.execute(transaction, INSERT_CARD, &state).await?;
    Ok(true)
}

/// Forgets a guest and the card: what is left are two versions, and two tombstones.
pub(crate) async fn erase(
    transaction: &Transaction<'_>,
    id: &GuestId,
    command: &Command,
) -> Result<Recorded, Failure<Refusal>> {
    // Whoever books for the guest meanwhile waits for this, since bookings refer to the row.
    let statement = transaction.prepare_cached(LOCK).await?;
    let row = transaction.query_opt(&statement, &[&id.as_str()]).await?.ok_or(Failure::Missing)?;
    let before = guest(&row)?;
    command.check_version(&GuestDocument::from(&before))?;
    let statement = transaction.prepare_cached(IS_EXPECTED).await?;
    let is_expected = transaction.query_one(&statement, &[&id.as_str()]).await?.try_get(0)?;
    let (version, event) = before.erase(is_expected).map_err(Failure::Refused)?;
    let entry = Entry::tombstone::<GuestDocument>(id.as_str(), version, event.ty(), &command.cause);
    entry.execute(transaction, ERASE, &[&id.as_str(), &version.get()]).await?;
    erase_card(transaction, id, &command.cause).await?;
    Ok(entry.recorded())
}

async fn erase_card(transaction: &impl GenericClient, id: &GuestId, cause: &Cause) -> Result<(), database::Error> {
    let statement = transaction.prepare_cached(CARD_VERSION).await?;
    let row = transaction.query_one(&statement, &[&id.as_str()]).await?;
    let version = read::<AggregateVersion, i64>(&row, "version")?.next();
    let ty = GuestCardEvent::GuestCardErased.ty();
    let entry = Entry::tombstone::<GuestCardDocument>(id.as_str(), version, ty, cause);
    entry.execute(transaction, ERASE_CARD, &[&id.as_str(), &version.get()]).await?;
    Ok(())
}

pub(crate) fn guest(row: &Row) -> Result<Guest, database::Error> {
    Ok(Guest {
        id: read::<GuestId, String>(row, "guest_id")?,
        version: read::<AggregateVersion, i64>(row, "version")?,
        name: row.try_get("name")?,
        email: row.try_get("email")?,
    })
}
