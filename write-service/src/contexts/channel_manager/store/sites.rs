//! Sites: the row with its allotments, and its event.

use std::collections::BTreeMap;

use contracts::{
    channel_manager::{SiteDocument, SiteEvent, SiteStatus},
    envelope::AggregateVersion,
    id::{RoomTypeId, SiteId},
};
use deadpool_postgres::{GenericClient, Transaction};
use reqwest::Url;

use super::{
    super::domain::site::{Refusal, Site},
    allotments,
};
use crate::{
    command::Command,
    database::{self, read},
    failure::Failure,
    outbox::{Entry, Recorded, with_event},
};

const SITE: &str = "select site_id, version, status, name, url from channel_manager.site where site_id = $1";
// What it was allotted is read only once it is locked: a statement sees what was there when it began.
const LOCK: &str = "select from channel_manager.site where site_id = $1 for no key update";
const HOLD: &str = "select from channel_manager.site where site_id = $1 for share";
const ALLOTMENTS: &str = "select room_type_id, rooms from channel_manager.allotment where site_id = $1";

const INSERT: &str = with_event!(
    "channel_manager",
    "insert into channel_manager.site (site_id, version, status, name, url) values ($8, $9, $10, $11, $12)
     on conflict (site_id) do nothing"
);

const UPDATE: &str =
    with_event!("channel_manager", "update channel_manager.site set version = $9, status = $10 where site_id = $8");

/// The site, if there is one.
pub(crate) async fn find(client: &impl GenericClient, id: &SiteId) -> Result<Option<Site>, database::Error> {
    let row = client.query_opt(&client.prepare_cached(SITE).await?, &[&id.as_str()]).await?;
    let Some(row) = row else { return Ok(None) };
    let mut allotments = BTreeMap::new();
    for row in client.query(&client.prepare_cached(ALLOTMENTS).await?, &[&id.as_str()]).await? {
        allotments.insert(read::<RoomTypeId, String>(&row, "room_type_id")?, read::<u32, i32>(&row, "rooms")?);
    }
    Ok(Some(Site {
        id: read::<SiteId, String>(&row, "site_id")?,
        version: read::<AggregateVersion, i64>(&row, "version")?,
        status: read::<SiteStatus, String>(&row, "status")?,
        name: row.try_get("name")?,
        url: url(row.try_get("url")?)?,
        allotments,
    }))
}

/// What a column says where a site is.
pub(crate) fn url(text: &str) -> Result<Url, database::Error> {
    // Without the text, which may hold a secret.
    text.parse().map_err(|_| database::Error::Unreadable { column: "url", reason: "is no URL".to_owned() })
}

/// Stores a new site with its event.
pub(crate) async fn insert(
    transaction: &Transaction<'_>,
    site: &Site,
    event: SiteEvent,
    command: &Command,
) -> Result<Recorded, Failure<Refusal>> {
    let entry = Entry::new(&SiteDocument::from(site), event.ty(), &command.cause);
    let (id, status, url) = (site.id.as_str(), site.status.as_str(), site.url.as_str());
    match entry.execute(transaction, INSERT, &[&id, &site.version.get(), &status, &site.name, &url]).await? {
        0 => Err(Failure::Taken),
        _ => Ok(entry.recorded()),
    }
}

/// Lets a site sell so many rooms of a type.
pub(crate) async fn allot(
    transaction: &Transaction<'_>,
    id: &SiteId,
    room_type_id: RoomTypeId,
    rooms: u32,
    command: &Command,
) -> Result<Recorded, Failure<Refusal>> {
    let before = locked(transaction, LOCK, id, command).await?;
    let (after, event) = before.allot(room_type_id.clone(), rooms).map_err(Failure::Refused)?;
    match rooms {
        0 => allotments::remove(transaction, &after, &[room_type_id.as_str()]).await?,
        _ => allotments::set(transaction, &after, room_type_id.as_str(), rooms).await?,
    }
    update(transaction, &after, event, command).await
}

/// Takes all away from a site.
pub(crate) async fn disconnect(
    transaction: &Transaction<'_>,
    id: &SiteId,
    command: &Command,
) -> Result<Recorded, Failure<Refusal>> {
    let before = locked(transaction, LOCK, id, command).await?;
    let (after, event) = before.disconnect().map_err(Failure::Refused)?;
    let room_types: Vec<&str> = before.allotments.keys().map(RoomTypeId::as_str).collect();
    allotments::remove(transaction, &after, &room_types).await?;
    update(transaction, &after, event, command).await
}

/// The site, which nobody changes until the transaction's end.
pub(super) async fn held<R>(transaction: &Transaction<'_>, id: &SiteId, command: &Command) -> Result<Site, Failure<R>> {
    locked(transaction, HOLD, id, command).await
}

async fn locked<R>(
    transaction: &Transaction<'_>,
    lock: &str,
    id: &SiteId,
    command: &Command,
) -> Result<Site, Failure<R>> {
    transaction.query_opt(&transaction.prepare_cached(lock).await?, &[&id.as_str()]).await?;
    let site = find(transaction, id).await?.ok_or(Failure::Missing)?;
    command.check_version(&SiteDocument::from(&site))?;
    Ok(site)
}

async fn update(
    transaction: &Transaction<'_>,
    site: &Site,
    event: SiteEvent,
    command: &Command,
) -> Result<Recorded, Failure<Refusal>> {
    let entry = Entry::new(&SiteDocument::from(site), event.ty(), &command.cause);
    let state = (site.id.as_str(), site.version.get(), site.status.as_str());
    entry.execute(transaction, UPDATE, &[&state.0, &state.1, &state.2]).await?;
    Ok(entry.recorded())
}
