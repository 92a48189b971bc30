//! The routes of accounts.

use axum::{
    Router,
    extract::State,
    http::HeaderMap,
    response::Response,
    routing::{get, post},
};
use contracts::{
    accounts::{AccountDocument, Address, TOPICS},
    id::AccountId,
};

use super::{
    domain::{self, Change, Details, Refusal},
    store,
};
use crate::{
    answer,
    body::{Body, OptionalBody},
    command::Command,
    fields::{self, Field, Fields},
    path::Id,
    problem::Problem,
    read_after,
    shell::Shell,
};

const COLLECTION: &str = "/accounts/accounts";

pub(crate) fn routes() -> Router<Shell> {
    Router::new()
        .route("/accounts", post(open))
        .route("/accounts/{id}", get(document))
        .route("/accounts/{id}/change-details", post(change_details))
        .route("/accounts/{id}/close", post(close))
}

async fn open(State(shell): State<Shell>, command: Command, Body(body): Body) -> Result<Response, Problem> {
    let (id, details) = fields::read(&body, |fields| {
        let id = fields.optional("accountId", |field| field.parsed());
        let details = details(fields);
        Some((id?, details?))
    })?;
    read_after::wait(&shell, &command.read_after, TOPICS, &[]).await?;
    let (account, event) = domain::open(id.unwrap_or_else(AccountId::generate), details);
    Ok(answer::created(COLLECTION, store::insert(&shell.pool, &account, event, &command).await?))
}

async fn change_details(
    State(shell): State<Shell>,
    Id(id): Id<AccountId>,
    command: Command,
    Body(body): Body,
) -> Result<Response, Problem> {
    let details = fields::read(&body, details)?;
    change(&shell, &id, Change::Details(details), &command).await
}

async fn close(
    State(shell): State<Shell>,
    Id(id): Id<AccountId>,
    command: Command,
    OptionalBody(body): OptionalBody,
) -> Result<Response, Problem> {
    fields::read(&body, |_| Some(()))?;
    change(&shell, &id, Change::Close, &command).await
}

async fn change(shell: &Shell, id: &AccountId, change: Change, command: &Command) -> Result<Response, Problem> {
    read_after::wait(shell, &command.read_after, TOPICS, &[]).await?;
    Ok(answer::changed(store::change(&shell.pool, id, change, command).await?))
}

async fn document(State(shell): State<Shell>, Id(id): Id<AccountId>, headers: HeaderMap) -> Result<Response, Problem> {
    let account = store::find(&shell.pool, &id).await?;
    answer::document(&headers, account.as_ref().map(AccountDocument::from).as_ref())
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
