//! Who books what: the agencies that have sold most are sites of their own, all others share one; who comes to the hotel
//! itself books on an account, the company's or the agency's, or else as a guest.

use std::collections::BTreeMap;

use super::{
    inventory::Inventory,
    row::{Channel, Row},
};

/// The site of the agencies that have none of their own.
const OTHERS: &str = "other-agents";

/// Who books a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Booker {
    /// The site of this number sells it.
    Site(usize),
    /// The holder of this account.
    Account(String),
    /// Somebody without an account.
    Guest(String),
}

/// A site that sells rooms.
pub(crate) struct Site {
    pub(crate) id: String,
    /// Where it is reached.
    pub(crate) url: String,
    /// How many rooms of each type it may sell for a night: as many as it sells at its peak.
    pub(crate) allotment: Inventory,
}

/// The sites of a file.
pub(crate) struct Sites {
    pub(crate) all: Vec<Site>,
    by_agent: BTreeMap<String, usize>,
}

impl Sites {
    /// Gives each site that runs, one for each URL, its part of the agencies.
    pub(crate) fn of(rows: &[Row], urls: &[String]) -> Self {
        let mut sold: BTreeMap<&str, usize> = BTreeMap::new();
        for agent in rows.iter().filter(|row| row.channel == Channel::Agency).filter_map(|row| row.agent.as_deref()) {
            *sold.entry(agent).or_default() += 1;
        }
        let mut agents: Vec<(&str, usize)> = sold.into_iter().collect();
        agents.sort_by_key(|(_, sold)| std::cmp::Reverse(*sold));
        agents.truncate(urls.len().saturating_sub(1));
        let by_agent = agents.iter().enumerate().map(|(number, (agent, _))| ((*agent).to_owned(), number)).collect();
        let ids = agents.iter().map(|(agent, _)| format!("agent-{agent}")).chain([OTHERS.to_owned()]);
        let mut sites = Self { all: Vec::new(), by_agent };
        for (number, (id, url)) in ids.zip(urls).enumerate() {
            let allotment = Inventory::peak(rows.iter().filter(|row| sites.booker(row) == Booker::Site(number)));
            sites.all.push(Site { id, url: url.clone(), allotment });
        }
        sites
    }

    /// Who books this row.
    pub(crate) fn booker(&self, row: &Row) -> Booker {
        match (row.channel, &row.company, &row.agent) {
            (Channel::Agency, _, agent) => {
                let own = agent.as_ref().and_then(|agent| self.by_agent.get(agent));
                Booker::Site(own.copied().unwrap_or(self.by_agent.len()))
            }
            (Channel::House, Some(company), _) => Booker::Account(format!("company-{company}")),
            (Channel::House, None, Some(agent)) => Booker::Account(format!("agent-{agent}")),
            (Channel::House, None, None) => Booker::Guest(format!("guest-{}", row.line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, NaiveDate, Utc};

    fn row(channel: Channel, agent: Option<&str>, company: Option<&str>) -> Row {
        Row {
            line: 7,
            channel,
            agent: agent.map(str::to_owned),
            company: company.map(str::to_owned),
            room_type: "A".to_owned(),
            check_in: NaiveDate::default(),
            check_out: NaiveDate::default(),
            guests: [1, 0, 0],
            rate_cents: 0,
            made_at: DateTime::<Utc>::default(),
            cancelled_at: None,
        }
    }

    #[test]
    fn the_agencies_that_sold_most_are_sites_of_their_own() {
        let sold = ["1", "2", "2", "3", "3", "3"].map(|agent| row(Channel::Agency, Some(agent), None));
        let urls = ["a", "b", "c"].map(str::to_owned);
        let sites = Sites::of(&sold, &urls);
        assert_eq!(sites.all.iter().map(|site| site.id.as_str()).collect::<Vec<_>>(), ["agent-3", "agent-2", OTHERS]);
        assert_eq!(sold.each_ref().map(|row| sites.booker(row)), [2, 1, 1, 0, 0, 0].map(Booker::Site));
        assert_eq!(sites.all.iter().map(|site| site.allotment.rooms()).collect::<Vec<_>>(), [3, 2, 1]);
        assert_eq!(sites.booker(&row(Channel::Agency, None, Some("9"))), Booker::Site(2));
    }

    #[test]
    fn who_comes_to_the_hotel_books_on_an_account_or_as_a_guest() {
        let sites = Sites::of(&[], &["a".to_owned()]);
        let booker = |agent, company| sites.booker(&row(Channel::House, agent, company));
        assert_eq!(booker(Some("1"), Some("2")), Booker::Account("company-2".to_owned()));
        assert_eq!(booker(Some("1"), None), Booker::Account("agent-1".to_owned()));
        assert_eq!(booker(None, None), Booker::Guest("guest-7".to_owned()));
    }
}
