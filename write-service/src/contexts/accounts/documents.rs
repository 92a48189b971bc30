//! What this context tells of its aggregates: Inside Data to Outside Data.

use contracts::{
    Topic,
    accounts::{ACCOUNT, AccountDocument, BOOKING_WITH_CARD, BookingWithCardDocument, CARD, CardDocument, SOURCE},
    envelope::AggregateVersion,
};

use super::domain::Account;
use crate::outbox::Document;

impl Document for AccountDocument {
    const SOURCE: &'static str = SOURCE;
    const TOPIC: Topic = ACCOUNT;
    const REVISION: u32 = 1;

    fn subject(&self) -> &str {
        self.account_id.as_str()
    }

    fn version(&self) -> AggregateVersion {
        self.version
    }
}

impl Document for CardDocument {
    const SOURCE: &'static str = SOURCE;
    const TOPIC: Topic = CARD;
    const REVISION: u32 = 1;

    fn subject(&self) -> &str {
        self.account_id.as_str()
    }

    fn version(&self) -> AggregateVersion {
        self.version
    }
}

impl Document for BookingWithCardDocument {
    const SOURCE: &'static str = SOURCE;
    const TOPIC: Topic = BOOKING_WITH_CARD;
    const REVISION: u32 = 1;

    fn subject(&self) -> &str {
        self.booking_id.as_str()
    }

    fn version(&self) -> AggregateVersion {
        self.version
    }
}

impl From<&Account> for AccountDocument {
    fn from(account: &Account) -> Self {
        Self {
            account_id: account.id.clone(),
            version: account.version,
            status: account.status,
            name: account.details.name.clone(),
            address: account.details.address.clone(),
            email: account.details.email.clone(),
        }
    }
}
