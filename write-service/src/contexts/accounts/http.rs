//! The routes of accounts.

use axum::{Router, extract::State, http::HeaderMap, routing::get};
use chrono::NaiveDate;
use contracts::{
    accounts::{AccountDocument, Address},
    id::AccountId,
};
use deadpool_postgres::Transaction;

use super::{
    domain::{self, Change, Details, Refusal},
    store,
};
use crate::{
    action::{self, Action},
    answer::Answer,
    body::Presence,
    command::Command,
    fields::{Field, Fields},
    path::Id,
    problem::Problem,
    shell::Shell,
};

const COLLECTION: &str = "/accounts/accounts";

pub(crate) fn routes() -> Router<Shell> {
    Router::new()
        .route("/accounts", action::post::<Open>())
        .route("/accounts/{id}", get(document))
        .route("/accounts/{id}/change-details", action::post::<ChangeDetails>())
        .route("/accounts/{id}/close", action::post::<Close>())
}

struct Open {
    id: Option<AccountId>,
    details: Details,
}

impl Action for Open {
    type On = ();

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

struct Close;

impl Action for Close {
    type On = Id<AccountId>;
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

async fn document(State(shell): State<Shell>, Id(id): Id<AccountId>, headers: HeaderMap) -> Result<Answer, Problem> {
    let account = store::find(&shell.pool, &id).await?;
    Answer::document(&headers, account.as_ref().map(AccountDocument::from).as_ref())
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
    let text = field.text(1..=200)?;
    let is_code = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    if is_code { Some(text) } else { field.refuse("expected a country code of ISO 3166-1: two capital letters") }
}

/// Whether mail arrives there only mail can tell. This keeps out what is no address at all.
fn email(field: &Field<'_>) -> Option<String> {
    let text = field.text(1..=254)?;
    let is_address = text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !text.contains(char::is_whitespace)
    });
    if is_address { Some(text) } else { field.refuse("expected an email address") }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Closed => Problem::conflict("account-closed", "Account closed", "The account is closed for good."),
        }
    }
}
