//! An aggregator site: connected, allotted rooms, and disconnected for good.

use std::collections::BTreeMap;

use contracts::{
    channel_manager::{SiteEvent, SiteStatus},
    envelope::AggregateVersion,
    id::{RoomTypeId, SiteId},
};
use reqwest::Url;

/// Of so many types a site may have rooms: its document, which names each, has to stay small.
pub(crate) const MOST_TYPES: usize = 1_000;

/// A site.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) id: SiteId,
    pub(crate) version: AggregateVersion,
    pub(crate) status: SiteStatus,
    pub(crate) name: String,
    /// Where its HTTP API is. It may hold a secret.
    pub(crate) url: Url,
    /// How many rooms of each type it may sell for each night: at least one.
    pub(crate) allotments: BTreeMap<RoomTypeId, u32>,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It sells nothing any more.
    #[error("the site is disconnected")]
    Disconnected,
    /// It has rooms of too many types.
    #[error("a site has rooms of at most {MOST_TYPES} types")]
    TooManyTypes,
}

/// Connects a site, which may sell nothing yet.
pub(crate) fn connect(id: SiteId, name: String, url: Url) -> (Site, SiteEvent) {
    let (version, status) = (AggregateVersion::FIRST, SiteStatus::Connected);
    (Site { id, version, status, name, url, allotments: BTreeMap::new() }, SiteEvent::SiteConnected)
}

impl Site {
    /// Lets it sell so many rooms of a type for each night. None takes the type away.
    pub(crate) fn allot(&self, room_type_id: RoomTypeId, rooms: u32) -> Result<(Self, SiteEvent), Refusal> {
        let mut next = self.next()?;
        match rooms {
            0 => drop(next.allotments.remove(&room_type_id)),
            _ => drop(next.allotments.insert(room_type_id, rooms)),
        }
        if next.allotments.len() > MOST_TYPES {
            return Err(Refusal::TooManyTypes);
        }
        Ok((next, SiteEvent::AllotmentChanged))
    }

    /// Takes all away from it, for good. What it has sold stays sold.
    pub(crate) fn disconnect(&self) -> Result<(Self, SiteEvent), Refusal> {
        let next = Self { status: SiteStatus::Disconnected, allotments: BTreeMap::new(), ..self.next()? };
        Ok((next, SiteEvent::SiteDisconnected))
    }

    /// Whether it may sell.
    pub(crate) fn may_sell(status: SiteStatus) -> Result<(), Refusal> {
        match status {
            SiteStatus::Connected => Ok(()),
            SiteStatus::Disconnected => Err(Refusal::Disconnected),
        }
    }

    fn next(&self) -> Result<Self, Refusal> {
        Self::may_sell(self.status)?;
        Ok(Self { version: self.version.next(), ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn expo() -> Site {
        let url = "https://expo.example/hotel".parse().unwrap();
        connect("expo".parse().unwrap(), "Expo".to_owned(), url).0
    }

    fn room_type(number: usize) -> RoomTypeId {
        number.to_string().parse().unwrap()
    }

    proptest! {
        #[test]
        fn each_change_is_one_version_and_the_last_allotment_counts(changes in prop::collection::vec((0usize..4, 0u32..5), 0..20)) {
            let mut site = expo();
            let mut expected = BTreeMap::new();
            for (number, rooms) in changes {
                let (next, event) = site.allot(room_type(number), rooms).unwrap();
                prop_assert_eq!((event, next.version), (SiteEvent::AllotmentChanged, site.version.next()));
                expected.insert(room_type(number), rooms);
                site = next;
            }
            expected.retain(|_, rooms| *rooms > 0);
            prop_assert!(site.allotments == expected);
            let (gone, event) = site.disconnect().unwrap();
            prop_assert_eq!((event, gone.status), (SiteEvent::SiteDisconnected, SiteStatus::Disconnected));
            prop_assert!(gone.allotments.is_empty());
            prop_assert!(gone.disconnect().err() == Some(Refusal::Disconnected));
            prop_assert!(gone.allot(room_type(1), 1).err() == Some(Refusal::Disconnected));
        }
    }

    #[test]
    fn the_number_of_types_is_bounded() {
        let mut site = expo();
        for number in 0..MOST_TYPES {
            site = site.allot(room_type(number), 1).ok().unwrap().0;
        }
        assert!(site.allot(room_type(MOST_TYPES), 1).err() == Some(Refusal::TooManyTypes));
        assert!(site.allot(room_type(0), 2).is_ok());
    }
}
