//! The third parties' own books: what was charged and given back, and what each site goes by.

use std::collections::BTreeMap;

use card_processor::{Kind, Status};
use chrono::{Days, NaiveDate};

use super::{
    books::{Comparison, Record, Unit},
    inventory::Inventory,
    post::Accepted,
    sites::{Booker, Site, Sites},
};
use crate::{client::Client, urls::Urls};

/// For how many nights ahead sites are told what they may sell.
const NIGHTS_AHEAD: u64 = 366;

/// What the third parties have, beside what was posted; `today` is the day on which rooms were allotted.
///
/// # Errors
/// When one of them does not answer.
pub(crate) async fn compare(
    client: &Client,
    urls: &Urls,
    posted: &[Accepted<'_>],
    (sites, inventory): (&Sites, &Inventory),
    today: NaiveDate,
) -> anyhow::Result<Vec<Comparison>> {
    let mut compared = vec![cards(client, urls, posted).await?];
    let held = Held::of(posted);
    for (number, site) in sites.all.iter().enumerate() {
        let told = client.site(&site.url).await?;
        let mut bookings = BTreeMap::new();
        for accepted in posted.iter().filter(|accepted| accepted.booker == Booker::Site(number)) {
            let status = if accepted.row.cancelled_at.is_some() { "CANCELLED" } else { "ACCEPTED" };
            bookings.insert(format!("R-{0} {0}", accepted.row.line), Record::new(status, 0));
        }
        let found = told.bookings.into_iter();
        let found =
            found.map(|(reference, told)| (format!("{reference} {}", told.booking_id), Record::new(told.status, 0)));
        let place = format!("Site {}", site.id);
        compared.push(Comparison::of(&place, Unit::None, bookings, found.collect()));

        let mut nights = Vec::new();
        for (room_type, told) in &told.availability {
            // At midnight it is told of one night more.
            for told in told.values().filter(|told| told.night < today + Days::new(NIGHTS_AHEAD)) {
                let rooms = Record::new("may sell", i64::from(told.available));
                nights.push((format!("{room_type} {}", told.night), rooms));
            }
        }
        let expected = held.may_sell(number, site, inventory, today);
        compared.push(Comparison::of(format!("{place}: nights"), Unit::Pieces, expected, nights));
    }
    Ok(compared)
}

async fn cards(client: &Client, urls: &Urls, posted: &[Accepted<'_>]) -> anyhow::Result<Comparison> {
    let mut expected = BTreeMap::new();
    for accepted in posted.iter().filter(|accepted| accepted.is_charged()) {
        let (id, total) = (accepted.id(), accepted.total_cents());
        expected.insert(format!("{id} charged"), Record::new("charged", total));
        if accepted.row.cancelled_at.is_some() {
            expected.insert(format!("{id} given back"), Record::new("given back", total));
        }
    }
    let found = client.charges(&urls.cards).await?.into_iter().map(|entry| {
        let state = match (entry.kind, entry.status) {
            (Kind::Charge, Status::Succeeded) => "charged",
            (Kind::Refund, Status::Succeeded) => "given back",
            (_, Status::Declined) => "declined",
        };
        let amount = i64::try_from(entry.amount_minor.get()).unwrap_or(i64::MAX);
        (format!("{} {state}", entry.reference.as_str()), Record::new(state, amount))
    });
    Ok(Comparison::of("Card processor", Unit::Cents, expected, found.collect()))
}

/// For how many bookings a room is held in a night: in all, and by site.
#[derive(Default)]
struct Held<'a> {
    all: BTreeMap<(&'a str, NaiveDate), i64>,
    sold: BTreeMap<(usize, &'a str, NaiveDate), i64>,
}

impl<'a> Held<'a> {
    fn of(posted: &[Accepted<'a>]) -> Self {
        let mut held = Self::default();
        for Accepted { row, booker } in posted.iter().filter(|accepted| accepted.row.cancelled_at.is_none()) {
            for night in row.nights() {
                *held.all.entry((&row.room_type, night)).or_default() += 1;
                if let Booker::Site(number) = booker {
                    *held.sold.entry((*number, &row.room_type, night)).or_default() += 1;
                }
            }
        }
        held
    }

    /// What a site may sell, night by night: no more than it was allotted, and no more than there is.
    fn may_sell(
        &self,
        number: usize,
        site: &Site,
        inventory: &Inventory,
        today: NaiveDate,
    ) -> BTreeMap<String, Record> {
        let mut nights = BTreeMap::new();
        for (room_type, allotted) in site.allotment.iter() {
            for night in today.iter_days().take(NIGHTS_AHEAD as usize) {
                let held = self.all.get(&(room_type, night)).copied().unwrap_or_default();
                let sold = self.sold.get(&(number, room_type, night)).copied().unwrap_or_default();
                let left = (allotted as i64 - sold).min(inventory.rooms_of(room_type) as i64 - held);
                nights.insert(format!("{room_type} {night}"), Record::new("may sell", left.max(0)));
            }
        }
        nights
    }
}
