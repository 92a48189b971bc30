//! The routes of accounts.

use axum::http::StatusCode;
use chrono::NaiveDate;
use contracts::{
    accounts::{AccountDocument, Address, CardDocument},
    id::AccountId,
};
use deadpool_postgres::{Pool, Transaction};
use serde_json::json;

use super::{
    domain::{self, Change, Details, Refusal},
    store,
};
use crate::{
    action::Action,
    answer::Answer,
    body::Presence,
    command::Command,
    database,
    fields::{Field, Fields, card_token::card_token, email::email},
    path::Id,
    problem::Problem,
    reading::Readable,
    routes::Routes,
};

const COLLECTION: &str = "/accounts/accounts";

pub(crate) fn routes() -> Routes {
    Routes::new()
        .command::<Open>("/accounts")
        .document::<AccountDocument>("/accounts/{id}", "The account as it is.")
        .command::<ChangeDetails>("/accounts/{id}/change-details")
        .command::<ChangeCardDetails>("/accounts/{id}/change-card-details")
        .command::<Close>("/accounts/{id}/close")
}

struct Open {
    id: Option<AccountId>,
    details: Details,
}

impl Action for Open {
    type On = ();
    type Document = AccountDocument;
    const NAME: &'static str = "OpenAccount";
    const SUMMARY: &'static str = "Opens an account.";
    const STATUS: StatusCode = StatusCode::CREATED;

    fn read(fields: &mut Fields<'_>, _: NaiveDate) -> Option<Self> {
        let id = fields.optional("accountId", |field| field.parsed());
        let details = details(fields);
        Some(Self { id: id?, details: details? })
    }

    async fn perform(self, (): (), transaction: &Transaction<'_>, command: &Command) -> Result<Answer, Problem> {
        let (account, event) = domain::open(self.id.unwrap_or_else(AccountId::generate), self.details);
        Ok(Answer::created(COLLECTION, store::insert(transaction, &account, event, command).await?))
    }
}

struct ChangeDetails(Details);

impl Action for ChangeDetails {
    type On = Id<AccountId>;
    type Document = AccountDocument;
    const NAME: &'static str = "ChangeAccountDetails";
    const SUMMARY: &'static str = "Replaces all details of an account.";
    const STATUS: StatusCode = StatusCode::OK;

    fn read(fields: &mut Fields<'_>, _: NaiveDate) -> Option<Self> {
        details(fields).map(Self)
    }

    async fn perform(
        self,
        Id(id): Self::On,
        transaction: &Transaction<'_>,
        command: &Command,
    ) -> Result<Answer, Problem> {
        Ok(Answer::changed(store::change(transaction, &id, Change::Details(self.0), command).await?))
    }
}

struct ChangeCardDetails(String);

impl Action for ChangeCardDetails {
    type On = Id<AccountId>;
    type Document = CardDocument;
    const NAME: &'static str = "ChangeCardDetails";
    const SUMMARY: &'static str = "Names the card on which the account's bookings are charged, by its token.";
    const STATUS: StatusCode = StatusCode::OK;

    fn read(fields: &mut Fields<'_>, _: NaiveDate) -> Option<Self> {
        fields.required("cardToken", card_token).map(Self)
    }

    async fn perform(
        self,
        Id(id): Self::On,
        transaction: &Transaction<'_>,
        command: &Command,
    ) -> Result<Answer, Problem> {
        Ok(Answer::changed(store::change_card(transaction, &id, self.0, command).await?))
    }
}

struct Close;

impl Action for Close {
    type On = Id<AccountId>;
    type Document = AccountDocument;
    const NAME: &'static str = "CloseAccount";
    const SUMMARY: &'static str = "Closes an account, for good.";
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
        Ok(Answer::changed(store::change(transaction, &id, Change::Close, command).await?))
    }
}

impl Readable for AccountDocument {
    type Id = AccountId;

    async fn find(pool: &Pool, id: &AccountId) -> Result<Option<Self>, database::Error> {
        Ok(store::find(pool, id).await?.as_ref().map(Self::from))
    }
}

fn details(fields: &mut Fields<'_>) -> Option<Details> {
    let name = fields.required("name", |name| name.text(1..=200));
    let address = fields.required("address", |address| address.object(self::address));
    let email = fields.required("email", email);
    Some(Details { name: name?, address: address?, email: email? })
}

fn address(fields: &mut Fields<'_>) -> Option<Address> {
    let street = fields.required("street", |street| street.text(1..=200));
    let postal_code = fields.optional("postalCode", |code| code.text(0..=20));
    let city = fields.required("city", |city| city.text(1..=100));
    let country = fields.required("country", country);
    Some(Address { street: street?, postal_code: postal_code?.unwrap_or_default(), city: city?, country: country? })
}

fn country(field: &Field<'_>) -> Option<String> {
    let code = || json!({"description": "A country code of ISO 3166-1.", "pattern": "^[A-Z]{2}$"});
    let text = field.text_that_is(1..=200, code)?;
    let is_code = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    if is_code { Some(text) } else { field.refuse("expected a country code of ISO 3166-1: two capital letters") }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Closed => Problem::conflict("account-closed", "Account closed", "The account is closed for good."),
        }
    }
}
