//! This context's own copy of the cards, and the payments that wait for one.

use chrono::Utc;
use contracts::{
    Topic,
    accounts::{CARD, CardDocument},
    envelope::AggregateVersion,
};
use deadpool_postgres::Transaction;
use inbox::{Delivery, Handler, Unapplied, Undecodable};
use uuid::Uuid;

use super::super::{domain::Card, store};
use crate::{command::Cause, copies::latest};

/// Keeps the copies.
pub(super) struct Cards;

/// What became of an account's card.
pub(super) struct CardCopy {
    account_id: String,
    version: AggregateVersion,
    /// None: the account is gone.
    token: Option<String>,
    event: Uuid,
}

// A row takes only a higher version, so that a duplicate or a late event changes nothing.
const UPSERT: &str = "insert into payments.card as copy (account_id, version, card_token)
    select * from unnest($1::text[], $2::bigint[], $3::text[])
    on conflict (account_id) do update set version = excluded.version, card_token = excluded.card_token
    where copy.version < excluded.version";

impl Handler for Cards {
    type Event = CardCopy;

    fn name(&self) -> &'static str {
        "payments.cards"
    }

    fn topics(&self) -> &'static [Topic] {
        &[CARD]
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<CardCopy>, Undecodable> {
        let envelope = &delivery.envelope;
        let (account_id, event) = (envelope.subject.clone(), envelope.id);
        let (version, token) = match delivery.decode::<CardDocument>()? {
            Some(document) if document.account_id.as_str() != account_id => {
                return Err(Undecodable("the document is another account's than the key says".to_owned()));
            }
            Some(document) => (document.version, Some(document.card_token)),
            None => (envelope.sequence.ok_or_else(|| Undecodable("a tombstone without a version".to_owned()))?, None),
        };
        Ok(Some(CardCopy { account_id, version, token, event }))
    }

    async fn apply(&self, transaction: &Transaction<'_>, events: &[CardCopy]) -> Result<(), Unapplied> {
        let latest = latest(events, |copy| (&copy.account_id, copy.version));
        let accounts: Vec<&str> = latest.keys().copied().collect();
        let versions: Vec<i64> = latest.values().map(|copy| copy.version.get()).collect();
        let tokens: Vec<Option<&str>> = latest.values().map(|copy| copy.token.as_deref()).collect();
        store::lock_accounts(transaction, accounts.iter().copied()).await?;
        let statement = transaction.prepare(UPSERT).await?;
        transaction.execute(&statement, &[&accounts, &versions, &tokens]).await?;

        let now = Utc::now();
        for booking in store::awaiting_card(transaction, &accounts).await? {
            let Some(stored) = store::lock(transaction, &booking).await? else { continue };
            let Some(copy) = latest.get(stored.payment.account_id.as_str()) else { continue };
            let Some(token) = copy.token.clone() else { continue };
            let card = Card { version: copy.version.get(), token };
            if let Some(decision) = stored.payment.card_named(&card, now) {
                // The story is the booking's; what goes on with it now is the card.
                store::write(transaction, decision, &Cause { id: copy.event, ..stored.cause }).await?;
            }
        }
        Ok(())
    }
}
