//! This context's own copy of the cards, and the payments that wait for one.

use chrono::Utc;
use contracts::{
    Topic,
    accounts::{CARD, CardDocument},
    direct_booking::{GUEST_CARD, GuestCardDocument},
    envelope::AggregateVersion,
    id::InvalidId,
    payments::Payer,
};
use deadpool_postgres::Transaction;
use inbox::{Delivery, Handler, Unapplied, Undecodable};
use uuid::Uuid;

use super::super::{payer, store};
use crate::{command::Cause, copies::latest};

/// Keeps the copies.
pub(super) struct Cards;

/// What became of a payer's card.
pub(super) struct CardCopy {
    /// Whose it is.
    key: String,
    version: AggregateVersion,
    /// None: the payer is gone.
    token: Option<String>,
    event: Uuid,
}

// A row takes only a higher version, so that a duplicate or a late event changes nothing.
const UPSERT: &str = "insert into payments.card as copy (payer, version, card_token)
    select * from unnest($1::text[], $2::bigint[], $3::text[])
    on conflict (payer) do update set version = excluded.version, card_token = excluded.card_token
    where copy.version < excluded.version";

impl Handler for Cards {
    type Event = CardCopy;

    fn name(&self) -> &'static str {
        "payments.cards"
    }

    fn topics(&self) -> &'static [Topic] {
        &[CARD, GUEST_CARD]
    }

    fn decode(&self, delivery: &Delivery) -> Result<Option<CardCopy>, Undecodable> {
        let envelope = &delivery.envelope;
        let is_guest = *delivery.topic == *GUEST_CARD.name;
        let of_key = |invalid: InvalidId| Undecodable(format!("key: {invalid}"));
        let payer = match is_guest {
            false => Payer::Account { account_id: envelope.subject.parse().map_err(of_key)? },
            true => Payer::Guest { guest_id: envelope.subject.parse().map_err(of_key)? },
        };
        let document: Option<(String, _, _)> = match is_guest {
            false => {
                delivery.decode::<CardDocument>()?.map(|card| (card.account_id.into(), card.version, card.card_token))
            }
            true => delivery
                .decode::<GuestCardDocument>()?
                .map(|card| (card.guest_id.into(), card.version, card.card_token)),
        };
        let (version, token) = match document {
            Some((id, ..)) if id != envelope.subject => {
                return Err(Undecodable("the document is another payer's than the key says".to_owned()));
            }
            Some((_, version, token)) => (version, Some(token)),
            None => (envelope.sequence.ok_or_else(|| Undecodable("a tombstone without a version".to_owned()))?, None),
        };
        Ok(Some(CardCopy { key: payer::key(&payer), version, token, event: envelope.id }))
    }

    async fn apply(&self, transaction: &Transaction<'_>, events: &[CardCopy]) -> Result<(), Unapplied> {
        let latest = latest(events, |copy| (&copy.key, copy.version));
        let payers: Vec<&str> = latest.keys().copied().collect();
        let versions: Vec<i64> = latest.values().map(|copy| copy.version.get()).collect();
        let tokens: Vec<Option<&str>> = latest.values().map(|copy| copy.token.as_deref()).collect();
        store::lock_payers(transaction, payers.iter().copied()).await?;
        let statement = transaction.prepare_cached(UPSERT).await?;
        transaction.execute(&statement, &[&payers, &versions, &tokens]).await?;

        let now = Utc::now();
        for booking in store::awaiting_card(transaction, &payers).await? {
            let Some(stored) = store::lock(transaction, &booking).await? else { continue };
            let payer = payer::key(&stored.payment.payer);
            let Some(copy) = latest.get(payer.as_str()) else { continue };
            // What came may be an old one, come again: the payer's card is the one that is kept.
            let Some(card) = store::card(transaction, &payer).await? else { continue };
            if let Some(decision) = stored.payment.card_named(&card, now) {
                // The story is the booking's; what goes on with it now is the card.
                store::write(transaction, decision, &Cause { id: copy.event, ..stored.cause }).await?;
            }
        }
        Ok(())
    }
}
