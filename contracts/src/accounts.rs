//! Accounts: who may book on account, and how to reach them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::{Contract, events, topics},
    envelope::AggregateVersion,
    id::{AccountId, BookingId},
    money::Money,
    topic::{Cleanup, Topic},
    word::words,
};

/// The `ce_source` of this context's events.
pub const SOURCE: &str = "/hotel/accounts";

/// The last document of each account. Compacted, since it holds personal data.
pub const ACCOUNT: Topic = Topic { name: "hotel.accounts.account.v1", partitions: 4, cleanup: Cleanup::Collection };

/// The last card of each account. Only Payments may read it.
pub const CARD: Topic = Topic { name: "hotel.accounts.card-details.v1", partitions: 4, cleanup: Cleanup::Collection };

/// Bookings that have to be paid, each with the card of its account, where they are passed on so. For a week, since they only
/// trigger a process. Only Payments may read it.
pub const BOOKING_WITH_CARD: Topic =
    Topic { name: "hotel.accounts.booking-with-card-details.v1", partitions: 8, cleanup: Cleanup::Queue };

/// Every topic of this context.
pub const TOPICS: &[Topic] = &topics::<{ CONTRACTS.len() }>(CONTRACTS);

/// What this context publishes.
pub const CONTRACTS: &[Contract] = &[
    Contract::of::<AccountDocument>(SOURCE, ACCOUNT, AccountEvent::TYPES),
    Contract::of::<CardDocument>(SOURCE, CARD, CardEvent::TYPES).read_only_by(&["payments"]),
    Contract::of::<BookingWithCardDocument>(SOURCE, BOOKING_WITH_CARD, BookingWithCardEvent::TYPES)
        .read_only_by(&["payments"]),
];

/// What can happen to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountEvent {
    /// It was opened.
    AccountOpened,
    /// Its holder's name, address or email changed.
    AccountDetailsChanged,
    /// It was closed; nothing can be booked on it any more.
    AccountClosed,
    /// Nothing has happened: what it is is told once more, for those who have missed it. It starts no process.
    AccountRestated,
}

events!(
    AccountEvent:
    AccountOpened "hotel.accounts.AccountOpened.v1",
    AccountDetailsChanged "hotel.accounts.AccountDetailsChanged.v1",
    AccountClosed "hotel.accounts.AccountClosed.v1",
    AccountRestated "hotel.accounts.AccountRestated.v1",
);

/// An account as Accounts tells it: the answer to a `GET`, and the value of each event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountDocument {
    /// Its id.
    pub account_id: AccountId,
    /// Its version.
    pub version: AggregateVersion,
    /// Whether it can be booked on.
    pub status: AccountStatus,
    /// Its holder's name.
    pub name: String,
    /// Where its holder lives.
    pub address: Address,
    /// Where its holder gets mail.
    pub email: String,
}

/// Whether an account can be booked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AccountStatus {
    /// It can.
    Open,
    /// It cannot, and never will again.
    Closed,
}

/// What can happen to an account's card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardEvent {
    /// It was named, or another one instead.
    CardDetailsChanged,
    /// Nothing has happened: what it is is told once more, for those who have missed it. It starts no process.
    CardDetailsRestated,
}

events!(CardEvent: CardDetailsChanged "hotel.accounts.CardDetailsChanged.v1",
    CardDetailsRestated "hotel.accounts.CardDetailsRestated.v1",
);

/// The card on which an account's bookings are charged: an aggregate of its own, with its own version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CardDocument {
    /// The account.
    pub account_id: AccountId,
    /// Its version.
    pub version: AggregateVersion,
    /// What the third party that keeps the card calls it. Never the card's number.
    pub card_token: String,
}

/// What can happen to a booking that is passed on with its card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookingWithCardEvent {
    /// The card of its account was added, or that none is known; or another card is known now.
    CardDetailsAdded,
}

events!(BookingWithCardEvent: CardDetailsAdded "hotel.accounts.CardDetailsAdded.v1");

/// A booking that has to be paid, with the card of its account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookingWithCardDocument {
    /// The booking.
    pub booking_id: BookingId,
    /// How often something was added to it.
    pub version: AggregateVersion,
    /// The account that it was made on.
    pub account_id: AccountId,
    /// What it costs.
    pub total: Money,
    /// The account's card, if one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<CardDocument>,
}

words!(AccountStatus: Open "OPEN", Closed "CLOSED");

/// A postal address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Address {
    /// Street and house number.
    pub street: String,
    /// Postal code; empty where there are none.
    #[serde(default)]
    pub postal_code: String,
    /// Town.
    pub city: String,
    /// Country, as the two capital letters of ISO 3166-1.
    pub country: String,
}
