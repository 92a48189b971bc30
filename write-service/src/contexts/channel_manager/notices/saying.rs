//! What there is to say to a site at this moment: looked up in one statement, so that what is said and its revision belong together.

use chrono::NaiveDate;
use contracts::channel_manager::SiteBookingStatus;
use deadpool_postgres::{GenericClient, Pool};
use reqwest::Url;

use super::queue::Taken;
use crate::{
    contexts::channel_manager::{
        domain::{availability::Night, site_booking::SiteBooking},
        store::sites,
    },
    database::{self, read},
};

const URL: &str = "select url from channel_manager.site where site_id = $1";

const NIGHTS: &str = "select notice.night, notice.revision, coalesce(allotment.rooms, 0)::bigint as allotted, counted.sold,
        coalesce(room_type.rooms, 0)::bigint as rooms, counted.held
    from channel_manager.notice
        left join channel_manager.allotment
            on allotment.site_id = notice.site_id and allotment.room_type_id = notice.subject
        left join channel_manager.room_type on room_type.room_type_id = notice.subject
        cross join lateral (
            select count(*) as held, count(*) filter (where stay.site_id = notice.site_id) as sold
            from channel_manager.stay
            where stay.room_type_id = notice.subject and stay.held_until > notice.night and stay.check_in <= notice.night
        ) as counted
    where notice.site_id = $1 and notice.kind = 'night' and notice.subject = $2 and notice.night = any($3)
    order by notice.night";

const BOOKING: &str =
    "select notice.night, notice.revision, site_booking.reference, site_booking.status, site_booking.version
    from channel_manager.notice join channel_manager.site_booking on site_booking.booking_id = notice.subject
    where notice.site_id = $1 and notice.kind = 'booking' and notice.subject = $2";

/// What a site is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Saying {
    /// How many rooms of a type it may sell, for each of these nights.
    Nights { room_type_id: String, nights: Vec<NightSaid> },
    /// What became of a booking that it has sold.
    Booking { reference: String, booking_id: String, status: SiteBookingStatus, version: i64 },
}

/// How many rooms a site may sell for a night.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NightSaid {
    pub(crate) night: NaiveDate,
    pub(crate) available: u32,
    pub(crate) revision: i64,
}

/// A notice, and the revision of it that was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(super) night: NaiveDate,
    pub(super) revision: i64,
}

/// What there is to say, where, and which revisions that is. No saying: there is nothing to say after all.
pub(crate) async fn look_up(pool: &Pool, taken: &Taken) -> Result<(Url, Option<Saying>, Vec<Said>), database::Error> {
    let client = pool.get().await?;
    let row = client.query_one(&client.prepare_cached(URL).await?, &[&taken.site_id]).await?;
    let url = sites::url(row.try_get(0)?)?;
    let (saying, said) = match taken.kind.as_str() {
        "booking" => booking(&client, taken).await?,
        _ => nights(&client, taken).await?,
    };
    Ok((url, saying, said))
}

async fn nights(client: &impl GenericClient, taken: &Taken) -> Result<(Option<Saying>, Vec<Said>), database::Error> {
    let statement = client.prepare_cached(NIGHTS).await?;
    let mut nights = Vec::with_capacity(taken.nights.len());
    for row in client.query(&statement, &[&taken.site_id, &taken.subject, &taken.nights]).await? {
        let there = Night {
            allotted: row.try_get("allotted")?,
            sold: row.try_get("sold")?,
            rooms: row.try_get("rooms")?,
            held: row.try_get("held")?,
        };
        let (night, revision) = (row.try_get("night")?, row.try_get("revision")?);
        nights.push(NightSaid { night, available: there.available(), revision });
    }
    let said = nights.iter().map(|it| Said { night: it.night, revision: it.revision }).collect();
    // Those that are over may be forgotten by now.
    let saying = (!nights.is_empty()).then(|| Saying::Nights { room_type_id: taken.subject.clone(), nights });
    Ok((saying, said))
}

async fn booking(client: &impl GenericClient, taken: &Taken) -> Result<(Option<Saying>, Vec<Said>), database::Error> {
    let row = client.query_one(&client.prepare_cached(BOOKING).await?, &[&taken.site_id, &taken.subject]).await?;
    let said = Said { night: row.try_get("night")?, revision: row.try_get("revision")? };
    let status = read::<SiteBookingStatus, String>(&row, "status")?;
    // The site cancels it meanwhile: it hears what comes of that.
    let saying = SiteBooking::is_told(status).then_some(Saying::Booking {
        reference: row.try_get("reference")?,
        booking_id: taken.subject.clone(),
        status,
        version: row.try_get("version")?,
    });
    Ok((saying, vec![said]))
}
