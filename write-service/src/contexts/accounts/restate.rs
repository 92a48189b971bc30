//! What is told again.

use contracts::accounts::{AccountDocument, AccountEvent, CardDocument, CardEvent};
use tokio_postgres::Row;

use super::store;
use crate::{
    database,
    outbox::restate::{Aggregate, Restated},
};

pub(super) const ALL: &[Aggregate] = &[Aggregate::of::<Accounts>(), Aggregate::of::<Cards>()];

struct Accounts;

impl Restated for Accounts {
    type Document = AccountDocument;
    const TABLE: &'static str = "accounts.account";
    const ID: &'static str = "account_id";
    const EVENT: &'static str = AccountEvent::AccountRestated.ty();

    fn read(row: &Row) -> Result<Option<AccountDocument>, database::Error> {
        Ok(Some(AccountDocument::from(&store::account(row)?)))
    }
}

struct Cards;

impl Restated for Cards {
    type Document = CardDocument;
    const TABLE: &'static str = "accounts.card";
    const ID: &'static str = "account_id";
    const EVENT: &'static str = CardEvent::CardDetailsRestated.ty();

    fn read(row: &Row) -> Result<Option<CardDocument>, database::Error> {
        Ok(Some(CardDocument {
            account_id: database::read::<_, String>(row, "account_id")?,
            version: database::read::<_, i64>(row, "version")?,
            card_token: row.try_get("card_token")?,
        }))
    }
}
