//! Accounts in PostgreSQL: the row and its event in one statement.

pub(crate) mod unpaid;

use contracts::{
    accounts::{AccountDocument, AccountEvent, AccountStatus, Address, CardDocument, CardEvent},
    envelope::AggregateVersion,
    id::AccountId,
};
use deadpool_postgres::{Pool, Transaction};
use tokio_postgres::Row;

use super::domain::{Account, Change, Details, Refusal};
use crate::{
    command::Command,
    database::{self, read},
    failure::Failure,
    outbox::{Entry, Parameter, Recorded, with_event},
};

const FIND: &str = "select account_id, version, open, name, street, postal_code, city, country, email
    from accounts.account where account_id = $1";

const LOCK: &str = "select account_id, version, open, name, street, postal_code, city, country, email
    from accounts.account where account_id = $1 for no key update";

const INSERT: &str = with_event!(
    "accounts",
    "insert into accounts.account (account_id, version, open, name, street, postal_code, city, country, email)
     values ($8, $9, $10, $11, $12, $13, $14, $15, $16) on conflict (account_id) do nothing"
);

const UPDATE: &str = with_event!(
    "accounts",
    "update accounts.account
     set version = $9, open = $10, name = $11, street = $12, postal_code = $13, city = $14, country = $15, email = $16
     where account_id = $8"
);

const LOCK_CARD: &str = "select account.open, card.version, card.card_token
    from accounts.account left join accounts.card using (account_id)
    where account_id = $1 for no key update of account";

const UPSERT_CARD: &str = with_event!(
    "accounts",
    "insert into accounts.card (account_id, version, card_token) values ($8, $9, $10)
     on conflict (account_id) do update set version = excluded.version, card_token = excluded.card_token"
);

/// The account, if there is one.
pub(crate) async fn find(pool: &Pool, id: &AccountId) -> Result<Option<Account>, database::Error> {
    let client = pool.get().await?;
    let statement = client.prepare_cached(FIND).await?;
    client.query_opt(&statement, &[&id.as_str()]).await?.map(|row| account(&row)).transpose()
}

/// Stores a new account with its event.
pub(crate) async fn insert(
    transaction: &Transaction<'_>,
    account: &Account,
    event: AccountEvent,
    command: &Command,
) -> Result<Recorded, Failure<Refusal>> {
    let entry = Entry::new(&AccountDocument::from(account), event.ty(), &command.cause);
    match entry.execute(transaction, INSERT, &State::of(account).columns()).await? {
        0 => Err(Failure::Taken),
        _ => Ok(entry.recorded()),
    }
}

/// Lets the domain decide on a change, with the account locked, and stores what it decides.
pub(crate) async fn change(
    transaction: &Transaction<'_>,
    id: &AccountId,
    change: Change,
    command: &Command,
) -> Result<Recorded, Failure<Refusal>> {
    let statement = transaction.prepare_cached(LOCK).await?;
    let row = transaction.query_opt(&statement, &[&id.as_str()]).await?.ok_or(Failure::Missing)?;
    let before = account(&row)?;
    command.check_version(&AccountDocument::from(&before))?;
    let (after, event) = before.decide(change).map_err(Failure::Refused)?;
    let entry = Entry::new(&AccountDocument::from(&after), event.ty(), &command.cause);
    entry.execute(transaction, UPDATE, &State::of(&after).columns()).await?;
    Ok(entry.recorded())
}

/// Names the card of an open account, or another one instead, with the account locked.
pub(crate) async fn change_card(
    transaction: &Transaction<'_>,
    id: &AccountId,
    card_token: String,
    command: &Command,
) -> Result<Recorded, Failure<Refusal>> {
    let statement = transaction.prepare_cached(LOCK_CARD).await?;
    let row = transaction.query_opt(&statement, &[&id.as_str()]).await?.ok_or(Failure::Missing)?;
    if !row.try_get::<_, bool>("open")? {
        return Err(Failure::Refused(Refusal::Closed));
    }
    let version = match row.try_get::<_, Option<i64>>("version")? {
        None => AggregateVersion::FIRST,
        Some(_) => {
            let version = read::<AggregateVersion, i64>(&row, "version")?;
            let card_token = row.try_get("card_token")?;
            command.check_version(&CardDocument { account_id: id.clone(), version, card_token })?;
            version.next()
        }
    };
    let card = CardDocument { account_id: id.clone(), version, card_token };
    let entry = Entry::new(&card, CardEvent::CardDetailsChanged.ty(), &command.cause);
    entry.execute(transaction, UPSERT_CARD, &[&id.as_str(), &version.get(), &card.card_token]).await?;
    unpaid::card_changed(transaction, &card, &command.cause).await?;
    Ok(entry.recorded())
}

pub(crate) fn account(row: &Row) -> Result<Account, database::Error> {
    let open: bool = row.try_get("open")?;
    Ok(Account {
        id: read::<AccountId, String>(row, "account_id")?,
        version: read::<AggregateVersion, i64>(row, "version")?,
        status: if open { AccountStatus::Open } else { AccountStatus::Closed },
        details: Details {
            name: row.try_get("name")?,
            address: Address {
                street: row.try_get("street")?,
                postal_code: row.try_get("postal_code")?,
                city: row.try_get("city")?,
                country: row.try_get("country")?,
            },
            email: row.try_get("email")?,
        },
    })
}

/// A row's values, in the order of the statements' parameters.
struct State<'a> {
    id: &'a str,
    version: i64,
    open: bool,
    details: &'a Details,
}

impl<'a> State<'a> {
    fn of(account: &'a Account) -> Self {
        Self {
            id: account.id.as_str(),
            version: account.version.get(),
            open: account.status == AccountStatus::Open,
            details: &account.details,
        }
    }

    fn columns(&self) -> [Parameter<'_>; 9] {
        let Details { name, address, email } = self.details;
        let Address { street, postal_code, city, country } = address;
        [&self.id, &self.version, &self.open, name, street, postal_code, city, country, email]
    }
}
