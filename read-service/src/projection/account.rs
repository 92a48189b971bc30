//! `view.account`: who may book on account, and how to reach them.

use contracts::{
    Topic,
    accounts::{self, AccountDocument, AccountStatus},
    envelope::AggregateVersion,
};
use deadpool_postgres::Transaction;
use inbox::{Delivery, Handler, Unapplied, Undecodable};
use tokio_postgres::types::Type;

use super::{Change, Document, Keys, latest, read, text};

/// Fills `view.account`.
pub struct Accounts;

/// What a row of `view.account` holds beside its key.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountRow {
    status: AccountStatus,
    name: String,
    street: String,
    postal_code: String,
    city: String,
    country: String,
    email: String,
}

impl Document for AccountDocument {
    type Row = AccountRow;

    fn identity(&self) -> (&str, AggregateVersion) {
        (self.account_id.as_str(), self.version)
    }

    fn into_row(self) -> Result<AccountRow, Undecodable> {
        Ok(AccountRow {
            status: self.status,
            name: text("name", self.name)?,
            street: text("address.street", self.address.street)?,
            postal_code: text("address.postalCode", self.address.postal_code)?,
            city: text("address.city", self.address.city)?,
            country: text("address.country", self.address.country)?,
            email: text("email", self.email)?,
        })
    }
}

const UPSERT: &str = "
INSERT INTO view.account AS held
    (id, version, erased, changed_at, applied_at, status, name, street, postal_code, city, country, email)
SELECT id, version, erased, changed_at, clock_timestamp(), status, name, street, postal_code, city, country, email
FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    AS given (id, version, erased, changed_at, status, name, street, postal_code, city, country, email)
ON CONFLICT (id) DO UPDATE SET
    (version, erased, changed_at, applied_at, status, name, street, postal_code, city, country, email) =
    (excluded.version, excluded.erased, excluded.changed_at, excluded.applied_at, excluded.status, excluded.name,
     excluded.street, excluded.postal_code, excluded.city, excluded.country, excluded.email)
WHERE held.version < excluded.version";

impl Handler for Accounts {
    type Event = Change<AccountRow>;

    fn name(&self) -> &'static str {
        "account"
    }

    fn topics(&self) -> &'static [Topic] {
        &[accounts::ACCOUNT]
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<Self::Event>, Undecodable> {
        read::<AccountDocument>(delivery).map(Some)
    }

    async fn apply(&self, transaction: &Transaction<'_>, events: &[Self::Event]) -> Result<(), Unapplied> {
        let changes = latest(events);
        let keys = Keys::of(&changes);
        let rows = || changes.iter().map(|change| change.row.as_ref());
        let status: Vec<_> = rows().map(|row| row.map(|row| row.status.as_str())).collect();
        let texts = |of: fn(&AccountRow) -> &String| rows().map(|row| row.map(of)).collect::<Vec<_>>();
        transaction
            .execute_typed(
                UPSERT,
                &keys.and(&[
                    (&status, Type::TEXT_ARRAY),
                    (&texts(|row| &row.name), Type::TEXT_ARRAY),
                    (&texts(|row| &row.street), Type::TEXT_ARRAY),
                    (&texts(|row| &row.postal_code), Type::TEXT_ARRAY),
                    (&texts(|row| &row.city), Type::TEXT_ARRAY),
                    (&texts(|row| &row.country), Type::TEXT_ARRAY),
                    (&texts(|row| &row.email), Type::TEXT_ARRAY),
                ]),
            )
            .await?;
        Ok(())
    }
}
