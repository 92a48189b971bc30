//! Sites: connect one, allot rooms to it, disconnect it, read it.

use axum::http::StatusCode;
use chrono::NaiveDate;
use contracts::{
    channel_manager::SiteDocument,
    id::{RoomTypeId, SiteId},
};
use deadpool_postgres::{Pool, Transaction};
use reqwest::Url;
use serde_json::json;

use super::super::{
    domain::site::{self, MOST_TYPES, Refusal},
    store,
};
use crate::{
    action::Action,
    answer::Answer,
    body::Presence,
    command::Command,
    database,
    fields::{Field, Fields},
    path::Id,
    problem::Problem,
    reading::Readable,
    routes::Routes,
};

const COLLECTION: &str = "/channel-manager/sites";

/// The most rooms of a type that a site may sell for a night.
const MOST_ROOMS: i64 = 10_000;

pub(super) fn routes() -> Routes {
    Routes::new()
        .command::<Connect>("/sites")
        .document::<SiteDocument>("/sites/{id}", "The site as it is, but for where it is reached.")
        .command::<Allot>("/sites/{id}/allot")
        .command::<Disconnect>("/sites/{id}/disconnect")
}

struct Connect {
    id: Option<SiteId>,
    name: String,
    url: Url,
}

impl Action for Connect {
    type On = ();
    type Document = SiteDocument;
    const NAME: &'static str = "ConnectSite";
    const SUMMARY: &'static str = "Connects an aggregator site, which may sell nothing yet.";
    const STATUS: StatusCode = StatusCode::CREATED;

    fn read(fields: &mut Fields<'_>, _: NaiveDate) -> Option<Self> {
        let id = fields.optional("siteId", |field| field.parsed());
        let name = fields.required("name", |name| name.text(1..=200));
        let url = fields.required("url", url);
        Some(Self { id: id?, name: name?, url: url? })
    }

    async fn perform(self, (): (), transaction: &Transaction<'_>, command: &Command) -> Result<Answer, Problem> {
        let (site, event) = site::connect(self.id.unwrap_or_else(SiteId::generate), self.name, self.url);
        Ok(Answer::created(COLLECTION, store::sites::insert(transaction, &site, event, command).await?))
    }
}

struct Allot {
    room_type_id: RoomTypeId,
    rooms: u32,
}

impl Action for Allot {
    type On = Id<SiteId>;
    type Document = SiteDocument;
    const NAME: &'static str = "AllotRooms";
    const SUMMARY: &'static str =
        "Lets a site sell so many rooms of a type for each night, as long as there are so many: 0 is none any more.";
    const STATUS: StatusCode = StatusCode::OK;

    fn read(fields: &mut Fields<'_>, _: NaiveDate) -> Option<Self> {
        let room_type_id = fields.required("roomTypeId", |field| field.parsed());
        let rooms = fields.required("rooms", |rooms| rooms.integer(0..=MOST_ROOMS));
        Some(Self { room_type_id: room_type_id?, rooms: u32::try_from(rooms?).ok()? })
    }

    async fn perform(
        self,
        Id(id): Self::On,
        transaction: &Transaction<'_>,
        command: &Command,
    ) -> Result<Answer, Problem> {
        let Self { room_type_id, rooms } = self;
        Ok(Answer::changed(store::sites::allot(transaction, &id, room_type_id, rooms, command).await?))
    }
}

struct Disconnect;

impl Action for Disconnect {
    type On = Id<SiteId>;
    type Document = SiteDocument;
    const NAME: &'static str = "DisconnectSite";
    const SUMMARY: &'static str = "Takes all rooms from a site, for good. What it has sold stays sold.";
    const STATUS: StatusCode = StatusCode::OK;
    const BODY: Presence = Presence::Optional;

    fn read(_: &mut Fields<'_>, _: NaiveDate) -> Option<Self> {
        Some(Self)
    }

    async fn perform(
        self,
        Id(id): Self::On,
        transaction: &Transaction<'_>,
        command: &Command,
    ) -> Result<Answer, Problem> {
        Ok(Answer::changed(store::sites::disconnect(transaction, &id, command).await?))
    }
}

impl Readable for SiteDocument {
    type Id = SiteId;

    async fn find(pool: &Pool, id: &SiteId) -> Result<Option<Self>, database::Error> {
        Ok(store::sites::find(&pool.get().await?, id).await?.as_ref().map(Self::from))
    }
}

/// Where a site's HTTP API is. What is wrong with it is said without repeating it: it may hold a secret.
fn url(field: &Field<'_>) -> Option<Url> {
    let http = || json!({"description": "Where the site's HTTP API is. It is told nobody.", "format": "uri", "pattern": "^https?://"});
    let text = field.text_that_is(1..=500, http)?;
    let Some(url) = text.parse::<Url>().ok().filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host())
    else {
        return field.refuse("expected a URL with http or https");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return field.refuse("may not have a user or a password in it");
    }
    if url.fragment().is_some() {
        return field.refuse("may not have a fragment");
    }
    Some(url)
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Disconnected => Problem::conflict(
                "site-disconnected",
                "Site disconnected",
                "The site is disconnected for good: connect it as another one.",
            ),
            Refusal::TooManyTypes => {
                let detail = format!("A site has rooms of at most {MOST_TYPES} types.");
                Problem::conflict("too-many-room-types", "Too many room types", detail)
            }
        }
    }
}
