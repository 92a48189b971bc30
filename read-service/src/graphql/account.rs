//! The type `Account`.

use async_graphql::{Enum, ID, SimpleObject};
use chrono::{DateTime, Utc};
use contracts::accounts;
use tokio_postgres::types::Type;

use super::scalars::Long;
use crate::view::{self, Columns, Connections, Sql};

/// Somebody who may book on account, as Accounts last told it.
#[derive(Clone, Debug, SimpleObject)]
pub(crate) struct Account {
    /// Its id.
    id: ID,
    /// Its version: 1 when it was opened, one more with each change.
    version: Long,
    /// Whether it can be booked on.
    status: AccountStatus,
    /// Its holder's name.
    name: String,
    /// Where its holder lives.
    address: Address,
    /// Where its holder gets mail.
    email: String,
    /// When this version was recorded by its context.
    changed_at: DateTime<Utc>,
    /// When this version arrived in this view.
    applied_at: DateTime<Utc>,
}

/// Whether an account can be booked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "contracts::accounts::AccountStatus")]
pub(crate) enum AccountStatus {
    /// It can.
    Open,
    /// It cannot, and never will again.
    Closed,
}

/// A postal address.
#[derive(Clone, Debug, SimpleObject)]
pub(crate) struct Address {
    /// Street and house number.
    street: String,
    /// Postal code; empty where there are none.
    postal_code: String,
    /// Town.
    city: String,
    /// Country, as the two capital letters of ISO 3166-1.
    country: String,
}

/// The columns that [`Account::read`] takes, of a `view.account` that is called `a`.
pub(super) const COLUMNS: &str = "a.id, a.version, a.status, a.name, a.street, a.postal_code, a.city, a.country, \
    a.email, a.changed_at, a.applied_at";
/// How many they are.
pub(super) const COLUMN_COUNT: usize = 11;

impl Account {
    pub(super) fn read(columns: &mut Columns<'_>) -> Result<Self, view::Error> {
        Ok(Self {
            id: ID(columns.take()?),
            version: Long(columns.take()?),
            status: columns
                .take::<&str>()?
                .parse::<accounts::AccountStatus>()
                .map_err(|error| view::Error::Failed(format!("an account's status: {error}")))?
                .into(),
            name: columns.take()?,
            address: Address {
                street: columns.take()?,
                postal_code: columns.take()?,
                city: columns.take()?,
                country: columns.take()?,
            },
            email: columns.take()?,
            changed_at: columns.take()?,
            applied_at: columns.take()?,
        })
    }

    pub(super) async fn by_id(connections: &Connections, id: &str) -> Result<Option<Self>, view::Error> {
        let sql = Sql {
            summary: "SELECT view.account",
            text: format!("SELECT {COLUMNS} FROM view.account a WHERE a.id = $1 AND NOT a.erased"),
            parameters: &[Type::TEXT],
        };
        let rows = connections.query(&sql, &[&id]).await?;
        rows.first().map(|row| Self::read(&mut Columns::of(row))).transpose()
    }
}
